"""The read side: each module builds calls of named statements, which carry their readers."""

from chat.queries import (
    audit,
    events,
    invites,
    members,
    messages,
    readiness,
    reports,
    revocations,
    rooms,
    search,
    words,
)

__all__ = [
    "audit",
    "events",
    "invites",
    "members",
    "messages",
    "readiness",
    "reports",
    "revocations",
    "rooms",
    "search",
    "words",
]
