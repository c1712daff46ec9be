"""Reading a room's log."""

from functools import partial

import msgspec

from chat.errors import EventsGoneError, NotAMemberError
from chat.sql import Call


class _EventRow(msgspec.Struct, frozen=True):
    """An event with the bounds of the log; null for an empty page."""

    floor: int
    head: int
    event: str | None


def list_events(
    room_id: int, user_id: str, *, after: int, limit: int, is_service: bool = False
) -> Call[list[msgspec.Raw]]:
    """Return up to `limit` events after a version, oldest first, composed as when published.

    `is_service`: the host's service reads the log of any room.

    Errors: `NotAMemberError`; `EventsGoneError` where `after` lies below the kept log, or below the
    joining of a member whose history is `since_join`, or above the room's version (the client saw a
    database that has since been reset or restored).
    """
    return Call(
        "list_events",
        _EventRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "is_service": is_service,
            "after": after,
            "limit": limit,
        },
        partial(_read_events, after=after),
    )


def _read_events(rows: list[_EventRow], *, after: int) -> list[msgspec.Raw]:
    if not rows:
        raise NotAMemberError
    bounds = rows[0]
    if not bounds.floor <= after <= bounds.head:
        raise EventsGoneError(floor=bounds.floor, head=bounds.head)
    return [msgspec.Raw(row.event.encode()) for row in rows if row.event is not None]
