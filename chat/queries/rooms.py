"""Reading rooms."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from chat.conf import BIGINT_MAX
from chat.errors import NotFoundError
from chat.events import Message
from chat.queries.keyset import Slice
from chat.sql import Call

RoomKind = Literal["public", "private", "direct"]
RoomHistory = Literal["all", "since_join"]


class MySettings(msgspec.Struct, frozen=True):
    """What a user set for a room; nobody else sees it."""

    muted: bool
    """No notifications of the room are wanted."""
    hidden: bool
    """The room is hidden until its next message."""
    pinned: bool
    """The room is at the top of the list."""


class MyMembership(msgspec.Struct, frozen=True):
    """What the caller is and may do in a room."""

    role: Literal["member", "moderator", "owner"]
    muted_until: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None
    """Until then the caller may not send here; `9999-12-31T00:00:00.000000Z` is for ever."""
    settings: MySettings
    rights: list[str] | msgspec.UnsetType = msgspec.UNSET
    """What the role may do in this kind of room; only in the answer that is one room."""


class Room(msgspec.Struct, frozen=True):
    """A room as its members see it."""

    id: int
    name: str
    kind: RoomKind
    external_id: str | None
    """The host's own key for the room."""
    data: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]
    """What the host keeps with the room: any JSON object."""
    version: int
    member_count: int
    bumped_at: str
    bump_id: int
    """The list is by this, the highest first: the id of the last message. Before the first message,
    the last id that any message had when the room was created."""
    archived_at: str | None
    """Since then the room can only be read."""
    history: RoomHistory
    """Which messages and events a member can read: all, or those since joining."""
    slow_mode_seconds: int
    """How long a member waits between two messages; moderators and owners do not."""
    last_message: Message | None
    """The last message that the caller can read."""
    created_at: str
    my: MyMembership | None
    """Null for anyone who is not a member."""


class RoomPosition(msgspec.Struct, frozen=True, array_like=True):
    """A place in a user's list of rooms.

    The release before ordered the list by time. Its cursors have no `bump_id`, and of those of this
    release it reads the first two parts: so a walk goes on through a rolling deploy.
    """

    bumped_at: Annotated[datetime, Meta(tz=True)]
    id: Annotated[int, Meta(ge=1, le=BIGINT_MAX)]
    bump_id: Annotated[int, Meta(ge=0, le=BIGINT_MAX)] | None = None

    def __post_init__(self) -> None:
        """Refuse a time that is not in UTC: answers have no such times."""
        if self.bumped_at.utcoffset():
            raise ValueError("The time is not in UTC.")


class _RoomRow(msgspec.Struct, frozen=True):
    """A room, composed in SQL."""

    room: str


class _RoomPlace(msgspec.Struct, frozen=True):
    """What a room's JSON says of its position."""

    id: int
    bumped_at: datetime
    bump_id: int


_ROOM = msgspec.json.Decoder(Room)
decode_room = _ROOM.decode
_decode_place = msgspec.json.Decoder(_RoomPlace).decode


def list_rooms(
    user_id: str, part: Slice[RoomPosition], *, archived: bool = False
) -> Call[list[msgspec.Raw]]:
    """Return a part of the user's rooms; in the list the latest message comes first.

    `archived`: whether the rooms are listed that were archived, or the others.

    Each is a `Room` in JSON, as it was composed in SQL. A room that was in one part is not in a
    later one of the same walk, whatever happens meanwhile: its place only rises.
    """
    position = part.position
    return Call(
        part.choose("list_rooms"),
        _RoomRow,
        {
            "user_id": user_id,
            "archived": archived,
            "bump_id": position.bump_id if position else None,
            "bumped_at": position.bumped_at if position and position.bump_id is None else None,
            "room_id": position.id if position else None,
            "limit": part.limit + 1,
        },
        _read_rooms,
    )


def read_position(room: msgspec.Raw) -> RoomPosition:
    """Return the place of one of the listed rooms."""
    place = _decode_place(room)
    return RoomPosition(place.bumped_at, place.id, place.bump_id)


def get_room(
    user_id: str, room_id: int, *, is_service: bool = False, rights: str | None = None
) -> Call[Room]:
    """Return a room of the user; the host's service gets any room.

    `rights`: those of each `kind:role`, as a JSON object of lists; the user's own are in `my`.

    Errors: `NotFoundError`, also for a room of other users.
    """
    return Call(
        "find_room",
        _RoomRow,
        {"user_id": user_id, "room_id": room_id, "is_service": is_service, "rights": rights},
        _read_room,
    )


def _read_rooms(rows: list[_RoomRow]) -> list[msgspec.Raw]:
    return [msgspec.Raw(row.room) for row in rows]


def _read_room(rows: list[_RoomRow]) -> Room:
    if not rows:
        raise NotFoundError
    return decode_room(rows[0].room)
