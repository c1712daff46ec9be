"""Reading rooms."""

import msgspec

from chat.errors import NotFoundError
from chat.events import Message
from chat.sql import Call


class Room(msgspec.Struct, frozen=True):
    """A room as its members see it."""

    id: int
    name: str
    version: int
    member_count: int
    bumped_at: str
    last_message: Message | None
    created_at: str


class RoomRow(msgspec.Struct, frozen=True):
    """A room, composed in SQL, and its place in the list."""

    id: int
    bumped_at: str
    room: str


class RoomPosition(msgspec.Struct, frozen=True, array_like=True):
    """A place in a user's list of rooms."""

    bumped_at: str
    id: int


def list_rooms(user_id: str, *, after: RoomPosition | None, limit: int) -> Call[RoomRow]:
    """Return up to `limit` of a user's rooms, the latest message first, after a position."""
    return Call(
        "list_rooms",
        RoomRow,
        {
            "user_id": user_id,
            "bumped_at": after.bumped_at if after else None,
            "room_id": after.id if after else None,
            "limit": limit,
        },
    )


def list_rooms_backwards(user_id: str, *, before: RoomPosition, limit: int) -> Call[RoomRow]:
    """Return up to `limit` of a user's rooms before a position, the nearest first."""
    return Call(
        "list_rooms_backwards",
        RoomRow,
        {
            "user_id": user_id,
            "bumped_at": before.bumped_at,
            "room_id": before.id,
            "limit": limit,
        },
    )


def find_room(user_id: str, room_id: int) -> Call[RoomRow]:
    """Return the room if the user is a member; no row otherwise."""
    return Call("find_room", RoomRow, {"user_id": user_id, "room_id": room_id})


def require_room(rows: list[RoomRow]) -> Room:
    """Return the room that was found, or raise `NotFoundError`."""
    if not rows:
        raise NotFoundError
    return msgspec.json.decode(rows[0].room, type=Room)


def read_rooms(rows: list[RoomRow]) -> list[Room]:
    """Return the rooms of a page."""
    return [msgspec.json.decode(row.room, type=Room) for row in rows]
