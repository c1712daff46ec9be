"""Reading messages."""

from functools import partial

import msgspec

from chat.errors import InvalidInputError, NotAMemberError
from chat.events import Message
from chat.sql import Call


class Window(msgspec.Struct, frozen=True):
    """Which messages of a room to read: so many before and after one of them, or the newest."""

    older: int
    newer: int = 0
    anchor: int | None = None
    """The id of a message; None for the end of the room."""
    with_anchor: bool = False
    """Whether the anchor itself is among the `newer`."""


class _MessageRow(msgspec.Struct, frozen=True):
    """A message, composed in SQL, or null for an empty page."""

    floor: int | None
    """The caller may read the messages with a greater seq; None for no messages of this room."""
    is_anchored: bool
    message: str | None


class MessagesRead(msgspec.Struct, frozen=True):
    """Messages of a room, newest first, without a gap."""

    messages: list[msgspec.Raw]
    """Each is a `Message` in JSON, as it was composed in SQL."""
    floor: int
    """The caller may read the messages with a greater seq: all, or those since joining."""


class MessagePlace(msgspec.Struct, frozen=True):
    """Where a message stands: what a page's neighbours are found by."""

    id: int
    seq: int


_MESSAGE = msgspec.json.Decoder(Message)
decode_message = _MESSAGE.decode
_decode_place = msgspec.json.Decoder(MessagePlace).decode


def list_messages(
    room_id: int,
    user_id: str,
    window: Window,
    *,
    anchor_name: str = "anchor",
    is_service: bool = False,
) -> Call[MessagesRead]:
    """Return the messages of a window that the user may read.

    `anchor_name`: what the caller calls the anchor, for the error. `is_service`: the host's service
    reads any room.

    Errors: `NotAMemberError`; `InvalidInputError` where the anchor is no message of the room, or
    one that the user may not read.
    """
    return Call(
        "list_messages",
        _MessageRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "is_service": is_service,
            **msgspec.structs.asdict(window),
        },
        partial(_read_messages, anchor_name=anchor_name),
    )


def read_place(message: msgspec.Raw) -> MessagePlace:
    """Return where one of the listed messages stands."""
    return _decode_place(message)


def _read_messages(rows: list[_MessageRow], *, anchor_name: str) -> MessagesRead:
    floor = rows[0].floor
    if floor is None:
        raise NotAMemberError
    if not rows[0].is_anchored:
        raise InvalidInputError(
            f"{anchor_name} is not the id of a message in this room.", pointer=anchor_name
        )
    messages = [msgspec.Raw(row.message) for row in rows if row.message is not None]
    return MessagesRead(messages, floor)
