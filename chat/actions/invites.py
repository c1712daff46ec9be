"""Creating, revoking and accepting invites."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chat.actions.caller import Caller
from chat.actions.joins import EntryLimits, EntryRow, require_entry
from chat.errors import (
    ConflictError,
    InviteGoneError,
    NotFoundError,
    RightRequiredError,
    RoomArchivedError,
    RoomBusyError,
)
from chat.events import EventRoom
from chat.queries.invites import NO_SUCH_INVITE, Invite, decode_invite
from chat.sql import Call, read_single_row


class _CreateRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/invites.sql."""

    outcome: str
    invite: str | None


class _RevokeRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/invites.sql."""

    outcome: str


def create_invite(
    room_id: int,
    by: Caller,
    *,
    seconds: int,
    max_uses: int | None,
    allowed: Sequence[str],
    waits: bool = True,
) -> Call[Invite]:
    """Create an invite into a room that expires after so many seconds.

    `max_uses`: how many users may join by it; None for any number. `allowed`: where the right to
    create invites is given, as `kind:role`. `waits`: as for `chat.actions.joins.join_room`.

    Errors: `NotFoundError`, `RightRequiredError`, `RoomArchivedError`; `ConflictError` for a direct
    room.
    """
    return Call(
        "create_invite",
        _CreateRow,
        {
            "room_id": room_id,
            "seconds": seconds,
            "max_uses": max_uses,
            "by": by.to_json(),
            "allowed": list(allowed),
            "waits": waits,
        },
        _read_created,
        is_repeatable=False,
        lock=room_id if waits else None,
    )


def revoke_invite(
    room_id: int, invite_id: int, by: Caller, *, allowed: Sequence[str], waits: bool = True
) -> Call[None]:
    """Let nobody join by an invite from now on; repeating it changes nothing.

    The other arguments are those of `create_invite`. Errors: `NotFoundError`, also for an invite of
    another room; `RightRequiredError`.
    """
    return Call(
        "revoke_invite",
        _RevokeRow,
        {
            "room_id": room_id,
            "invite_id": invite_id,
            "by": by.to_json(),
            "allowed": list(allowed),
            "waits": waits,
        },
        _read_revoked,
        lock=room_id if waits else None,
    )


def accept_invite(
    invite_id: int, created_at: datetime, user_id: str, limits: EntryLimits
) -> Call[EventRoom]:
    """Make a user a member by an invite and return the room; repeating it changes nothing.

    Each user who joins is one use, exactly, however many accept at once.

    Errors: those of `chat.actions.joins.join_room`; `InviteGoneError`.
    """
    return Call(
        "accept_invite",
        EntryRow,
        {
            "invite_id": invite_id,
            "created_at": created_at,
            "user_id": user_id,
            "joins_per_user": limits.joins_per_user,
            "rooms_per_user": limits.rooms_per_user,
            "members_per_room": limits.members_per_room,
        },
        _read_accepted,
        publishes=True,
        lock=("invite", invite_id),
    )


def _read_created(rows: list[_CreateRow]) -> Invite:
    row = read_single_row(rows)
    if row.invite is not None:
        return decode_invite(row.invite)
    if row.outcome == "direct":
        raise ConflictError("Nobody joins a direct room, so there are no invites into it.")
    if row.outcome == "archived":
        raise RoomArchivedError
    raise _refuse(row.outcome)


def _read_revoked(rows: list[_RevokeRow]) -> None:
    outcome = read_single_row(rows).outcome
    if outcome not in {"revoked", "already"}:
        raise _refuse(outcome)


def _read_accepted(rows: list[EntryRow]) -> EventRoom:
    row = read_single_row(rows)
    if row.outcome == "gone":
        raise InviteGoneError
    if row.outcome == "invite_not_found":
        raise NotFoundError(NO_SUCH_INVITE)
    return require_entry(row)


def _refuse(outcome: str) -> NotFoundError | RightRequiredError | RoomBusyError:
    if outcome == "right_required":
        return RightRequiredError("create_invites")
    if outcome == "busy":
        return RoomBusyError()
    return NotFoundError(NO_SUCH_INVITE) if outcome == "invite_not_found" else NotFoundError()
