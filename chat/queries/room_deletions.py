"""Reading how far the deletion of a room is."""

import msgspec

from chat.errors import NotFoundError
from chat.sql import Call, read_single_row


class RoomDeletion(msgspec.Struct, frozen=True):
    """The receipt of a room's deletion."""

    room_id: int
    external_id: str | None
    """What the room had; another one may have it since."""
    requested_at: str
    """From then on the room was gone for everyone."""
    finished_at: str | None
    """When its last row was deleted; null until then."""
    members: int
    messages: int
    events: int
    """How many of each were deleted so far."""


class _ReceiptRow(msgspec.Struct, frozen=True):
    receipt: str


class _OpenRow(msgspec.Struct, frozen=True):
    is_open: bool


decode_room_deletion = msgspec.json.Decoder(RoomDeletion).decode


def get_room_deletion(room_id: int) -> Call[RoomDeletion]:
    """Return the receipt of a room's deletion. Errors: `NotFoundError` where there was none."""
    return Call("find_room_deletion", _ReceiptRow, {"room_id": room_id}, _read_receipt)


def is_room_deletion_open() -> Call[bool]:
    """Return whether rows of deleted rooms are left to delete."""
    return Call("is_room_deletion_open", _OpenRow, {}, lambda rows: read_single_row(rows).is_open)


def _read_receipt(rows: list[_ReceiptRow]) -> RoomDeletion:
    if not rows:
        raise NotFoundError("There was no such deletion.")
    return decode_room_deletion(rows[0].receipt)
