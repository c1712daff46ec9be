"""The only writers: each module builds calls of the SQL functions, which carry their readers."""

from chat.actions import (
    desired_state,
    direct_rooms,
    events,
    installation,
    invites,
    joins,
    members,
    messages,
    revocations,
    room_changes,
    rooms,
)

__all__ = [
    "desired_state",
    "direct_rooms",
    "events",
    "installation",
    "invites",
    "joins",
    "members",
    "messages",
    "revocations",
    "room_changes",
    "rooms",
]
