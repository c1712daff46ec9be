"""Reading members."""

import msgspec

from chat.errors import NotAMemberError
from chat.queries.keyset import Slice
from chat.realtime.channels import describe_invalid_user_id
from chat.sql import Call


class Member(msgspec.Struct, frozen=True):
    """A member of a room."""

    user: str
    joined_at: str


class MemberPosition(msgspec.Struct, frozen=True):
    """A place in a list of members."""

    user: str

    def __post_init__(self) -> None:
        """Refuse what cannot be a user id."""
        if reason := describe_invalid_user_id(self.user):
            raise ValueError(reason)


class _MemberRow(msgspec.Struct, frozen=True):
    """A member, or nulls for an empty page."""

    is_member: bool
    user: str | None
    joined_at: str | None


def list_members(room_id: int, user_id: str, part: Slice[MemberPosition]) -> Call[list[Member]]:
    """Return a part of the room's members by user id. Errors: `NotAMemberError`."""
    return Call(
        part.choose("list_members"),
        _MemberRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "position": part.position.user if part.position else None,
            "limit": part.limit + 1,
        },
        _read_members,
    )


def _read_members(rows: list[_MemberRow]) -> list[Member]:
    if not rows[0].is_member:
        raise NotAMemberError
    return [
        Member(row.user, row.joined_at)
        for row in rows
        if row.user is not None and row.joined_at is not None
    ]
