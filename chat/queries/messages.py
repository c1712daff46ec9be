"""Reading messages."""

import msgspec

from chat.errors import InvalidInputError, NotAMemberError
from chat.events import Message
from chat.sql import Call


class MessageRow(msgspec.Struct, frozen=True):
    """A message, composed in SQL; a row without one tells of an empty page."""

    is_member: bool
    is_anchored: bool
    id: int | None
    message: str


def list_messages_before(
    room_id: int, user_id: str, *, anchor: int | None, limit: int
) -> Call[MessageRow]:
    """Return the messages older than the message `anchor`, or the newest, newest first."""
    return Call(
        "list_messages_before",
        MessageRow,
        {"room_id": room_id, "user_id": user_id, "anchor": anchor, "limit": limit},
    )


def list_messages_after(room_id: int, user_id: str, *, anchor: int, limit: int) -> Call[MessageRow]:
    """Return the messages next newer than the message `anchor`, oldest first."""
    return Call(
        "list_messages_after",
        MessageRow,
        {"room_id": room_id, "user_id": user_id, "anchor": anchor, "limit": limit},
    )


def list_messages_around(
    room_id: int, user_id: str, *, anchor: int, older: int, newer: int
) -> Call[MessageRow]:
    """Return the message `anchor` with up to `older` and `newer` neighbours, newest first."""
    return Call(
        "list_messages_around",
        MessageRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "anchor": anchor,
            "older": older,
            "newer": newer,
        },
    )


def read_messages(rows: list[MessageRow], *, anchor_name: str) -> list[Message]:
    """Return the messages of a page, in the order of its rows.

    Errors: `NotAMemberError`; `InvalidInputError`, naming the parameter `anchor_name`, where the
    anchor is no message of the room.
    """
    if not rows[0].is_member:
        raise NotAMemberError
    if not rows[0].is_anchored:
        raise InvalidInputError(
            f"{anchor_name} is not the id of a message in this room.", pointer=anchor_name
        )
    return [msgspec.json.decode(row.message, type=Message) for row in rows if row.id is not None]
