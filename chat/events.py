"""The events that clients receive, as types. The wire names are declared here and in `chat/sql`.

Every event carries its room with the room's version at that event. Versions count a room's events
1, 2, 3…, so a client at version v applies v + 1, ignores anything up to v, and fetches
`events/?after=v` when it receives a version beyond v + 1, unless the event stands for those
between (`first_version`).
"""

from typing import Any, Literal

import msgspec

Role = Literal["member", "moderator", "owner"]


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as every endpoint and event shows it."""

    id: int
    room_id: int
    seq: int
    user: str
    content: str
    created_at: str
    client_id: str | None = None
    deleted_at: str | None = None
    """When its text was deleted; `content` is empty from then on."""


class EventRoom(msgspec.Struct, frozen=True):
    """The room as it was after an event."""

    id: int
    name: str
    version: int
    bumped_at: str
    member_count: int


class MessageBody(Message, frozen=True, kw_only=True):
    """The message, with its room."""

    room: EventRoom


class RoomBody(msgspec.Struct, frozen=True):
    """The room."""

    room: EventRoom


class RoomUpdatedBody(RoomBody, frozen=True, kw_only=True, omit_defaults=True):
    """The room, with its state at that version. Events of earlier releases have only the room."""

    kind: Literal["public", "private", "direct"] | msgspec.UnsetType = msgspec.UNSET
    external_id: str | msgspec.UnsetType | None = msgspec.UNSET
    data: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    archived_at: str | msgspec.UnsetType | None = msgspec.UNSET
    history: Literal["all", "since_join"] | msgspec.UnsetType = msgspec.UNSET
    slow_mode_seconds: int | msgspec.UnsetType = msgspec.UNSET


class MemberBody(msgspec.Struct, frozen=True):
    """Who joined or left, when they had joined, and the room."""

    user: str
    joined_at: str
    room: EventRoom


class JoinedBody(MemberBody, frozen=True, kw_only=True, omit_defaults=True):
    """Who joined, when, and the room."""

    first_version: int | None = None
    """Where so many users were added at once that only this event, the last one, was published: the
    version of the first. It stands for all of them: a client that holds `first_version` - 1, or
    more, misses nothing but the other users."""
    role: Role = "member"
    """What the user became by joining; left out for `member`."""


class LeftBody(MemberBody, frozen=True, kw_only=True, omit_defaults=True):
    """Who left, when that user had joined, and the room."""

    first_version: int | None = None
    """Where so many users were removed at once that those who stay were sent only the last event:
    the version of the first. Who was removed was sent the own event."""


class UpdatedMemberBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The member as it is from this version on, and the room."""

    user: str
    role: Role
    muted_until: str | None
    """Until then the user may not send here; null for a user who may."""
    first_version: int | None = None
    """Where so many members got other roles at once that only this event, the last one, was
    published: the version of the first."""
    room: EventRoom


class MessageAdded(msgspec.Struct, frozen=True):
    """A member sent a message."""

    type: Literal["message_added"]
    body: MessageBody


class MessageDeleted(msgspec.Struct, frozen=True):
    """The text of a message was deleted; its place in the room stays."""

    type: Literal["message_deleted"]
    body: MessageBody


class RoomUpdated(msgspec.Struct, frozen=True):
    """The room has another name, or was changed in another way."""

    type: Literal["room_updated"]
    body: RoomUpdatedBody


class RoomDeleted(msgspec.Struct, frozen=True):
    """The room was deleted: this is its last event, and no address has it any more."""

    type: Literal["room_deleted"]
    body: RoomBody


class MemberUpdated(msgspec.Struct, frozen=True):
    """A member has another role, or was muted, or is no longer."""

    type: Literal["member_updated"]
    body: UpdatedMemberBody


class UserJoined(msgspec.Struct, frozen=True):
    """A user became a member; that user receives the event too."""

    type: Literal["user_joined"]
    body: JoinedBody


class UserLeft(msgspec.Struct, frozen=True):
    """A member left or was removed; that user receives the event too."""

    type: Literal["user_left"]
    body: LeftBody


Event = (
    MessageAdded
    | MessageDeleted
    | RoomUpdated
    | RoomDeleted
    | MemberUpdated
    | UserJoined
    | UserLeft
)
