"""Creating and renaming rooms."""

from collections.abc import Sequence

import msgspec

from chat.conf import CLIENT_ID_MAX_LENGTH, ROOM_NAME_MAX_LENGTH
from chat.errors import IdempotencyConflictError, InvalidInputError, NotFoundError
from chat.queries.rooms import Room, decode_room
from chat.sql import Call, read_single_row


class CreatedRoom(msgspec.Struct, frozen=True):
    """The room, and whether it had been created before with the same key."""

    room: Room
    is_duplicate: bool


class _CreateRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/rooms.sql."""

    outcome: str
    invalid_user_id: str | None
    room: str | None


class _RenameRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/rooms.sql."""

    outcome: str


def create_room(
    name: str,
    user_ids: Sequence[str],
    *,
    created_by: str | None = None,
    client_id: str | None = None,
) -> Call[CreatedRoom]:
    """Create a room with its first members, or nothing; each member receives an event for each.

    `client_id`: a key of `created_by` that stands for one room for ever. Without it each call
    creates a room, so the service never repeats such a call itself.

    Errors: `InvalidInputError`; `IdempotencyConflictError` where the key stands for another room.
    """
    return Call(
        "create_room",
        _CreateRow,
        {
            "name": name,
            "user_ids": list(user_ids),
            "created_by": created_by,
            "client_id": client_id,
        },
        _read_created,
        is_repeatable=client_id is not None,
        publishes=True,
        # Of two calls with one key the second waits for the first.
        lock=(created_by, client_id) if client_id else None,
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
    if row.outcome == "conflict":
        raise IdempotencyConflictError("This client_id was used to create another room.")
    if row.outcome == "invalid_name":
        raise _refuse_name()
    if row.outcome == "invalid_key":
        raise InvalidInputError(
            f"A key has 1 to {CLIENT_ID_MAX_LENGTH} characters and belongs to a user.",
            pointer="/client_id",
        )
    raise InvalidInputError(f"{row.invalid_user_id!r} is not a user id.", pointer="/members")


def _read_renamed(rows: list[_RenameRow]) -> bool:
    outcome = read_single_row(rows).outcome
    if outcome == "invalid_name":
        raise _refuse_name()
    if outcome == "room_not_found":
        raise NotFoundError("There is no such room.")
    return outcome == "renamed"
