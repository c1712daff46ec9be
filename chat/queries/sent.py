"""What a user sent before with a key."""

import msgspec

from chat.events import Message
from chat.queries.messages import decode_message
from chat.sql import Call, read_single_row


class Sent(msgspec.Struct, frozen=True):
    """Whether the user is a member of the room now, and the message that has the key."""

    is_member: bool
    message: Message | None


class _SentRow(msgspec.Struct, frozen=True):
    is_member: bool
    message: str | None


def find_sent(room_id: int, user_id: str, client_id: str) -> Call[Sent]:
    """Return the message that the user sent into the room with this key."""
    parameters = {"room_id": room_id, "user_id": user_id, "client_id": client_id}
    return Call("find_sent", _SentRow, parameters, _read_sent)


def _read_sent(rows: list[_SentRow]) -> Sent:
    row = read_single_row(rows)
    return Sent(row.is_member, decode_message(row.message) if row.message else None)
