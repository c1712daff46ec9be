"""Changes of rooms by the host's service, for tests that are not about who may make them."""

from collections.abc import Sequence

from chat.actions import members
from chat.actions.caller import SERVICE
from chat.actions.members import Addition
from chat.events import EventRoom
from chat.sql import Call


def add_members(room_id: int, user_ids: Sequence[str]) -> Call[Addition]:
    """Add users as the service does."""
    return members.add_members(room_id, user_ids, SERVICE)


def remove_member(room_id: int, user_id: str) -> Call[EventRoom]:
    """Remove a member as the service does."""
    return members.remove_member(room_id, user_id, SERVICE)
