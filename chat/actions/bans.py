"""Bans: from a room, or from all rooms, and what is done after one.

A ban is one call, after which the user enters nothing and sends nothing. What follows can be much:
ending memberships and deleting messages are short transactions, each of one room or of at most 50
messages, for a few seconds a request. A request that did not finish says so, and the same request
again goes on where it stopped.
"""

import asyncio
from datetime import datetime

import msgspec

from app.permissions import Right, list_allowed
from chat.actions.caller import Caller
from chat.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RightRequiredError,
    RoomBusyError,
)
from chat.queries.bans import Ban
from chat.sql import Call, read_single_row
from chat.sql.database import Database

LATEST_SECONDS = 24 * 3600
"""How old the messages of a banned user can be that are deleted with the ban."""
FOLLOWING_SECONDS = 3.0
"""How long a request ends memberships and deletes messages; it is answered within five seconds."""
ROOMS_AT_ONCE = 200


class NewBan(msgspec.Struct, frozen=True):
    """A ban as it is wanted."""

    user_id: str
    until: datetime | None = None
    """None: for ever."""
    reason: str = ""
    deletes_messages: bool = False
    """Whether the user's messages of the last day are deleted too."""


class Banned(Ban, frozen=True, kw_only=True):
    """The ban, and what the request did after it."""

    rooms_left: int
    """How many memberships were ended."""
    messages_deleted: int
    is_complete: bool
    """Whether nothing is left to do. If not, send the same request again: it goes on."""


class _BanRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/bans.sql."""

    outcome: str
    ban: str | None
    is_member: bool | None


class _OutcomeRow(msgspec.Struct, frozen=True):
    outcome: str


class _DeletedRow(msgspec.Struct, frozen=True):
    deleted: int
    next_before: int | None


class _RoomRow(msgspec.Struct, frozen=True):
    room_id: int


class Written(msgspec.Struct, frozen=True):
    """A ban that is in force, and whether a membership was ended with it."""

    ban: Ban
    was_member: bool


_BAN = msgspec.json.Decoder(Ban)


def ban_from_room(room_id: int, wanted: NewBan, by: Caller) -> Call[Written]:
    """Ban a user from a room and end the membership, as one change; repeating it changes nothing.

    Errors: `NotFoundError`, `RightRequiredError`; `ConflictError` for a direct room and for
    oneself; `InvalidInputError` for a time that is over.
    """
    return Call(
        "ban_from_room",
        _BanRow,
        {"room_id": room_id, "allowed": list_allowed(Right.BAN_MEMBERS)} | _describe(wanted, by),
        _read_written,
        publishes=True,
        lock=room_id,
    )


def ban_from_all_rooms(wanted: NewBan, by: Caller) -> Call[Written]:
    """Ban a user from all rooms: from then on the user enters none, and sends nothing.

    `leave_rooms` ends the memberships. Errors: `RightRequiredError` for a user; `InvalidInputError`
    for a time that is over.
    """
    return Call("ban_from_all_rooms", _BanRow, _describe(wanted, by), _read_written)


def lift_ban(room_id: int | None, user_id: str, by: Caller) -> Call[bool]:
    """Lift a ban from a room, or from all rooms; return whether there was one.

    Errors: `NotFoundError`, `RightRequiredError`.
    """
    return Call(
        "lift_ban",
        _OutcomeRow,
        {
            "room_id": room_id,
            "user_id": user_id,
            "by": by.to_json(),
            "allowed": list_allowed(Right.BAN_MEMBERS),
        },
        _read_lifted,
        lock=room_id,
    )


def list_rooms_to_leave(
    user_id: str, after: int = 0, limit: int = ROOMS_AT_ONCE
) -> Call[list[int]]:
    """Return the next rooms of a user that are not direct, by id."""
    parameters = {"user_id": user_id, "after": after, "limit": limit}
    return Call(
        "list_rooms_to_leave", _RoomRow, parameters, lambda rows: [row.room_id for row in rows]
    )


def remove_banned_member(room_id: int, user_id: str, by: Caller) -> Call[bool]:
    """End one membership of a user who is banned from all rooms; return whether it was ended."""
    return Call(
        "remove_banned_member",
        _OutcomeRow,
        {"room_id": room_id, "user_id": user_id, "by": by.to_json()},
        lambda rows: read_single_row(rows).outcome == "removed",
        publishes=True,
        lock=room_id,
    )


def delete_recent_messages(
    user_id: str, room_id: int | None, before: int | None = None
) -> Call[_DeletedRow]:
    """Delete up to 50 of the user's messages of the last day, those older than `before`."""
    return Call(
        "delete_recent_messages",
        _DeletedRow,
        {"user_id": user_id, "room_id": room_id, "seconds": LATEST_SECONDS, "before": before},
        read_single_row,
        publishes=True,
        lock=room_id,
    )


