"""The read side: each module builds calls of named statements, which carry their readers."""

from chat.queries import events, invites, members, messages, readiness, revocations, rooms, search

__all__ = [
    "events",
    "invites",
    "members",
    "messages",
    "readiness",
    "revocations",
    "rooms",
    "search",
]
