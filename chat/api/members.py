"""Members of a room: list, join, leave; add and remove for the host's service."""

from typing import Any

from litestar import Request, delete, get, post

from chat.actions.members import (
    Addition,
    read_addition,
    read_room_after,
)
from chat.actions.members import add_members as add_members_call
from chat.actions.members import remove_member as remove_member_call
from chat.api.openapi.operations import CURSOR, LIMIT, Operation
from chat.api.pagination import make_page, read_cursor
from chat.api.parameters import (
    parse_body,
    parse_limit,
    parse_room_id,
    parse_user_id,
    require_user_ids,
)
from chat.api.schemas import AddMembersBody, Membership, Page
from chat.api.security import authenticated, service_only
from chat.errors import InvalidInputError
from chat.queries.members import Member, list_members_backwards, read_members
from chat.queries.members import list_members as list_members_call
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}/members"


@get(PATH, guards=[authenticated], operation=Operation(query=(LIMIT, CURSOR)))
async def list_members(
    request: Request[Any, Any, Any], room_id: str, database: Database
) -> Page[Member]:
    """List a room's members by user id.

    Query: `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`.

    404 when the room is unknown or the caller is not in it.
    """
    limit = parse_limit(request)
    room = parse_room_id(room_id)
    position, is_backwards = read_cursor(request, str)
    if position is not None and describe_invalid_user_id(position) is not None:
        raise InvalidInputError("This is no cursor of this list.", pointer="cursor")
    call = (
        list_members_backwards(room, request.user.user_id, before=position, limit=limit + 1)
        if position is not None and is_backwards
        else list_members_call(room, request.user.user_id, after=position, limit=limit + 1)
    )
    return make_page(
        request,
        read_members(await database.fetch_all(call)),
        limit=limit,
        is_backwards=is_backwards,
        is_first=position is None,
        position_of=lambda member: member.user,
    )


@post("/api/rooms/{room_id:str}/join", guards=[authenticated], status_code=200)
async def join_room(
    request: Request[Any, Any, Any], room_id: str, database: Database
) -> Membership:
    """Make the caller a member and tell all members; repeating it changes nothing.

    404 when the room is unknown.
    """
    user_id = request.user.user_id
    rows = await database.fetch_all(add_members_call(parse_room_id(room_id), [user_id]))
    return Membership(room=read_room_after(rows[0]), user=user_id, joined=True)


@post("/api/rooms/{room_id:str}/leave", guards=[authenticated], status_code=200)
async def leave_room(
    request: Request[Any, Any, Any], room_id: str, database: Database
) -> Membership:
    """End the caller's membership and tell all members; repeating it changes nothing.

    404 when the room is unknown.
    """
    user_id = request.user.user_id
    row = await database.fetch_one(remove_member_call(parse_room_id(room_id), user_id))
    return Membership(room=read_room_after(row), user=user_id, joined=False)


@post(
    PATH,
    guards=[authenticated, service_only],
    status_code=200,
    operation=Operation(body=AddMembersBody, example={"users": ["u123", "u789"]}),
)
async def add_members(
    request: Request[Any, Any, Any], room_id: str, body: bytes, database: Database
) -> Addition:
    """Add users to a room as one change; repeating it changes nothing; for the host's service.

    Body: `users`, up to 1,000 user ids; one named twice counts once.

    404 when the room is unknown.
    """
    wanted = parse_body(request, body, AddMembersBody)
    require_user_ids(wanted.users, pointer="/users")
    return read_addition(
        await database.fetch_all(add_members_call(parse_room_id(room_id), wanted.users))
    )


@delete(PATH + "/{user_id:str}", guards=[authenticated, service_only])
async def remove_member(room_id: str, user_id: str, database: Database) -> None:
    """Remove a user from a room; 204 also when it was no member; for the host's service.

    Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`.

    404 when the room is unknown.
    """
    room, user = parse_room_id(room_id), parse_user_id(user_id)
    row = await database.fetch_one(remove_member_call(room, user))
    read_room_after(row)