class Following:
    """What is done after a ban, for a few seconds; it counts, and knows whether it is complete."""

    def __init__(self, database: Database, user_id: str, by: Caller) -> None:
        self._database, self._user_id, self._by = database, user_id, by
        self._deadline = asyncio.get_running_loop().time() + FOLLOWING_SECONDS
        self.rooms_left = self.messages_deleted = 0
        self.is_complete = True

    def _has_time(self) -> bool:
        if asyncio.get_running_loop().time() >= self._deadline:
            self.is_complete = False
        return self.is_complete

    async def leave_rooms(self) -> None:
        """End the memberships, each in its own transaction; a room that is busy is left out."""
        after, skipped = 0, False
        while rooms := await self._database.run(list_rooms_to_leave(self._user_id, after)):
            for room_id in rooms:
                if not self._has_time():
                    return
                try:
                    self.rooms_left += await self._database.run(
                        remove_banned_member(room_id, self._user_id, self._by)
                    )
                except RoomBusyError:
                    skipped = True
            after = rooms[-1]
        self.is_complete = not skipped

    async def delete_messages(self, room_id: int | None) -> None:
        """Delete the messages of the last day, the newest first."""
        before: int | None = None
        while self._has_time():
            call = delete_recent_messages(self._user_id, room_id, before)
            row = await self._database.run(call)
            self.messages_deleted += row.deleted
            before = row.next_before
            if before is None:
                return


async def ban_user(database: Database, room_id: int | None, wanted: NewBan, by: Caller) -> Banned:
    """Ban a user from a room, or from all rooms, and do what follows for a few seconds.

    Repeating it changes nothing, and goes on with what was left. Errors: those of `ban_from_room`
    and of `ban_from_all_rooms`, after which nothing was done.
    """
    if room_id is None:
        written = await database.run(ban_from_all_rooms(wanted, by))
    else:
        written = await database.run(ban_from_room(room_id, wanted, by))
    following = Following(database, wanted.user_id, by)
    following.rooms_left = int(written.was_member)
    try:
        if room_id is None:
            await following.leave_rooms()
        if wanted.deletes_messages and following.is_complete:
            await following.delete_messages(room_id)
    except RoomBusyError:
        following.is_complete = False
    return Banned(
        **msgspec.structs.asdict(written.ban),
        rooms_left=following.rooms_left,
        messages_deleted=following.messages_deleted,
        is_complete=following.is_complete,
    )


def _describe(wanted: NewBan, by: Caller) -> dict[str, object]:
    return {
        "user_id": wanted.user_id,
        "until": wanted.until,
        "reason": wanted.reason,
        "deletes": wanted.deletes_messages,
        "by": by.to_json(),
    }


def _read_written(rows: list[_BanRow]) -> Written:
    row = read_single_row(rows)
    match row.outcome:
        case "room_not_found":
            raise NotFoundError
        case "right_required":
            raise RightRequiredError(Right.BAN_MEMBERS)
        case "outranked":
            raise RightRequiredError(
                Right.BAN_MEMBERS,
                "This takes a higher role: a member is banned by higher roles, an owner by owners.",
            )
        case "direct":
            raise ConflictError(
                "The members of a direct room never change. Users block each other instead."
            )
        case "self":
            raise ConflictError("You cannot ban yourself.")
        case "past":
            raise InvalidInputError(
                "until is not in the future; null is for ever.", pointer="/until"
            )
        case "invalid_user":
            raise InvalidInputError("This cannot be a user id.", pointer="user_id")
    return Written(_BAN.decode(row.ban or ""), bool(row.is_member))


def _read_lifted(rows: list[_OutcomeRow]) -> bool:
    outcome = read_single_row(rows).outcome
    if outcome == "room_not_found":
        raise NotFoundError
    if outcome == "right_required":
        raise RightRequiredError(Right.BAN_MEMBERS)
    return outcome == "lifted"
