"""The only writers: each module builds calls of the SQL functions, which carry their readers."""

from chat.actions import events, installation, members, messages, reports, revocations, rooms, words

__all__ = [
    "events",
    "installation",
    "members",
    "messages",
    "reports",
    "revocations",
    "rooms",
    "words",
]
