"""Members: adding, removing, changing roles and mutes by rights."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from app.permissions import Right, list_allowed
from chat.actions.caller import Caller
from chat.errors import (
    ChatError,
    ConflictError,
    InvalidInputError,
    LimitReachedError,
    NotFoundError,
    RightRequiredError,
    RoomArchivedError,
)
from chat.events import EventRoom
from chat.queries.members import Member
from chat.sql import Call


class Addition(msgspec.Struct, frozen=True):
    """The users a call added, and those who were members before."""

    added: list[str]
    already: list[str]


class _AddRow(msgspec.Struct, frozen=True):
    """The outcome for one user; see chat/sql/functions/members.sql."""

    user_id: str | None
    outcome: str
    room: str | None


class _RemoveRow(msgspec.Struct, frozen=True):
    """The outcome of a removal; see chat/sql/functions/members.sql."""

    outcome: str
    room: str | None


class _UpdateRow(msgspec.Struct, frozen=True):
    """The outcome of a change of a member; see chat/sql/functions/members.sql."""

    outcome: str
    member: str | None


_ROOM = msgspec.json.Decoder(EventRoom)
_MEMBER = msgspec.json.Decoder(Member)


def add_members(
    room_id: int,
    user_ids: Sequence[str],
    by: Caller,
    *,
    role: str = "member",
    members_most: int | None = None,
) -> Call[Addition]:
    """Add users to a room as one change: all of them, or none; repeating it changes nothing.

    Old and new members receive one `user_joined` for each added user; in large rooms only the last
    one, whose version shows the gap (docs/events.md). `role`: what the added users become; to make
    them more than members takes the right `change_roles` too. `members_most`: how many members a
    user may make the room have; the service and staff have no limit.

    Errors: `NotFoundError`, `RightRequiredError`, `RoomArchivedError`, `LimitReachedError`;
    `ConflictError` for a direct room, and where a user is banned; `InvalidInputError` for an id
    that cannot be a user's.
    """
    rights = [Right.ADD_MEMBERS] if role == "member" else [Right.CHANGE_ROLES, Right.ADD_MEMBERS]
    allowed = set.intersection(*(set(list_allowed(right)) for right in rights))
    return Call(
        "add_members",
        _AddRow,
        {
            "room_id": room_id,
            "user_ids": list(user_ids),
            "role": role,
            "by": by.to_json(),
            "allowed": sorted(allowed),
            "members_most": members_most,
        },
        lambda rows: _read_addition(rows, rights[0]),
        publishes=True,
        lock=room_id,
    )


def remove_member(room_id: int, user_id: str, by: Caller) -> Call[EventRoom]:
    """End a membership and return the room as it is then; repeating it changes nothing.

    The user receives the event too. Where the only owner is removed, the longest-standing
    moderator, or else member, becomes an owner by the same change.

    Errors: `NotFoundError`, `RightRequiredError`; `ConflictError` for a direct room.
    """
    return Call(
        "remove_member",
        _RemoveRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "by": by.to_json(),
            "allowed": list_allowed(Right.REMOVE_MEMBERS),
        },
        _read_removal,
        publishes=True,
        lock=room_id,
    )


class MemberChange(msgspec.Struct, frozen=True):
    """What is changed of a member."""

    role: str | None = None
    """None leaves it."""
    sets_mute: bool = False
    muted_until: datetime | None = None
    """With `sets_mute` until when the member may not send; None lifts the mute."""


def update_member(room_id: int, user_id: str, change: MemberChange, by: Caller) -> Call[Member]:
    """Change a member's role or mute, as one change; return the member as it is then.

    All members receive one `member_updated`; repeating it changes nothing. Where both are given,
    both are changed, or neither.

    Errors: `NotFoundError`, `RightRequiredError`, `RoomArchivedError`; `ConflictError` for the role
    of the only owner, and for a role in a direct room; `InvalidInputError` for a time that is past.
    """
    return Call(
        "update_member",
        _UpdateRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "role": change.role,
            "sets_mute": change.sets_mute,
            "muted_until": change.muted_until,
            "by": by.to_json(),
            "change_allowed": list_allowed(Right.CHANGE_ROLES),
            "mute_allowed": list_allowed(Right.MUTE_MEMBERS),
        },
        lambda rows: _read_update(rows, change),
        publishes=True,
        lock=room_id,
    )


def _find_refusal(outcome: str, right: Right) -> ChatError | None:
    """Return the error for an outcome that refuses a change that takes this right."""
    refusals: Mapping[str, ChatError] = {
        "room_not_found": NotFoundError(),
        "right_required": RightRequiredError(right),
        "outranked": RightRequiredError(
            right,
            "This takes a higher role: a member is acted on by higher roles only, owners by "
            "owners, and nobody gives a role above the own.",
        ),
        "direct": ConflictError("The members of a direct room and their roles never change."),
        "archived": RoomArchivedError(),
        "limit_reached": LimitReachedError(
            "The room would have more members than the host allows. Nothing was changed."
        ),
    }
    return refusals.get(outcome)


def _read_addition(rows: list[_AddRow], right: Right) -> Addition:
    users: dict[str, list[str]] = {"added": [], "already": [], "banned": [], "invalid_user": []}
    for row in rows:
        if error := _find_refusal(row.outcome, right):
            raise error
        users[row.outcome].append(row.user_id or "")
    if invalid := users["invalid_user"]:
        raise InvalidInputError(f"{invalid[0]!r} is not a user id.", pointer="/users")
    if banned := users["banned"]:
        names = ", ".join(map(repr, banned))
        raise ConflictError(
            f"Banned from this room or from all rooms: {names}. Nobody was added; lift the ban "
            "first, or leave them out."
        )
    return Addition(added=users["added"], already=users["already"])


def _read_removal(rows: list[_RemoveRow]) -> EventRoom:
    (row,) = rows
    if error := _find_refusal(row.outcome, Right.REMOVE_MEMBERS):
        raise error
    return _read_room(rows)


def _read_update(rows: list[_UpdateRow], change: MemberChange) -> Member:
    (row,) = rows
    match row.outcome:
        case "may_not_change":
            raise RightRequiredError(Right.CHANGE_ROLES)
        case "may_not_mute":
            raise RightRequiredError(Right.MUTE_MEMBERS)
        case "not_member":
            raise NotFoundError("The user is not a member of this room.")
        case "past":
            raise InvalidInputError(
                "muted_until is not in the future; null lifts a mute.", pointer="/muted_until"
            )
        case "last_owner":
            raise ConflictError(
                "The user is the only owner of this room: give somebody else the role first."
            )
    right = Right.MUTE_MEMBERS if change.role is None else Right.CHANGE_ROLES
    if error := _find_refusal(row.outcome, right):
        raise error
    return _MEMBER.decode(row.member or "")


def _read_room(rows: list[_RemoveRow]) -> EventRoom:
    (row,) = rows
    if row.room is None:
        raise NotFoundError
    return _ROOM.decode(row.room)
