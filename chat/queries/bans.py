"""Reading bans."""

from typing import Annotated

import msgspec

from chat.errors import NotAMemberError, NotFoundError, RightRequiredError
from chat.queries.keyset import Slice
from chat.queries.members import Reader
from chat.sql import Call

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class Ban(msgspec.Struct, frozen=True):
    """A user who may not be in a room, or in any room."""

    user: str
    until: Time | None
    """Null: for ever."""
    reason: str
    created_by: str
    """The moderator, or the `sub` of the service's token, or the name of the member of staff."""
    created_at: Time


class _BanRow(msgspec.Struct, frozen=True):
    """A ban; without one, only what the reader may know, for an empty page."""

    is_visible: bool
    is_allowed: bool | None
    ban: str | None


class _FoundRow(msgspec.Struct, frozen=True):
    ban: str


_BAN = msgspec.json.Decoder(Ban)


def list_bans(
    room_id: int, reader: Reader, allowed: list[str], part: Slice[str]
) -> Call[list[Ban]]:
    """Return a part of the bans from a room that are in force, by user id.

    `allowed`: the roles that may ban, as `kind:role`.

    Errors: `NotAMemberError`; `RightRequiredError` for a member whose role may not ban.
    """
    return Call(
        part.choose("list_bans"),
        _BanRow,
        {
            "room_id": room_id,
            "reader": reader.user_id,
            "is_service": reader.is_service,
            "allowed": allowed,
            "position": part.position,
            "limit": part.limit + 1,
        },
        _read_bans,
    )


def find_ban(user_id: str) -> Call[Ban]:
    """Return the ban of a user from all rooms. Errors: `NotFoundError`."""
    return Call("find_ban", _FoundRow, {"user_id": user_id}, _read_ban)


def _read_bans(rows: list[_BanRow]) -> list[Ban]:
    if not rows[0].is_visible:
        raise NotAMemberError
    if not rows[0].is_allowed:
        raise RightRequiredError("ban_members")
    return [_BAN.decode(row.ban) for row in rows if row.ban is not None]


def _read_ban(rows: list[_FoundRow]) -> Ban:
    if not rows:
        raise NotFoundError("The user is not banned from all rooms.")
    return _BAN.decode(rows[0].ban)
