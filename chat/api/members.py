"""Members of a room: list; add and remove for the host's service."""

from litestar import delete, get, post

from chat import actions, queries
from chat.actions.members import Addition
from chat.api.bodies import parse_body, require_user_ids
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_room_id, parse_user_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import AddMembersBody, MemberPage
from chat.api.security import ApiRequest, authenticated, service_only
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}/members"


@get(PATH, guards=[authenticated], operation=Operation(query=PageQuery))
async def list_members(request: ApiRequest, room_id: str, database: Database) -> MemberPage:
    """List a room's members by user id.

    Query: `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`.

    404 when the room is unknown or the caller is not a member.
    """
    part = read_slice(parse_query(request, PageQuery), str, find_fault=describe_invalid_user_id)
    call = queries.members.list_members(parse_room_id(room_id), request.user.user_id, part)
    members = await database.run(call)
    return make_page(MemberPage, request, part, members, lambda member: member.user)


@post(
    PATH,
    guards=[authenticated, service_only],
    status_code=200,
    operation=Operation(body=AddMembersBody, example={"users": ["u123", "u789"]}),
)
async def add_members(
    request: ApiRequest, room_id: str, body: bytes, database: Database
) -> Addition:
    """Add users to a room as one change; repeating it changes nothing.

    For the host's service. Body: `users`, up to 1,000 user ids; one given twice counts once.

    404 when the room is unknown.
    """
    wanted = parse_body(request, body, AddMembersBody)
    require_user_ids(wanted.users, pointer="/users")
    return await database.run(actions.members.add_members(parse_room_id(room_id), wanted.users))


@delete(PATH + "/{user_id:str}", guards=[authenticated, service_only])
async def remove_member(room_id: str, user_id: str, database: Database) -> None:
    """Remove a user from a room; 204 also when the user was not a member.

    For the host's service. Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`.

    404 when the room is unknown.
    """
    room, user = parse_room_id(room_id), parse_user_id(user_id)
    await database.run(actions.members.remove_member(room, user))
