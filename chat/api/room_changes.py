"""Rooms: change and delete."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import delete, get, patch

from app.permissions import Right, list_allowed
from chat import actions, queries
from chat.actions.room_deletions import RoomDeletions
from chat.api.bodies import parse_body, require_room_data
from chat.api.openapi.operations import Operation
from chat.api.paths import parse_room_id
from chat.api.rooms import RIGHTS
from chat.api.schemas import ChangeRoomBody
from chat.api.security import ApiRequest, authenticated, read_caller, service_only
from chat.errors import InvalidInputError
from chat.queries.room_deletions import RoomDeletion
from chat.queries.rooms import Room
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}"


@patch(
    PATH,
    guards=[authenticated],
    operation=Operation(
        body=ChangeRoomBody,
        example={"name": "general", "data": {"topic": "all of us"}, "history": "since_join"},
        problems=(
            "right_required",
            "service_rights_required",
            "conflict",
            "room_archived",
        ),
    ),
)
async def change_room(request: ApiRequest, room_id: str, body: bytes, database: Database) -> Room:
    """Change a room, and send the members one event; repeating it changes nothing.

    Body: the fields to change, at least one. `name`; `data`, an object of at most 4,096 bytes that
    replaces the one before, or null for none; `history`, `all` or `since_join`;
    `slow_mode_seconds`, 0 to 86,400: with the right `change_room`. `archived`, true or false: with
    the right `archive_room`. `external_id`, which may be null, and `kind`, `public` or `private`:
    by the host's service only, which may change all.

    200 with the room; 404 when the room is unknown or the caller is not a member; 403 when the
    caller's role lacks the right; 409 for an archived room that is not restored by the call, for
    an `external_id` of another room, and for a name or kind of a direct room.
    """
    wanted = parse_body(request, body, ChangeRoomBody)
    changes = _read_changes(wanted)
    return await database.run(
        actions.room_changes.change_room(
            read_caller(request),
            parse_room_id(room_id),
            changes,
            change_allowed=list_allowed(Right.CHANGE_ROOM),
            archive_allowed=list_allowed(Right.ARCHIVE_ROOM),
            rights=RIGHTS,
        )
    )


@delete(PATH, guards=[authenticated, service_only], status_code=202)
async def delete_room(
    request: ApiRequest, room_id: str, database: Database, room_deletions: RoomDeletions
) -> RoomDeletion:
    """Delete a room with its members, messages and log; repeating it answers the same receipt.

    For the host's service. When it is answered, the room is gone for everyone: its members receive
    `room_deleted`, and no address has it, also for the service. Its rows are deleted in the
    background; `GET /api/room-deletions/{room_id}/` shows how far that is.

    202 with the receipt; 404 when the room is unknown.
    """
    call = actions.room_deletions.delete_room(read_caller(request), parse_room_id(room_id))
    receipt = await database.run(call)
    room_deletions.start_soon()
    return receipt


@get("/api/room-deletions/{room_id:str}", guards=[authenticated, service_only])
async def read_room_deletion(room_id: str, database: Database) -> RoomDeletion:
    """Return the receipt of a room's deletion: what was deleted so far, and when it was finished.

    For the host's service. 404 where the room was not deleted.
    """
    return await database.run(queries.room_deletions.get_room_deletion(parse_room_id(room_id)))


def _read_changes(wanted: ChangeRoomBody) -> Mapping[str, Any]:
    """Return the fields that were given. Errors: `InvalidInputError`."""
    given = msgspec.structs.asdict(wanted)
    changes = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    if not changes:
        raise InvalidInputError("Give at least one field to change.", pointer="")
    require_room_data(changes.get("data"))
    return changes
