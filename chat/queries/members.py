"""Reading members."""

import msgspec

from chat.errors import NotAMemberError
from chat.queries.keyset import Slice
from chat.sql import Call


class Member(msgspec.Struct, frozen=True):
    """A member of a room."""

    user: str
    joined_at: str


class _MemberRow(msgspec.Struct, frozen=True):
    """A member, or nulls for an empty page."""

    is_member: bool
    user: str | None
    joined_at: str | None


def list_members(room_id: int, user_id: str, part: Slice[str]) -> Call[list[Member]]:
    """Return a part of the room's members by user id. Errors: `NotAMemberError`."""
    return Call(
        part.choose("list_members"),
        _MemberRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "position": part.position,
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
