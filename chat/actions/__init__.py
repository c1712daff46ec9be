"""The only writers: each module builds calls of the SQL functions, which carry their readers."""

from chat.actions import (
    direct_rooms,
    events,
    installation,
    members,
    messages,
    reports,
    revocations,
    rooms,
    words,
)

__all__ = [
    "direct_rooms",
    "events",
    "installation",
    "members",
    "messages",
    "reports",
    "revocations",
    "rooms",
    "words",
]
