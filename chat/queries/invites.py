"""Reading invites."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from chat.errors import InviteGoneError, NotAMemberError, NotFoundError, RightRequiredError
from chat.queries.keyset import Slice
from chat.sql import Call

NO_SUCH_INVITE = "There is no such invite."


class Invite(msgspec.Struct, frozen=True):
    """An invite, without its token."""

    id: int
    room_id: int
    expires_at: str
    max_uses: int | None
    uses: int
    created_by: str
    created_at: str
    revoked_at: str | None


class InvitedRoom(msgspec.Struct, frozen=True):
    """What anyone who has an invite may know of its room."""

    id: int
    name: str
    member_count: int


class Invitation(msgspec.Struct, frozen=True):
    """Into which room an invite leads, and until when it can be used."""

    room: InvitedRoom
    expires_at: str


class _InvitationRow(msgspec.Struct, frozen=True):
    """An invite with its room."""

    room_id: int
    name: str
    member_count: int
    expires_at: str
    is_gone: bool


class _InviteRow(msgspec.Struct, frozen=True):
    """An invite, or nulls for an empty page."""

    refusal: str | None
    """Why the caller may not see them; see chat/sql/functions/rights.sql."""
    invite: str | None


_INVITE = msgspec.json.Decoder(Invite)


def decode_invite(text: str) -> Invite:
    """Return an invite that was composed in SQL."""
    return _INVITE.decode(text)


def find_invite(invite_id: int, created_at: datetime) -> Call[Invitation]:
    """Return into which room an invite leads. Errors: `NotFoundError`, `InviteGoneError`."""
    parameters = {"invite_id": invite_id, "created_at": created_at}
    return Call("find_invite", _InvitationRow, parameters, _read_invitation)


def list_invites(
    room_id: int, actor: str | None, part: Slice[int], *, allowed: Sequence[str]
) -> Call[list[Invite]]:
    """Return a part of a room's invites, the newest first, also those that are gone.

    `actor`: the user who asks, or None for the host's service. `allowed`: where the right to create
    invites is given, as `kind:role`.

    Errors: `NotAMemberError`, `RightRequiredError`.
    """
    return Call(
        part.choose("list_invites"),
        _InviteRow,
        {
            "room_id": room_id,
            "actor": actor,
            "allowed": list(allowed),
            "position": part.position,
            "limit": part.limit + 1,
        },
        _read_invites,
    )


def _read_invitation(rows: list[_InvitationRow]) -> Invitation:
    if not rows:
        raise NotFoundError(NO_SUCH_INVITE)
    (row,) = rows
    if row.is_gone:
        raise InviteGoneError
    return Invitation(InvitedRoom(row.room_id, row.name, row.member_count), row.expires_at)


def _read_invites(rows: list[_InviteRow]) -> list[Invite]:
    if rows[0].refusal == "right_required":
        raise RightRequiredError("create_invites")
    if rows[0].refusal is not None:
        raise NotAMemberError
    return [decode_invite(row.invite) for row in rows if row.invite is not None]
