"""Direct rooms: the one room of some people."""

from litestar import Response, post

from chat import actions
from chat.api.bodies import parse_body, require_user_ids
from chat.api.openapi.operations import Operation
from chat.api.schemas import OpenDirectRoomBody
from chat.api.security import ApiRequest, authenticated, may_create_rooms, read_caller
from chat.conf import load_configuration
from chat.queries.rooms import Room
from chat.sql.database import Database


@post(
    "/api/rooms/direct",
    guards=[authenticated, may_create_rooms],
    operation=Operation(
        body=OpenDirectRoomBody,
        example={"users": ["u123", "u456"]},
        answers={200: "The room that these users had before, as it is now."},
        problems=("conflict", "banned", "rate_limited", "service_rights_required"),
        links={
            name: {"room_id": "id"}
            for name in ("send_message", "list_messages", "list_members", "list_events")
        },
    ),
)
async def open_direct_room(request: ApiRequest, body: bytes, database: Database) -> Response[Room]:
    """Find the direct room of exactly these users, or create it.

    For the host's service, and for users where `CHAT_USERS_MAY_CREATE` is `private` or `any`. Body:
    `users`, user ids in any order; the user who calls is one of them, named or not. There are 2 to
    8 of them, and they never change. `name` is made of their ids: show the other people's names.

    201 with the room; 200 when they had it before, and then nothing is changed. 409 when there
    cannot be a room with all of them, because one of them blocks another one, or is banned; 403
    when the caller is banned; 429 when the caller opened too many.
    """
    wanted = parse_body(request, body, OpenDirectRoomBody)
    require_user_ids(wanted.users, pointer="/users")
    is_limited = not request.user.is_service
    opened = await database.run(
        actions.direct_rooms.open_direct_room(
            wanted.users,
            by=read_caller(request),
            opened_per_user=load_configuration().direct_rooms_per_user if is_limited else "",
        )
    )
    return Response(opened.room, status_code=200 if opened.is_duplicate else 201)
