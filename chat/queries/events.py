"""Reading a room's log."""

import msgspec

from chat.errors import EventsGoneError, NotAMemberError
from chat.sql import Call


class EventRow(msgspec.Struct, frozen=True):
    """A row of the log with its bounds; one of nulls tells of an empty page."""

    floor: int
    head: int
    version: int | None
    event: str | None


def list_events(room_id: int, user_id: str, *, after: int, limit: int) -> Call[EventRow]:
    """Return up to `limit` events after a version, oldest first; no row for a stranger."""
    return Call(
        "list_events",
        EventRow,
        {"room_id": room_id, "user_id": user_id, "after": after, "limit": limit},
    )


def read_events(rows: list[EventRow], *, after: int) -> list[msgspec.Raw]:
    """Return the events of a page, composed in SQL as when they were published.

    Errors: `NotAMemberError`; `EventsGoneError` where `after` lies below the kept log, or above
    the room's version (the client saw a database that has since been reset or restored).
    """
    if not rows:
        raise NotAMemberError
    bounds = rows[0]
    if not bounds.floor <= after <= bounds.head:
        raise EventsGoneError(floor=bounds.floor, head=bounds.head)
    return [msgspec.Raw(row.event.encode()) for row in rows if row.event is not None]
