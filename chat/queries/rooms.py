"""Reading rooms."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from chat.conf import BIGINT_MAX
from chat.errors import NotFoundError
from chat.events import Message
from chat.queries.keyset import Slice
from chat.sql import Call


class Room(msgspec.Struct, frozen=True):
    """A room as its members see it."""

    id: int
    name: str
    version: int
    member_count: int
    bumped_at: str
    bump_id: int
    """The list is by this, the highest first: the id of the last message. Before the first message,
    the last id that any message had when the room was created."""
    last_message: Message | None
    created_at: str


class RoomPosition(msgspec.Struct, frozen=True, array_like=True):
    """A place in a user's list of rooms.

    The release before ordered the list by time. Its cursors have no `bump_id`, and of those of this
    release it reads the first two parts: so a walk goes on through a rolling deploy.
    """

    bumped_at: Annotated[datetime, Meta(tz=True)]
    id: Annotated[int, Meta(ge=1, le=BIGINT_MAX)]
    bump_id: Annotated[int, Meta(ge=0, le=BIGINT_MAX)] | None = None

    def __post_init__(self) -> None:
        """Refuse a time that is not in UTC: answers have no such times."""
        if self.bumped_at.utcoffset():
            raise ValueError("The time is not in UTC.")


class _RoomRow(msgspec.Struct, frozen=True):
    """A room, composed in SQL."""

    room: str


class _RoomPlace(msgspec.Struct, frozen=True):
    """What a room's JSON says of its position."""

    id: int
    bumped_at: datetime
    bump_id: int


_ROOM = msgspec.json.Decoder(Room)
decode_room = _ROOM.decode
_decode_place = msgspec.json.Decoder(_RoomPlace).decode


def list_rooms(user_id: str, part: Slice[RoomPosition]) -> Call[list[msgspec.Raw]]:
    """Return a part of the user's rooms; in the list the latest message comes first.

    Each is a `Room` in JSON, as it was composed in SQL. A room that was in one part is not in a
    later one of the same walk, whatever happens meanwhile: its place only rises.
    """
    position = part.position
    return Call(
        part.choose("list_rooms"),
        _RoomRow,
        {
            "user_id": user_id,
            "bump_id": position.bump_id if position else None,
            "bumped_at": position.bumped_at if position and position.bump_id is None else None,
            "room_id": position.id if position else None,
            "limit": part.limit + 1,
        },
        _read_rooms,
    )


def read_position(room: msgspec.Raw) -> RoomPosition:
    """Return the place of one of the listed rooms."""
    place = _decode_place(room)
    return RoomPosition(place.bumped_at, place.id, place.bump_id)


def get_room(user_id: str, room_id: int) -> Call[Room]:
    """Return a room of the user. Errors: `NotFoundError`, also for a room of other users."""
    return Call("find_room", _RoomRow, {"user_id": user_id, "room_id": room_id}, _read_room)


def _read_rooms(rows: list[_RoomRow]) -> list[msgspec.Raw]:
    return [msgspec.Raw(row.room) for row in rows]


def _read_room(rows: list[_RoomRow]) -> Room:
    if not rows:
        raise NotFoundError
    return decode_room(rows[0].room)
