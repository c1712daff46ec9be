"""Joining and leaving of users themselves."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from chat.conf import ChatConfiguration
from chat.errors import (
    BannedError,
    ChatError,
    LimitReachedError,
    NotFoundError,
    RateLimitedError,
    RightRequiredError,
    RoomArchivedError,
    RoomBusyError,
)
from chat.events import EventRoom
from chat.sql import Call, Result, read_single_row
from chat.sql.database import Database


class EntryLimits(msgspec.Struct, frozen=True):
    """How much one user may enter, and how many may be in a room."""

    joins_per_user: str = ""
    """How often a user joins and leaves, as `30/60`; empty for no limit."""
    rooms_per_user: int = 0
    """In how many rooms a user may be; 0 for no limit."""
    members_per_room: int = 0
    """How many members a room may have; 0 for no limit."""


NO_LIMITS = EntryLimits()


class EntryRow(msgspec.Struct, frozen=True):
    """The outcome of a user's own change; see chat/sql/functions/joins.sql."""

    outcome: str
    room: str | None
    retry_after: float | None
    """Seconds, for `rate_limited`."""


_TOO_MANY_ROOMS = "You are in as many rooms as are allowed. Leave one first. Nothing was changed."
_ROOM_FULL = "The room has as many members as are allowed. Nothing was changed."
_TOO_OFTEN = "You joined and left too often in a short time. Nothing was changed; try again later."
_REFUSALS: Mapping[str, Callable[[EntryRow], ChatError]] = {
    "banned": lambda _: BannedError(),
    "archived": lambda _: RoomArchivedError(),
    "room_full": lambda _: LimitReachedError(_ROOM_FULL),
    "too_many_rooms": lambda _: LimitReachedError(_TOO_MANY_ROOMS),
    "rate_limited": lambda row: RateLimitedError(_TOO_OFTEN, seconds=row.retry_after or 1),
    "right_required": lambda _: RightRequiredError("leave"),
    "busy": lambda _: RoomBusyError(),
}

_ROOM = msgspec.json.Decoder(EventRoom)


def make_limits(configuration: ChatConfiguration) -> EntryLimits:
    """Return the limits that the host has set for its users."""
    return EntryLimits(
        configuration.joins_per_user, configuration.rooms_per_user, configuration.members_per_room
    )


def join_room(
    room_id: int, user_id: str, limits: EntryLimits = NO_LIMITS, *, waits: bool = True
) -> Call[EventRoom]:
    """Make a user a member of a public room and return the room as it is then.

    Repeating it changes nothing. `waits`: False raises `RoomBusyError` where the room is locked,
    and waits for nothing; see `run_soon`.

    Errors: `NotFoundError`, also for a room that is not public; `BannedError`, `RoomArchivedError`,
    `LimitReachedError`, `RateLimitedError`.
    """
    parameters = {
        "room_id": room_id,
        "user_id": user_id,
        "joins_per_user": limits.joins_per_user,
        "rooms_per_user": limits.rooms_per_user,
        "members_per_room": limits.members_per_room,
        "waits": waits,
    }
    return Call(
        "join_room",
        EntryRow,
        parameters,
        _read_room,
        publishes=True,
        lock=room_id if waits else None,
    )


def leave_room(
    room_id: int,
    user_id: str,
    limits: EntryLimits = NO_LIMITS,
    *,
    allowed: Sequence[str],
    waits: bool = True,
) -> Call[EventRoom]:
    """End the user's own membership and return the room as it is then.

    Repeating it changes nothing; of a room that is not public a stranger learns nothing. `allowed`:
    where the right to leave is given, as `kind:role`. `waits`: as for `join_room`.

    Errors: `NotFoundError`; `RightRequiredError` in a direct room; `RateLimitedError`.
    """
    parameters = {
        "room_id": room_id,
        "user_id": user_id,
        "joins_per_user": limits.joins_per_user,
        "allowed": list(allowed),
        "waits": waits,
    }
    return Call(
        "leave_room",
        EntryRow,
        parameters,
        _read_room,
        publishes=True,
        lock=room_id if waits else None,
    )


async def run_soon(database: Database, make_call: Callable[[bool], Call[Result]]) -> Result:
    """Run a call without waiting for the room's lock, and with waiting only where it was locked.

    The caller of a route may be somebody who must not notice that the room exists. Behind the lock,
    or in the queue of those who wait for it, such a call would take longer than for a room that
    does not exist, or be answered as busy.
    """
    try:
        return await database.run(make_call(False))
    except RoomBusyError:
        return await database.run(make_call(True))


def require_entry(row: EntryRow) -> EventRoom:
    """Return the room of a change that was made, or is not needed; raise what was refused."""
    if row.room is not None:
        return _ROOM.decode(row.room)
    refuse = _REFUSALS.get(row.outcome)
    raise refuse(row) if refuse is not None else NotFoundError()


def _read_room(rows: list[EntryRow]) -> EventRoom:
    return require_entry(read_single_row(rows))
