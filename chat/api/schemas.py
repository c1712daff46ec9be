"""What clients send, and the shapes of answers that no other module owns."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from chat.conf import (
    CLIENT_ID_MAX_LENGTH,
    DIRECT_USERS_MOST,
    EXTERNAL_ID_MAX_LENGTH,
    INVITE_SECONDS_DEFAULT,
    INVITE_SECONDS_MOST,
    INVITE_USES_MOST,
    MEMBERS_PER_CALL,
    REASON_MAX_LENGTH,
    ROOM_NAME_MAX_LENGTH,
    SLOW_MODE_SECONDS_MOST,
    USER_ID_MAX_LENGTH,
    load_configuration,
)
from chat.events import EventRoom, Message
from chat.queries.bans import Ban
from chat.queries.blocks import Block
from chat.queries.invites import Invite
from chat.queries.members import Member
from chat.queries.rooms import Room, RoomHistory
from chat.queries.search import FoundRoom

Item = TypeVar("Item")

# PostgreSQL stores no NUL.
WITHOUT_NUL = r"\A[^\x00]*\Z"
WITHOUT_CONTROL = r"\A[^\x00-\x1f\x7f-\x9f]*\Z"
# A key that begins with `~` is one of the service's own.
KEY = r"\A[^\x00~][^\x00]*\Z"
PATTERNS = {
    WITHOUT_NUL: "without NUL characters",
    WITHOUT_CONTROL: "without control characters",
    KEY: "that does not begin with `~` and has no NUL characters",
}
"""What each pattern demands, for people: an error shows this in its place."""

UserId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=USER_ID_MAX_LENGTH, pattern=WITHOUT_CONTROL)
]
Content = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=load_configuration().message_max_length, pattern=WITHOUT_NUL
    ),
]
ClientId = Annotated[str, msgspec.Meta(min_length=1, max_length=CLIENT_ID_MAX_LENGTH, pattern=KEY)]
RoomName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=ROOM_NAME_MAX_LENGTH, pattern=WITHOUT_NUL)
]

ExternalId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=EXTERNAL_ID_MAX_LENGTH, pattern=WITHOUT_CONTROL)
]
RoleName = Literal["member", "moderator", "owner"]


class SendMessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """A message to send."""

    content: Content
    client_id: ClientId | None = None


class CreateRoomBody(msgspec.Struct, forbid_unknown_fields=True):
    """A room to create, with its first members."""

    name: RoomName
    members: Annotated[list[UserId], msgspec.Meta(max_length=MEMBERS_PER_CALL)] = []
    client_id: ClientId | None = None
    kind: Literal["public", "private"] | None = None
    data: dict[str, Any] | None = None
    history: RoomHistory = "all"
    external_id: ExternalId | None = None


class OpenDirectRoomBody(msgspec.Struct, forbid_unknown_fields=True):
    """The people of a direct room."""

    users: Annotated[list[UserId], msgspec.Meta(max_length=DIRECT_USERS_MOST)]


class ChangeRoomBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a room; a field that is left out stays as it is."""

    name: RoomName | msgspec.UnsetType = msgspec.UNSET
    data: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    history: Literal["all", "since_join"] | msgspec.UnsetType = msgspec.UNSET
    slow_mode_seconds: (
        Annotated[int, msgspec.Meta(ge=0, le=SLOW_MODE_SECONDS_MOST)] | msgspec.UnsetType
    ) = msgspec.UNSET
    archived: bool | msgspec.UnsetType = msgspec.UNSET
    external_id: ExternalId | msgspec.UnsetType | None = msgspec.UNSET
    kind: Literal["public", "private"] | msgspec.UnsetType = msgspec.UNSET


class AddMembersBody(msgspec.Struct, forbid_unknown_fields=True):
    """Users to add to a room."""

    users: Annotated[list[UserId], msgspec.Meta(max_length=MEMBERS_PER_CALL)]
    role: RoleName = "member"


class ChangeMemberBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a member; a field that is left out stays as it is."""

    role: RoleName | msgspec.UnsetType = msgspec.UNSET
    muted_until: Annotated[datetime, msgspec.Meta(tz=True)] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )


class RevokeTokensBody(msgspec.Struct, forbid_unknown_fields=True):
    """From when on a user's tokens are accepted."""

    not_before: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


Reason = Annotated[str, msgspec.Meta(max_length=REASON_MAX_LENGTH, pattern=WITHOUT_NUL)]


class BanBody(msgspec.Struct, forbid_unknown_fields=True):
    """A ban as it is wanted."""

    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """Null: for ever."""
    reason: Reason = ""
    delete_messages: bool = False
    """Whether the user's messages of the last day are deleted too."""


class CreateInviteBody(msgspec.Struct, forbid_unknown_fields=True):
    """How long an invite can be used, and by how many users."""

    expires_in: Annotated[int, msgspec.Meta(ge=1, le=INVITE_SECONDS_MOST)] = INVITE_SECONDS_DEFAULT
    max_uses: Annotated[int, msgspec.Meta(ge=1, le=INVITE_USES_MOST)] | None = None


class Page(msgspec.Struct, Generic[Item]):
    """One page of a list, with the addresses of its neighbours."""

    next: str | None
    previous: str | None
    results: list[Item]


class RoomPage(Page[Room]):
    """A page of rooms."""


class FoundRoomPage(Page[FoundRoom]):
    """A page of rooms that a search found."""


class MemberPage(Page[Member]):
    """A page of members."""


class BanPage(Page[Ban]):
    """A page of bans."""


class BlockPage(Page[Block]):
    """A page of blocks."""


class MessagePage(Page[Message]):
    """A page of messages."""


class EventPage(Page[msgspec.Raw]):
    """A page of events, composed in SQL."""


class InviteWithToken(Invite, frozen=True, kw_only=True):
    """An invite into a room. Anyone who has the token may join until it is gone."""

    token: str


class InvitePage(Page[InviteWithToken]):
    """A page of invites."""


class Membership(msgspec.Struct):
    """Whether the user is a member of the room now."""

    room: EventRoom
    user: str
    joined: bool


class Revocation(msgspec.Struct):
    """From when on the user's tokens are accepted: those that were issued earlier are refused."""

    user: str
    not_before: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class CentrifugoToken(msgspec.Struct):
    """A token for Centrifugo, and the channel that carries the user's events."""

    token: str
    channel: str


DatabaseState = Literal[
    "ok",
    "unavailable",
    "too old",
    "not migrated",
    "read only",
    "without functions",
    "older functions",
    "revocations not read",
]


class Liveness(msgspec.Struct):
    """The process runs."""

    status: Literal["ok"]


class Readiness(msgspec.Struct, omit_defaults=True):
    """Whether this process can serve, and how far realtime is behind."""

    status: Literal["ok", "unavailable"]
    database: DatabaseState
    realtime: Literal["ok", "degraded"]
    outbox_age_seconds: float | None
    warnings: list[str] = []
    """Codes of `manage.py doctor` that do not keep the process from serving."""
    detail: str | None = None
    """Which version of PostgreSQL was found and which is needed, where it is too old."""
