"""The read side: each module builds calls of named statements, which carry their readers."""

from chat.queries import (
    audit,
    bans,
    blocks,
    events,
    external_rooms,
    invites,
    members,
    messages,
    readiness,
    reports,
    revocations,
    room_deletions,
    rooms,
    search,
    words,
)

__all__ = [
    "audit",
    "bans",
    "blocks",
    "events",
    "external_rooms",
    "invites",
    "members",
    "messages",
    "readiness",
    "reports",
    "revocations",
    "room_deletions",
    "rooms",
    "search",
    "words",
]
