"""The only writers: each module builds calls of the SQL functions, which carry their readers."""

from chat.actions import events, installation, invites, joins, members, messages, revocations, rooms

__all__ = [
    "events",
    "installation",
    "invites",
    "joins",
    "members",
    "messages",
    "revocations",
    "rooms",
]
