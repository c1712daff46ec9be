"""Reading members."""

import msgspec

from chat.errors import NotAMemberError, NotFoundError
from chat.queries.keyset import Slice
from chat.sql import Call


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member of a room."""

    user: str
    joined_at: str
    role: str
    muted_until: str | None = None
    """Until then the user may not send here; left out for a member who may."""


class Reader(msgspec.Struct, frozen=True):
    """Who reads: a user sees the rooms of the own memberships, the host's service sees all."""

    user_id: str
    is_service: bool = False


class _MemberRow(msgspec.Struct, frozen=True):
    """A member, or nulls for an empty page."""

    may_read: bool
    user: str | None
    joined_at: str | None
    role: str | None
    muted_until: str | None


def list_members(
    room_id: int, reader: Reader, part: Slice[str], role: str | None = None
) -> Call[list[Member]]:
    """Return a part of the room's members by user id, those of one role if `role` is given.

    Errors: `NotAMemberError`.
    """
    parameters = {
        "room_id": room_id,
        "user_id": reader.user_id,
        "is_service": reader.is_service,
        "role": role,
        "position": part.position,
        "limit": part.limit + 1,
    }
    if role in {None, "member"}:
        return Call(part.choose("list_members"), _MemberRow, parameters, _read_members)
    # Few are owners or moderators, and an index has only them.
    return Call(part.choose("list_ranked_members"), _MemberRow, parameters, _read_members)


def find_member(room_id: int, reader: Reader, user_id: str) -> Call[Member]:
    """Return one member of a room. Errors: `NotAMemberError`; `NotFoundError` for no member."""
    return Call(
        "find_member",
        _MemberRow,
        {
            "room_id": room_id,
            "user_id": reader.user_id,
            "is_service": reader.is_service,
            "wanted_id": user_id,
        },
        _read_one,
    )


def _read_members(rows: list[_MemberRow]) -> list[Member]:
    if not rows[0].may_read:
        raise NotAMemberError
    return [
        Member(row.user, row.joined_at, row.role, row.muted_until)
        for row in rows
        if row.user is not None and row.joined_at is not None and row.role is not None
    ]


def _read_one(rows: list[_MemberRow]) -> Member:
    members = _read_members(rows)
    if not members:
        raise NotFoundError("The user is not a member of this room.")
    return members[0]
