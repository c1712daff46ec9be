"""Creating and renaming rooms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from chat.actions.caller import SERVICE, Caller
from chat.conf import (
    CLIENT_ID_MAX_LENGTH,
    DATA_MAX_BYTES,
    EXTERNAL_ID_MAX_LENGTH,
    ROOM_NAME_MAX_LENGTH,
)
from chat.errors import (
    BannedError,
    ChatError,
    ConflictError,
    IdempotencyConflictError,
    InvalidInputError,
    LimitReachedError,
    NotFoundError,
    RateLimitedError,
)
from chat.queries.rooms import Room, decode_room
from chat.sql import Call, read_single_row


class RoomProperties(msgspec.Struct, frozen=True):
    """What a new room has beside its name and its members."""

    kind: str = "public"
    data: Mapping[str, Any] | None = None
    history: str = "all"
    external_id: str | None = None

    def to_parameters(self) -> dict[str, str | None]:
        """Return what the statement `create_room` takes of it."""
        return {
            "kind": self.kind,
            "data": _encode(self.data).decode() if self.data else None,
            "history": self.history,
            "external_id": self.external_id,
        }


PLAIN = RoomProperties()


class CreationLimits(msgspec.Struct, frozen=True):
    """What a user may create; the host's service and staff have no limits."""

    per_user: str = ""
    """`20/86400`: so many rooms in any day; empty for no limit."""
    rooms_per_user: int = 0
    """In how many rooms the user may be; 0 for no limit."""
    members_per_room: int = 0
    """How many members a room may have; 0 for no limit."""


NO_LIMITS = CreationLimits()
_encode = msgspec.json.encode


class CreatedRoom(msgspec.Struct, frozen=True):
    """The room, and whether it had been created before with the same key."""

    room: Room
    is_duplicate: bool


class _CreateRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/rooms.sql."""

    outcome: str
    refused_user_id: str | None
    room: str | None
    retry_after: float | None
    """Seconds, for `rate_limited`."""


class _RenameRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/rooms.sql."""

    outcome: str


def create_room(
    name: str,
    user_ids: Sequence[str],
    properties: RoomProperties = PLAIN,
    *,
    by: Caller = SERVICE,
    client_id: str | None = None,
    limits: CreationLimits = NO_LIMITS,
) -> Call[CreatedRoom]:
    """Create a room with its first members, or nothing; each member receives an event for each.

    A user who creates a room is a member anyway, and its owner. `client_id`: a key of the caller
    that stands for one room for ever. Without it each call creates a room, so the service never
    repeats such a call itself.

    Errors: `InvalidInputError`; `IdempotencyConflictError` where the key stands for another room;
    `ConflictError` where another room has the external id, or where a user blocks the creator;
    `BannedError`; `LimitReachedError`; `RateLimitedError`; `NotFoundError` where the key stands for
    a room that the user may not see now.
    """
    return Call(
        "create_room",
        _CreateRow,
        {
            "by": by.to_json(),
            "name": name,
            "user_ids": list(user_ids),
            "client_id": client_id,
            **properties.to_parameters(),
            "created_per_user": limits.per_user,
            "rooms_per_user": limits.rooms_per_user,
            "members_per_room": limits.members_per_room,
        },
        lambda rows: _read_created(rows, by),
        is_repeatable=client_id is not None,
        publishes=True,
        # Of two calls with one key the second waits for the first.
        lock=(by.id, client_id) if client_id else None,
    )


def rename_room(room_id: int, name: str) -> Call[bool]:
    """Give a room another name and send the members an event; repeating it changes nothing.

    Returns whether the name was changed by this call.

    Errors: `NotFoundError`, `InvalidInputError`.
    """
    return Call(
        "rename_room",
        _RenameRow,
        {"room_id": room_id, "name": name},
        _read_renamed,
        publishes=True,
    )


def _refuse_name() -> InvalidInputError:
    return InvalidInputError(
        f"A room's name has 1 to {ROOM_NAME_MAX_LENGTH} characters.", pointer="/name"
    )


def describe_unwanted(outcome: str, user_id: str | None, by: Caller) -> ChatError:
    """Return the error for users who cannot begin a room, see `chat.find_unwanted`.

    `outcome`: `banned` or `blocked`; `user_id`: the one who is banned, or who blocks another one.
    To a user both are one answer, unless the user is the one who is banned: nobody is told who
    blocks whom.
    """
    if by.kind == "user":
        if outcome == "banned" and user_id == by.id:
            return BannedError("You are banned from all rooms. Nothing was created.")
        return ConflictError("There cannot be a room with all of these users. Nothing was created.")
    if outcome == "banned":
        return BannedError(f"{user_id!r} is banned from all rooms. Nothing was created.")
    return ConflictError(f"{user_id!r} blocks another one of these users. Nothing was created.")


def _read_created(rows: list[_CreateRow], by: Caller) -> CreatedRoom:
    row = read_single_row(rows)
    if row.room is not None:
        return CreatedRoom(decode_room(row.room), is_duplicate=row.outcome == "duplicate")
    raise _find_refusal(row, by)


def _find_refusal(row: _CreateRow, by: Caller) -> ChatError:
    if row.outcome in _REFUSALS:
        return _REFUSALS[row.outcome]()
    if row.outcome == "rate_limited":
        return RateLimitedError(
            "You created too many rooms in a short time. Nothing was created; try again later.",
            seconds=row.retry_after or 1,
        )
    if row.outcome in {"banned", "blocked"}:
        return describe_unwanted(row.outcome, row.refused_user_id, by)
    if row.outcome == "invalid_user":
        return InvalidInputError(f"{row.refused_user_id!r} is not a user id.", pointer="/members")
    field = row.outcome.removeprefix("invalid_")
    name = "client_id" if field == "key" else field
    return InvalidInputError(_RULES[name], pointer=f"/{name}")


_REFUSALS: Mapping[str, Callable[[], ChatError]] = {
    "conflict": lambda: IdempotencyConflictError("This client_id was used to create another room."),
    "room_not_found": NotFoundError,
    "external_id_taken": lambda: ConflictError(
        "Another room has this external_id. Nothing was created."
    ),
    "limit_reached": lambda: LimitReachedError(
        "You are in as many rooms as are allowed. Nothing was created."
    ),
    "too_many_members": lambda: LimitReachedError(
        "The room would have more members than are allowed. Nothing was created."
    ),
    "invalid_name": _refuse_name,
}
_RULES: Mapping[str, str] = {
    "client_id": f"A key has 1 to {CLIENT_ID_MAX_LENGTH} characters and belongs to a user.",
    "kind": "The kind is public or private.",
    "history": "The history is all or since_join.",
    "data": f"data is an object whose JSON has at most {DATA_MAX_BYTES} bytes.",
    "external_id": f"An external_id has 1 to {EXTERNAL_ID_MAX_LENGTH} characters.",
}


def _read_renamed(rows: list[_RenameRow]) -> bool:
    outcome = read_single_row(rows).outcome
    if outcome == "invalid_name":
        raise _refuse_name()
    if outcome == "room_not_found":
        raise NotFoundError("There is no such room.")
    return outcome == "renamed"
