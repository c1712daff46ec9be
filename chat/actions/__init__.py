"""The only writers: each module builds calls of the SQL functions, which carry their readers."""

from chat.actions import (
    bans,
    blocks,
    desired_state,
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
    room_deletions,
    rooms,
    words,
)

__all__ = [
    "bans",
    "blocks",
    "desired_state",
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
    "room_deletions",
    "rooms",
    "words",
]
