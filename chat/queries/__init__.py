"""The read side: each module builds calls of named statements, which carry their readers."""

from chat.queries import (
    events,
    external_rooms,
    invites,
    members,
    messages,
    readiness,
    revocations,
    rooms,
    search,
)

__all__ = [
    "events",
    "external_rooms",
    "invites",
    "members",
    "messages",
    "readiness",
    "revocations",
    "rooms",
    "search",
]
