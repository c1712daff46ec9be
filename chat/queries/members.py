"""Reading members."""

import msgspec

from chat.errors import NotAMemberError
from chat.sql import Call


class Member(msgspec.Struct, frozen=True):
    """A member of a room."""

    user: str
    joined_at: str


class MemberRow(msgspec.Struct, frozen=True):
    """A row of the statements that read members; one of nulls tells of an empty page."""

    is_member: bool
    user_id: str | None
    joined_at: str | None


def list_members(room_id: int, user_id: str, *, after: str | None, limit: int) -> Call[MemberRow]:
    """Return up to `limit` members by user id, after one of them."""
    return Call(
        "list_members",
        MemberRow,
        {"room_id": room_id, "user_id": user_id, "position": after, "limit": limit},
    )


def list_members_backwards(
    room_id: int, user_id: str, *, before: str, limit: int
) -> Call[MemberRow]:
    """Return up to `limit` members before one of them, the nearest first."""
    return Call(
        "list_members_backwards",
        MemberRow,
        {"room_id": room_id, "user_id": user_id, "position": before, "limit": limit},
    )


def read_members(rows: list[MemberRow]) -> list[Member]:
    """Return the members of a page, or raise `NotAMemberError`."""
    if not rows[0].is_member:
        raise NotAMemberError
    return [
        Member(user=row.user_id, joined_at=row.joined_at)
        for row in rows
        if row.user_id is not None and row.joined_at is not None
    ]
