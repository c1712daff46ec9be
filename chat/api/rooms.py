"""Rooms: list, read, create."""

from typing import Annotated

import msgspec
from litestar import Response, get, post

from app.permissions import Kind, Role, list_rights
from chat import actions, queries
from chat.actions.rooms import NO_LIMITS, CreationLimits, RoomProperties
from chat.api.bodies import parse_body, require_room_data, require_user_ids
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_room_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import CreateRoomBody, RoomPage
from chat.api.security import ApiRequest, authenticated, may_create_rooms, read_caller
from chat.conf import ChatConfiguration, load_configuration
from chat.errors import InvalidInputError, ServiceRightsRequiredError
from chat.queries.rooms import Room, RoomPosition
from chat.sql.database import Database

RIGHTS = msgspec.json.encode(
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
            rights=RIGHTS,
        )
    )


@post(
    "/api/rooms",
    guards=[authenticated, may_create_rooms],
    operation=Operation(
        body=CreateRoomBody,
        example={
            "name": "general",
            "members": ["u123", "u456"],
            "client_id": "team-7",
            "kind": "private",
            "data": {"team": 7},
        },
        answers={200: "The room that was created with this `client_id`, as it is now."},
        problems=(
            *("client_id_conflict", "conflict", "banned", "limit_reached", "rate_limited"),
            *("not_found", "service_rights_required"),
        ),
        links={
            name: {"room_id": "id"}
            for name in ("send_message", "list_messages", "list_members", "list_events")
        },
    ),
)
async def create_room(request: ApiRequest, body: bytes, database: Database) -> Response[Room]:
    """Create a room with its first members; each receives a `user_joined` for each of them.

    For the host's service, and for users where `CHAT_USERS_MAY_CREATE` allows it: a user becomes
    the owner, and names first members only of a private room.

    Body: `name`, 1 to 255 characters. All else is optional: `members`, up to 1,000 user ids;
    `kind`, `public` or `private`, or what the host has set; `data`, an object of up to 4,096 bytes;
    `history`, `all` or `since_join`; `external_id`, the service's own key, 1 to 255 characters;
    `client_id`, up to 64 characters: creating again with the same key creates nothing and answers
    with the room as it is now.

    201 with the room; 200 when this caller used the key before; 409 when it was used with anything
    else, when another room has the `external_id`, when a user named blocks the caller, and when
    the caller, or the room, has reached a limit; 429 when the caller created too many.
    """
    wanted = parse_body(request, body, CreateRoomBody)
    require_user_ids(wanted.members, pointer="/members")
    require_room_data(wanted.data)
    configuration = load_configuration()
    kind = wanted.kind or configuration.default_room_kind
    limits = NO_LIMITS
    if not request.user.is_service:
        kind = _require_allowed(wanted, request.user.user_id, configuration)
        limits = CreationLimits(
            configuration.rooms_created_per_user,
            configuration.rooms_per_user,
            configuration.members_per_room,
        )
    created = await database.run(
        actions.rooms.create_room(
            wanted.name,
            wanted.members,
            RoomProperties(kind, wanted.data, wanted.history, wanted.external_id),
            by=read_caller(request),
            client_id=wanted.client_id,
            limits=limits,
        )
    )
    return Response(created.room, status_code=200 if created.is_duplicate else 201)


def _require_allowed(wanted: CreateRoomBody, user_id: str, configuration: ChatConfiguration) -> str:
    """Return the kind of the room that a user creates.

    Where users may create private rooms only, a room of which the kind is not said is private.

    Errors: `ServiceRightsRequiredError` for what users may not ask for; `InvalidInputError` for
    members of a public room, who join by themselves.
    """
    may_be_public = configuration.users_may_create == "any"
    kind = wanted.kind or (configuration.default_room_kind if may_be_public else "private")
    if wanted.external_id is not None:
        raise ServiceRightsRequiredError("Only the host's service gives a room an external_id.")
    if kind == "public":
        if not may_be_public:
            raise ServiceRightsRequiredError("Users may create private rooms only.")
        if set(wanted.members) - {user_id}:
            raise InvalidInputError(
                "A public room that a user creates has no other first members: they join it.",
                pointer="/members",
            )
    return kind
