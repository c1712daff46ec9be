"""The only writers: each module builds calls of the SQL functions, which carry their readers."""

from chat.actions import (
    desired_state,
    direct_rooms,
    events,
    installation,
    members,
    messages,
    revocations,
    rooms,
)

__all__ = [
    "desired_state",
    "direct_rooms",
    "events",
    "installation",
    "members",
    "messages",
    "revocations",
    "rooms",
]
