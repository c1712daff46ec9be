"""Rooms: list, read, create."""

import re
from datetime import datetime
from typing import Any

from litestar import Request, get, post

from chat.actions.rooms import create_room as create_room_call
from chat.actions.rooms import read_created_room
from chat.api.openapi.operations import CURSOR, LIMIT, Operation
from chat.api.pagination import make_page, read_cursor
from chat.api.parameters import (
    parse_body,
    parse_limit,
    parse_room_id,
    require_user_ids,
)
from chat.api.schemas import CreateRoomBody, Page
from chat.api.security import authenticated, service_only
from chat.conf import BIGINT_MAX
from chat.errors import InvalidInputError
from chat.queries.rooms import (
    Room,
    RoomPosition,
    RoomRow,
    find_room,
    list_rooms_backwards,
    read_rooms,
    require_room,
)
from chat.queries.rooms import list_rooms as list_rooms_call
from chat.sql.database import Database

# Times as `chat.time_text` writes them.
_TIME = re.compile(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", re.ASCII)


@get("/api/rooms", guards=[authenticated], operation=Operation(query=(LIMIT, CURSOR)))
async def list_rooms(request: Request[Any, Any, Any], database: Database) -> Page[Room]:
    """List the caller's rooms, the one with the latest message first.

    Query: `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`.
    """
    limit = parse_limit(request)
    position, is_backwards = read_cursor(request, RoomPosition)
    if position is not None:
        _check_position(position)
    call = (
        list_rooms_backwards(request.user.user_id, before=position, limit=limit + 1)
        if position is not None and is_backwards
        else list_rooms_call(request.user.user_id, after=position, limit=limit + 1)
    )
    page = make_page(
        request,
        await database.fetch_all(call),
        limit=limit,
        is_backwards=is_backwards,
        is_first=position is None,
        position_of=_position_of,
    )
    return Page(next=page.next, previous=page.previous, results=read_rooms(page.results))


def _position_of(row: RoomRow) -> RoomPosition:
    return RoomPosition(row.bumped_at, row.id)


def _check_position(position: RoomPosition) -> None:
    """Refuse a place that PostgreSQL could not read: a cursor comes from outside."""
    if not _is_time(position.bumped_at) or not 1 <= position.id <= BIGINT_MAX:
        raise InvalidInputError("This is no cursor of this list.", pointer="cursor")


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return _TIME.match(text) is not None


@get("/api/rooms/{room_id:str}", guards=[authenticated])
async def read_room(request: Request[Any, Any, Any], room_id: str, database: Database) -> Room:
    """Return a room of the caller; 404 when it is unknown or the caller is not in it."""
    call = find_room(request.user.user_id, parse_room_id(room_id))
    return require_room(await database.fetch_all(call))


@post(
    "/api/rooms",
    guards=[authenticated, service_only],
    operation=Operation(
        body=CreateRoomBody,
        example={"name": "general", "members": ["u123", "u456"]},
        links={
            name: {"room_id": "id"}
            for name in ("send_message", "list_messages", "list_members", "list_events")
        },
    ),
)
async def create_room(request: Request[Any, Any, Any], body: bytes, database: Database) -> Room:
    """Create a room with its first members, each of whom is told of each; for the host's service.

    Body: `name`, 1 to 255 characters; `members`, optional, up to 1,000 user ids.
    """
    wanted = parse_body(request, body, CreateRoomBody)
    require_user_ids(wanted.members, pointer="/members")
    return read_created_room(
        await database.fetch_one(create_room_call(wanted.name, wanted.members))
    )
