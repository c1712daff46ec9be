"""Joining, leaving, adding and removing."""

from collections.abc import Callable, Sequence

import msgspec

from chat.errors import InvalidInputError, NotFoundError, RateLimitedError
from chat.events import EventRoom
from chat.sql import Call, Result


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


class _ChangeRow(msgspec.Struct, frozen=True):
    """The outcome of a user's own change; see chat/sql/functions/joins.sql."""

    outcome: str
    room: str | None
    retry_after: float | None
    """Seconds, for `rate_limited`."""


_ROOM = msgspec.json.Decoder(EventRoom)


def add_members(room_id: int, user_ids: Sequence[str]) -> Call[Addition]:
    """Add users to a room as one change: all of them, or none; repeating it changes nothing.

    Old and new members receive one `user_joined` for each added user; in large rooms only the last
    one, whose version shows the gap (docs/events.md).

    Errors: `NotFoundError`; `InvalidInputError` for an id that cannot be a user's.
    """
    return _make_addition(room_id, user_ids, _read_addition)


def join_room(room_id: int, user_id: str, limit: str = "") -> Call[EventRoom]:
    """Make a user a member and return the room as it is then; repeating it changes nothing.

    `limit`: how often the user may join and leave, as `30/60`; empty for no limit.

    Errors: `NotFoundError`, `RateLimitedError`.
    """
    if limit:
        return _change_own_membership(room_id, user_id, limit, is_joining=True)
    return _make_addition(room_id, [user_id], _read_room)


def leave_room(room_id: int, user_id: str, limit: str = "") -> Call[EventRoom]:
    """End the user's own membership, as `remove_member` does, within the limit of `join_room`.

    Errors: `NotFoundError`, `RateLimitedError`.
    """
    if limit:
        return _change_own_membership(room_id, user_id, limit, is_joining=False)
    return remove_member(room_id, user_id)


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


def _change_own_membership(
    room_id: int, user_id: str, limit: str, *, is_joining: bool
) -> Call[EventRoom]:
    parameters = {
        "room_id": room_id,
        "user_id": user_id,
        "is_joining": is_joining,
        "changes_per_user": limit,
    }
    return Call(
        "change_own_membership",
        _ChangeRow,
        parameters,
        _read_change,
        publishes=True,
        lock=room_id,
    )


def _make_addition(
    room_id: int, user_ids: Sequence[str], read: Callable[[list[_AddRow]], Result]
) -> Call[Result]:
    return Call(
        "add_members",
        _AddRow,
        {"room_id": room_id, "user_ids": list(user_ids)},
        read,
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


def _read_change(rows: list[_ChangeRow]) -> EventRoom:
    (row,) = rows
    if row.retry_after is not None:
        raise RateLimitedError(
            "You joined and left too often in a short time. Nothing was changed; try again later.",
            seconds=row.retry_after,
        )
    if row.room is None:
        raise NotFoundError
    return _ROOM.decode(row.room)


def _read_room(rows: list[_AddRow] | list[_RemoveRow]) -> EventRoom:
    (row,) = rows
    if row.room is None:
        raise NotFoundError
    return _ROOM.decode(row.room)
