"""Reading a room by the host's own key."""

import msgspec

from chat.errors import NotFoundError
from chat.queries.rooms import Room, decode_room
from chat.sql import Call


class _RoomRow(msgspec.Struct, frozen=True):
    """A room, composed in SQL."""

    room: str


def get_room_by_external_id(
    user_id: str, external_id: str, *, is_service: bool = False, rights: str | None = None
) -> Call[Room]:
    """Return a room of the user by the host's key; the host's service gets any room.

    `rights`: as for `chat.queries.rooms.get_room`. Errors: `NotFoundError`, also for a room of
    other users.
    """
    return Call(
        "find_room_by_external_id",
        _RoomRow,
        {
            "user_id": user_id,
            "external_id": external_id,
            "is_service": is_service,
            "rights": rights,
        },
        _read_room,
    )


def _read_room(rows: list[_RoomRow]) -> Room:
    if not rows:
        raise NotFoundError
    return decode_room(rows[0].room)
