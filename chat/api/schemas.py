"""What clients send, and the shapes of answers that no other module owns."""

from typing import Annotated, Generic, Literal, TypeVar

import msgspec

from chat.conf import (
    CLIENT_ID_MAX_LENGTH,
    MEMBERS_PER_CALL,
    ROOM_NAME_MAX_LENGTH,
    USER_ID_MAX_LENGTH,
    load_configuration,
)
from chat.events import EventRoom

Item = TypeVar("Item")

# PostgreSQL stores no NUL.
WITHOUT_NUL = r"\A[^\x00]*\Z"
WITHOUT_CONTROL = r"\A[^\x00-\x1f\x7f-\x9f]*\Z"

UserId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=USER_ID_MAX_LENGTH, pattern=WITHOUT_CONTROL)
]
Content = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=load_configuration().message_max_length, pattern=WITHOUT_NUL
    ),
]
# A key that begins with `~` is one of the service's own.
ClientId = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=CLIENT_ID_MAX_LENGTH, pattern=r"\A[^\x00~][^\x00]*\Z"),
]
RoomName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=ROOM_NAME_MAX_LENGTH, pattern=WITHOUT_NUL)
]


class SendMessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """A message to send."""

    content: Content
    client_id: ClientId | None = None


class CreateRoomBody(msgspec.Struct, forbid_unknown_fields=True):
    """A room to create, with its first members."""

    name: RoomName
    members: Annotated[list[UserId], msgspec.Meta(max_length=MEMBERS_PER_CALL)] = []


class AddMembersBody(msgspec.Struct, forbid_unknown_fields=True):
    """Users to add to a room."""

    users: Annotated[list[UserId], msgspec.Meta(max_length=MEMBERS_PER_CALL)]


class Page(msgspec.Struct, Generic[Item]):
    """One page of a list, with the addresses of its neighbours."""

    next: str | None
    previous: str | None
    results: list[Item]


class Membership(msgspec.Struct):
    """Whether the user is a member of the room now."""

    room: EventRoom
    user: str
    joined: bool


class CentrifugoToken(msgspec.Struct):
    """A token for Centrifugo, and the channel that carries the user's events."""

    token: str
    channel: str


DatabaseState = Literal["ok", "unavailable", "not migrated", "read only", "without functions"]


class Liveness(msgspec.Struct):
    """The process runs."""

    status: Literal["ok"]


class Readiness(msgspec.Struct):
    """Whether this process can serve, and how far realtime is behind."""

    status: Literal["ok", "unavailable"]
    database: DatabaseState
    realtime: Literal["ok", "degraded"]
    outbox_age_seconds: float | None
