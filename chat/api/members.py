"""Members of a room: list; add, remove and change by rights."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import delete, get, patch, post

from chat import actions, queries
from chat.actions.members import Addition, MemberChange
from chat.api.bodies import parse_body, require_user_ids
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_room_id, parse_user_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import (
    AddMembersBody,
    ChangeMemberBody,
    MemberPage,
    RoleName,
)
from chat.api.security import ApiRequest, authenticated, read_caller
from chat.conf import load_configuration
from chat.errors import InvalidInputError
from chat.queries.members import Member, Reader
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}/members"


class MembersQuery(PageQuery, frozen=True):
    """A page of a room's members."""

    role: Annotated[RoleName | None, msgspec.Meta(description="Only members with this role.")] = (
        None
    )


def _read_reader(request: ApiRequest) -> Reader:
    return Reader(request.user.user_id, request.user.is_service)


@get(PATH, guards=[authenticated], operation=Operation(query=MembersQuery))
async def list_members(request: ApiRequest, room_id: str, database: Database) -> MemberPage:
    """List a room's members by user id.

    Query: `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`; `role`: only members
    with this role.

    404 when the room is unknown or the caller is not a member. The host's service reads the members
    of any room.
    """
    query = parse_query(request, MembersQuery)
    part = read_slice(query, str, find_fault=describe_invalid_user_id)
    call = queries.members.list_members(
        parse_room_id(room_id), _read_reader(request), part, query.role
    )
    members = await database.run(call)
    return make_page(MemberPage, request, part, members, lambda member: member.user)


@get(PATH + "/{user_id:str}", guards=[authenticated])
async def read_member(
    request: ApiRequest, room_id: str, user_id: str, database: Database
) -> Member:
    """Return one member of a room.

    Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`.

    404 when the room is unknown, the caller is not a member, or the user is none. The host's
    service reads the members of any room.
    """
    room, user = parse_room_id(room_id), parse_user_id(user_id)
    return await database.run(queries.members.find_member(room, _read_reader(request), user))


@post(
    PATH,
    guards=[authenticated],
    status_code=200,
    operation=Operation(
        body=AddMembersBody,
        example={"users": ["u123", "u789"], "role": "member"},
        problems=("right_required", "conflict", "room_archived", "limit_reached"),
    ),
)
async def add_members(
    request: ApiRequest, room_id: str, body: bytes, database: Database
) -> Addition:
    """Add users to a room as one change; repeating it changes nothing.

    For the host's service, and for members with the right `add_members`. Body: `users`, up to 1,000
    user ids; one given twice counts once; `role`, optional, what the added users become: more than
    `member` takes the right `change_roles` too. Users who are members keep their roles.

    404 when the room is unknown or the caller is not a member; 403 when the caller's role lacks the
    right; 409 when a user is banned, the room is direct or archived, or would have more members
    than the host allows. Then nobody was added.
    """
    wanted = parse_body(request, body, AddMembersBody)
    require_user_ids(wanted.users, pointer="/users")
    call = actions.members.add_members(
        parse_room_id(room_id),
        wanted.users,
        read_caller(request),
        role=wanted.role,
        members_most=load_configuration().members_per_room or None,
    )
    return await database.run(call)


@delete(
    PATH + "/{user_id:str}",
    guards=[authenticated],
    operation=Operation(problems=("right_required", "conflict")),
)
async def remove_member(
    request: ApiRequest, room_id: str, user_id: str, database: Database
) -> None:
    """Remove a user from a room; 204 also when the user was not a member.

    For the host's service, and for members with the right `remove_members` and a higher role than
    the user's. Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`. Where the only owner is
    removed, the moderator who joined first becomes an owner, or else the member who did.

    404 when the room is unknown or the caller is not a member; 403 when the caller's role does not
    allow it; 409 when the room is direct.
    """
    room, user = parse_room_id(room_id), parse_user_id(user_id)
    await database.run(actions.members.remove_member(room, user, read_caller(request)))


@patch(
    PATH + "/{user_id:str}",
    guards=[authenticated],
    operation=Operation(
        body=ChangeMemberBody,
        example={"role": "moderator", "muted_until": None},
        problems=("right_required", "conflict", "room_archived"),
    ),
)
async def change_member(
    request: ApiRequest, room_id: str, user_id: str, body: bytes, database: Database
) -> Member:
    """Change a member's role, or until when the member may not send, as one change.

    For the host's service, and for members with a higher role than the member's; owners act on
    owners. Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`. Body, at least one of: `role`,
    which takes the right `change_roles`; `muted_until`, which takes `mute_members`: a time in the
    future, `9999-12-31T00:00:00Z` for ever, or null, which lifts the mute. Repeating it changes
    nothing.

    404 when the room is unknown, the caller is not a member, or the user is none; 403 when the
    caller's role does not allow it; 409 for another role of the only owner, for a role in a direct
    room, and for an archived room.
    """
    wanted = parse_body(request, body, ChangeMemberBody)
    call = actions.members.update_member(
        parse_room_id(room_id), parse_user_id(user_id), _read_change(wanted), read_caller(request)
    )
    return await database.run(call)


def _read_change(wanted: ChangeMemberBody) -> MemberChange:
    """Return what to change. Errors: `InvalidInputError` for nothing, and for no such time."""
    role = None if wanted.role is msgspec.UNSET else wanted.role
    if wanted.muted_until is msgspec.UNSET:
        if role is None:
            raise InvalidInputError("Give role, or muted_until, or both.", pointer="")
        return MemberChange(role)
    return MemberChange(role, sets_mute=True, muted_until=_read_time(wanted.muted_until))


def _read_time(moment: datetime | None) -> datetime | None:
    """Return the time in UTC, where each has a year of four digits."""
    try:
        return moment and moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(
            "muted_until is beyond the years 1 to 9999 in UTC.", pointer="/muted_until"
        ) from None
