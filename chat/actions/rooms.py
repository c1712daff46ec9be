"""Creating and renaming rooms."""

from collections.abc import Sequence

import msgspec

from chat.errors import InvalidInputError
from chat.queries.rooms import Room
from chat.sql import Call


class CreateRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/rooms.sql."""

    outcome: str
    invalid_user_id: str | None
    room: str | None


class RenameRow(msgspec.Struct, frozen=True):
    """The outcome of renaming; see chat/sql/functions/rooms.sql."""

    outcome: str


def create_room(name: str, user_ids: Sequence[str]) -> Call[CreateRow]:
    """Create a room with its first members, or nothing; each member is told of each.

    A call makes a room each time, so it is never repeated by the service itself.
    """
    return Call(
        "create_room", CreateRow, {"name": name, "user_ids": list(user_ids)}, is_repeatable=False
    )


def read_created_room(row: CreateRow) -> Room:
    """Return the new room, or raise `InvalidInputError`."""
    if row.outcome == "invalid_name":
        raise InvalidInputError("A room's name has 1 to 255 characters.", pointer="/name")
    if row.room is None:
        raise InvalidInputError(f"{row.invalid_user_id!r} is not a user id.", pointer="/members")
    return msgspec.json.decode(row.room, type=Room)


def rename_room(room_id: int, name: str) -> Call[RenameRow]:
    """Give a room another name and tell the members; repeating changes nothing."""
    return Call("rename_room", RenameRow, {"room_id": room_id, "name": name})
