"""Changes of a room."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import patch

from app.permissions import Right, list_allowed
from chat import actions
from chat.api.bodies import parse_body
from chat.api.openapi.operations import Operation
from chat.api.paths import parse_room_id
from chat.api.schemas import ChangeRoomBody
from chat.api.security import ApiRequest, authenticated, read_caller
from chat.conf import DATA_MAX_BYTES
from chat.errors import InvalidInputError
from chat.queries.rooms import Room
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}"
# An escaped NUL in JSON, but not an escaped backslash before `u0000`.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


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
        )
    )


def _read_changes(wanted: ChangeRoomBody) -> Mapping[str, Any]:
    """Return the fields that were given. Errors: `InvalidInputError`."""
    given = msgspec.structs.asdict(wanted)
    changes = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    if not changes:
        raise InvalidInputError("Give at least one field to change.", pointer="")
    if data := changes.get("data"):
        encoded = msgspec.json.encode(data)
        if len(encoded) > DATA_MAX_BYTES:
            raise InvalidInputError(
                f"data has at most {DATA_MAX_BYTES:,} bytes as JSON.", pointer="/data"
            )
        if _NUL.search(encoded):
            raise InvalidInputError("data has no NUL characters.", pointer="/data")
    return changes
