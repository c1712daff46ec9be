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


PLAIN = RoomProperties()


_encode = msgspec.json.encode


class CreatedRoom(msgspec.Struct, frozen=True):
    """The room, and whether it had been created before with the same key."""

    room: Room
    is_duplicate: bool


class _CreateRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/rooms.sql."""

    outcome: str
    invalid_user_id: str | None
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
    limit: str = "",
) -> Call[CreatedRoom]:
    """Create a room with its first members, or nothing; each member receives an event for each.

    A user who creates a room is its owner, and a member anyway. `client_id`: a key of the caller
    that stands for one room for ever. Without it each call creates a room, so the service never
    repeats such a call itself. `limit`: how many rooms a user may create, as `20/86400`; empty for
    no limit.

    Errors: `InvalidInputError`; `IdempotencyConflictError` where the key stands for another room;
    `ConflictError` where another room has the external id; `BannedError`; `RateLimitedError`;
    `NotFoundError` where the key stands for a room that the user may not see now.
    """
    return Call(
        "create_room",
        _CreateRow,
        {
            "by": by.to_json(),
            "name": name,
            "user_ids": list(user_ids),
            "client_id": client_id,
            "kind": properties.kind,
            "data": _encode(properties.data).decode() if properties.data else None,
            "history": properties.history,
            "external_id": properties.external_id,
            "limit": limit,
        },
        _read_created,
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


def _read_created(rows: list[_CreateRow]) -> CreatedRoom:
    row = read_single_row(rows)
    if row.room is not None:
        return CreatedRoom(decode_room(row.room), is_duplicate=row.outcome == "duplicate")
    raise _find_refusal(row)


def _find_refusal(row: _CreateRow) -> ChatError:
    if row.outcome in _REFUSALS:
        return _REFUSALS[row.outcome]()
    if row.outcome == "rate_limited":
        return RateLimitedError(
            "You created too many rooms in a short time. Nothing was created; try again later.",
            seconds=row.retry_after or 1,
        )
    if row.outcome == "invalid_user":
        return InvalidInputError(f"{row.invalid_user_id!r} is not a user id.", pointer="/members")
    field = row.outcome.removeprefix("invalid_")
    name = "client_id" if field == "key" else field
    return InvalidInputError(_RULES[name], pointer=f"/{name}")


_REFUSALS: Mapping[str, Callable[[], ChatError]] = {
    "conflict": lambda: IdempotencyConflictError("This client_id was used to create another room."),
    "room_not_found": NotFoundError,
    "external_id_taken": lambda: ConflictError(
        "Another room has this external_id. Nothing was created."
    ),
    "banned": lambda: BannedError("You are banned from all rooms."),
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
