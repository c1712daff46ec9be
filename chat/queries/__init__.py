"""The read side: each module builds calls of named statements, which carry their readers."""

from chat.queries import (
    bans,
    blocks,
    events,
    invites,
    members,
    messages,
    readiness,
    revocations,
    rooms,
    search,
)

__all__ = [
    "bans",
    "blocks",
    "events",
    "invites",
    "members",
    "messages",
    "readiness",
    "revocations",
    "rooms",
    "search",
]
