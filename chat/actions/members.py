"""Joining, leaving, adding and removing."""

from collections.abc import Sequence

import msgspec

from chat.errors import InvalidInputError, NotFoundError
from chat.events import EventRoom
from chat.sql import Call


class AddRow(msgspec.Struct, frozen=True):
    """The outcome for one user; see chat/sql/functions/members.sql."""

    user_id: str | None
    outcome: str
    room: str | None


class RemoveRow(msgspec.Struct, frozen=True):
    """The outcome of a removal; see chat/sql/functions/members.sql."""

    outcome: str
    room: str | None


class Addition(msgspec.Struct, frozen=True):
    """Who was added by a call, and who had been a member already."""

    added: list[str]
    already: list[str]


def add_members(room_id: int, user_ids: Sequence[str]) -> Call[AddRow]:
    """Add users to a room as one change: all of them, or none; repeating it changes nothing.

    Everyone it adds is told of everyone it adds, and so is every earlier member.
    """
    return Call("add_members", AddRow, {"room_id": room_id, "user_ids": list(user_ids)})


def remove_member(room_id: int, user_id: str) -> Call[RemoveRow]:
    """Remove a user from a room; repeating it changes nothing. The user is told too."""
    return Call("remove_member", RemoveRow, {"room_id": room_id, "user_id": user_id})


def read_addition(rows: Sequence[AddRow]) -> Addition:
    """Return who was added. Errors: `NotFoundError`, `InvalidInputError`."""
    for row in rows:
        if row.outcome == "room_not_found":
            raise NotFoundError
        if row.outcome == "invalid_user":
            raise InvalidInputError(f"{row.user_id!r} is not a user id.", pointer="/users")
    return Addition(
        added=[row.user_id for row in rows if row.user_id and row.outcome == "added"],
        already=[row.user_id for row in rows if row.user_id and row.outcome == "already"],
    )


def read_room_after(row: AddRow | RemoveRow) -> EventRoom:
    """Return the room as the change left it, or raise `NotFoundError`."""
    if row.room is None:
        raise NotFoundError
    return msgspec.json.decode(row.room, type=EventRoom)
