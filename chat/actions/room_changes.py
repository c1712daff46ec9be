"""Changing what a room is: its name, its data, its history, whether it is archived."""

from collections.abc import Mapping, Sequence

import msgspec

from chat.actions.caller import Caller
from chat.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RightRequiredError,
    RoomArchivedError,
    ServiceRightsRequiredError,
)
from chat.queries.rooms import Room, decode_room
from chat.sql import Call, read_single_row


class _ChangeRow(msgspec.Struct, frozen=True):
    """The outcome; see chat/sql/functions/room_changes.sql."""

    outcome: str
    subject: str | None
    room: str | None


_CONFLICTS = {
    "external_id": "Another room has this external_id.",
    "name": "A direct room has no name of its own.",
    "kind": "A direct room stays one.",
}


def change_room(
    caller: Caller,
    room_id: int,
    changes: Mapping[str, object],
    *,
    change_allowed: Sequence[str] = (),
    archive_allowed: Sequence[str] = (),
) -> Call[Room]:
    """Change a room and send the members one event; repeating it changes nothing.

    `changes`: the new value of each field to change, of `name`, `data`, `history`,
    `slow_mode_seconds`, `archived`, and, by the service and staff only, `external_id` and `kind`.
    `change_allowed`, `archive_allowed`: where users have these rights (`app.permissions`).

    Errors: `NotFoundError`, `RightRequiredError`, `ServiceRightsRequiredError`,
    `RoomArchivedError` for a change that does not restore an archived room, `ConflictError` for
    what a direct room does not have and for an external id in use, `InvalidInputError`.
    """
    return Call(
        "change_room",
        _ChangeRow,
        {
            "by": caller.to_json(),
            "room_id": room_id,
            "changes": msgspec.json.encode(changes).decode(),
            "change_allowed": list(change_allowed),
            "archive_allowed": list(archive_allowed),
        },
        _read_changed,
        publishes=True,
        lock=room_id,
    )


def _read_changed(rows: list[_ChangeRow]) -> Room:
    row = read_single_row(rows)
    if row.room is not None:
        return decode_room(row.room)
    subject = row.subject or ""
    if row.outcome == "right_required":
        raise RightRequiredError(subject)
    if row.outcome == "service_required":
        raise ServiceRightsRequiredError(f"Only the host's service changes {subject}.")
    if row.outcome == "archived":
        raise RoomArchivedError("The room is archived: restore it before you change it.")
    if row.outcome == "conflict":
        raise ConflictError(_CONFLICTS[subject])
    if row.outcome == "invalid":
        raise InvalidInputError(f"A room's {subject} cannot be this.", pointer=f"/{subject}")
    raise NotFoundError
