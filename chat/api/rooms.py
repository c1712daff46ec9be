"""Rooms: list, read, create."""

from typing import Annotated

import msgspec
from litestar import Response, get, post

from app.permissions import Kind, Role, list_rights
from chat import actions, queries
from chat.api.bodies import parse_body, require_user_ids
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_room_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import CreateRoomBody, RoomPage
from chat.api.security import ApiRequest, authenticated, read_caller, service_only
from chat.queries.rooms import Room, RoomPosition
from chat.sql.database import Database

_RIGHTS = msgspec.json.encode(
    {f"{kind}:{role}": list_rights(kind, role) for kind in Kind for role in Role}
).decode()


class RoomsQuery(PageQuery, frozen=True):
    """A page of the caller's rooms."""

    archived: Annotated[
        bool,
        msgspec.Meta(description="Whether the rooms are listed that were archived, or the others."),
    ] = False


@get("/api/rooms", guards=[authenticated], operation=Operation(query=RoomsQuery))
async def list_rooms(request: ApiRequest, database: Database) -> RoomPage:
    """List the caller's rooms, the one with the latest message first.

    Query: `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`; `archived`: `true`
    lists the rooms that were archived, and only these.
    """
    query = parse_query(request, RoomsQuery)
    part = read_slice(query, RoomPosition)
    rooms = await database.run(
        queries.rooms.list_rooms(request.user.user_id, part, archived=query.archived)
    )
    return make_page(RoomPage, request, part, rooms, queries.rooms.read_position)


@get("/api/rooms/{room_id:str}", guards=[authenticated])
async def read_room(request: ApiRequest, room_id: str, database: Database) -> Room:
    """Return a room of the caller; 404 when it is unknown or the caller is not a member.

    `my.rights` says what the caller may do in it. The host's service reads any room; `my` is null
    where it is not a member.
    """
    caller = request.user
    return await database.run(
        queries.rooms.get_room(
            caller.user_id,
            parse_room_id(room_id),
            is_service=caller.is_service,
            rights=_RIGHTS,
        )
    )


@post(
    "/api/rooms",
    guards=[authenticated, service_only],
    operation=Operation(
        body=CreateRoomBody,
        example={
            "name": "general",
            "members": ["u123", "u456"],
            "client_id": "team-7",
        },
        answers={200: "The room that was created with this `client_id`, as it is now."},
        problems=("client_id_conflict",),
        links={
            name: {"room_id": "id"}
            for name in ("send_message", "list_messages", "list_members", "list_events")
        },
    ),
)
async def create_room(request: ApiRequest, body: bytes, database: Database) -> Response[Room]:
    """Create a room with its first members; each receives a `user_joined` for each of them.

    For the host's service. Body: `name`, 1 to 255 characters; `members`, optional, up to 1,000
    user ids; `client_id`, optional, up to 64 characters: creating again with the same key creates
    nothing and answers with the room as it is now.

    201 with the room; 200 when this caller used the key before; 409 when it was used with another
    name or other members.
    """
    wanted = parse_body(request, body, CreateRoomBody)
    require_user_ids(wanted.members, pointer="/members")
    created = await database.run(
        actions.rooms.create_room(
            wanted.name,
            wanted.members,
            by=read_caller(request),
            client_id=wanted.client_id,
        )
    )
    return Response(created.room, status_code=200 if created.is_duplicate else 201)
