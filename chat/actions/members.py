"""Adding and removing members."""

from collections.abc import Sequence

import msgspec

from chat.errors import InvalidInputError, NotFoundError
from chat.events import EventRoom
from chat.sql import Call


class Addition(msgspec.Struct, frozen=True):
    """The users a call added, and those who were members before."""

    added: list[str]
    already: list[str]


class _AddRow(msgspec.Struct, frozen=True):
    """The outcome for one user; see chat/sql/functions/members.sql."""

    user_id: str | None
    outcome: str
    room: str | None


class _RemoveRow(msgspec.Struct, frozen=True):
    """The outcome of a removal; see chat/sql/functions/members.sql."""

    outcome: str
    room: str | None


_ROOM = msgspec.json.Decoder(EventRoom)


def add_members(room_id: int, user_ids: Sequence[str]) -> Call[Addition]:
    """Add users to a room as one change: all of them, or none; repeating it changes nothing.

    Old and new members receive one `user_joined` for each added user; in large rooms only the last
    one, whose version shows the gap (docs/events.md).

    Errors: `NotFoundError`; `InvalidInputError` for an id that cannot be a user's.
    """
    return Call(
        "add_members",
        _AddRow,
        {"room_id": room_id, "user_ids": list(user_ids)},
        _read_addition,
        publishes=True,
        lock=room_id,
    )


def remove_member(room_id: int, user_id: str) -> Call[EventRoom]:
    """End a membership and return the room as it is then; repeating it changes nothing.

    The user receives the event too. Errors: `NotFoundError`.
    """
    return Call(
        "remove_member",
        _RemoveRow,
        {"room_id": room_id, "user_id": user_id},
        _read_room,
        publishes=True,
        lock=room_id,
    )


def _read_addition(rows: list[_AddRow]) -> Addition:
    users: dict[str, list[str]] = {"added": [], "already": []}
    for row in rows:
        if row.user_id is None:
            raise NotFoundError
        if row.outcome == "invalid_user":
            raise InvalidInputError(f"{row.user_id!r} is not a user id.", pointer="/users")
        users[row.outcome].append(row.user_id)
    return Addition(**users)


def _read_room(rows: list[_RemoveRow]) -> EventRoom:
    (row,) = rows
    if row.room is None:
        raise NotFoundError
    return _ROOM.decode(row.room)
