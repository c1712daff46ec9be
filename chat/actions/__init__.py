"""The only writers: each module builds calls of the SQL functions, which carry their readers."""

from chat.actions import (
    direct_rooms,
    events,
    installation,
    invites,
    joins,
    members,
    messages,
    reports,
    revocations,
    room_changes,
    rooms,
    words,
)

__all__ = [
    "direct_rooms",
    "events",
    "installation",
    "invites",
    "joins",
    "members",
    "messages",
    "reports",
    "revocations",
    "room_changes",
    "rooms",
    "words",
]
