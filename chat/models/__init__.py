"""The tables. Python reads them here; only the functions in `chat/sql` change them."""

from chat.models.fields import ExactCharField, JSONTextField
from chat.models.installation import Installation
from chat.models.messages import Event, Message, OutboxRow
from chat.models.moderation import AuditEntry, Ban, Block, Decision, Report, Word
from chat.models.rooms import Invite, Member, Room, RoomDeletion, RoomKey
from chat.models.users import JoinCount, Listener, Revocation, UseCount

__all__ = [
    "AuditEntry",
    "Ban",
    "Block",
    "Decision",
    "Event",
    "ExactCharField",
    "Installation",
    "Invite",
    "JSONTextField",
    "JoinCount",
    "Listener",
    "Member",
    "Message",
    "OutboxRow",
    "Report",
    "Revocation",
    "Room",
    "RoomDeletion",
    "RoomKey",
    "UseCount",
    "Word",
]
