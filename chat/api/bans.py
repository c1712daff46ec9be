"""Bans from a room, by its moderators, and from all rooms, by the host's service."""

from datetime import UTC, datetime

from litestar import delete, get, put

from app.permissions import Right, list_allowed
from chat import actions, queries
from chat.actions.bans import Banned, NewBan
from chat.api.bodies import parse_body
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_room_id, parse_user_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import BanBody, BanPage
from chat.api.security import ApiRequest, authenticated, read_caller, service_only
from chat.errors import InvalidInputError
from chat.queries.bans import Ban
from chat.queries.members import Reader
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import Database

ROOM_PATH = "/api/rooms/{room_id:str}/bans"
PATH = "/api/bans/{user_id:str}"
_EXAMPLE = {"until": None, "reason": "spam", "delete_messages": True}


@get(
    ROOM_PATH,
    guards=[authenticated],
    operation=Operation(query=PageQuery, problems=("right_required",)),
)
async def list_bans(request: ApiRequest, room_id: str, database: Database) -> BanPage:
    """List the bans from a room that are in force, by user id.

    For the host's service, and for members with the right `ban_members`. Query: `limit`, 1 to 200,
    default 50; `cursor`, from `next` or `previous`.

    404 when the room is unknown or the caller is not a member; 403 when the caller's role lacks the
    right.
    """
    part = read_slice(parse_query(request, PageQuery), str, find_fault=describe_invalid_user_id)
    reader = Reader(request.user.user_id, request.user.is_service)
    bans = await database.run(
        queries.bans.list_bans(
            parse_room_id(room_id), reader, list_allowed(Right.BAN_MEMBERS), part
        )
    )
    return make_page(BanPage, request, part, bans, lambda ban: ban.user)


@put(
    ROOM_PATH + "/{user_id:str}",
    guards=[authenticated],
    operation=Operation(
        body=BanBody,
        is_body_required=False,
        example=_EXAMPLE,
        problems=("right_required", "conflict"),
    ),
)
async def ban_from_room(
    request: ApiRequest, room_id: str, user_id: str, body: bytes, database: Database
) -> Banned:
    """Ban a user from a room and end the membership; repeating it changes nothing.

    For the host's service, and for members with the right `ban_members` and a higher role than the
    user's. Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`. Body, optional: `until`, a time in
    the future, default for ever; `reason`, up to 500 characters; `delete_messages`: whether the
    user's messages of the last day in this room are deleted too. Another time or reason takes the
    place of the one before. `is_complete` is false if messages are left: send the request again.

    404 when the room is unknown or the caller is not a member; 403 when the caller's role does not
    allow it; 409 when the room is direct, or the user is the caller.
    """
    room = parse_room_id(room_id)
    wanted = _read_ban(request, user_id, body)
    return await actions.bans.ban_user(database, room, wanted, read_caller(request))


@delete(
    ROOM_PATH + "/{user_id:str}",
    guards=[authenticated],
    operation=Operation(problems=("right_required",)),
)
async def lift_ban_from_room(
    request: ApiRequest, room_id: str, user_id: str, database: Database
) -> None:
    """Lift a ban from a room; 204 also when there was none. The user becomes no member by it.

    For the host's service, and for members with the right `ban_members`. Path: `user_id`,
    percent-encoded UTF-8, `/` as `%2F`. A ban from all rooms stays.

    404 when the room is unknown or the caller is not a member; 403 when the caller's role lacks the
    right.
    """
    room, user = parse_room_id(room_id), parse_user_id(user_id)
    await database.run(actions.bans.lift_ban(room, user, read_caller(request)))


@get(PATH, guards=[authenticated, service_only], operation=Operation(problems=("not_found",)))
async def read_ban(user_id: str, database: Database) -> Ban:
    """Return the ban of a user from all rooms.

    For the host's service. Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`.

    404 when the user is not banned from all rooms.
    """
    return await database.run(queries.bans.find_ban(parse_user_id(user_id)))


@put(
    PATH,
    guards=[authenticated, service_only],
    operation=Operation(body=BanBody, is_body_required=False, example=_EXAMPLE),
)
async def ban_from_all_rooms(
    request: ApiRequest, user_id: str, body: bytes, database: Database
) -> Banned:
    """Ban a user from all rooms and end the memberships; repeating it changes nothing.

    For the host's service. Path and body as for a ban from one room; `delete_messages` means the
    messages of the last day in all rooms. Once answered, the user enters no room, creates none, and
    sends nothing: 403 with the code `banned`. Direct rooms keep their members. `is_complete` is
    false if memberships or messages are left: send the request again, it goes on.
    """
    wanted = _read_ban(request, user_id, body)
    return await actions.bans.ban_user(database, None, wanted, read_caller(request))


@delete(PATH, guards=[authenticated, service_only])
async def lift_ban_from_all_rooms(request: ApiRequest, user_id: str, database: Database) -> None:
    """Lift a ban from all rooms; 204 also when there was none. Bans from single rooms stay.

    For the host's service. Path: `user_id`, percent-encoded UTF-8, `/` as `%2F`.
    """
    user = parse_user_id(user_id)
    await database.run(actions.bans.lift_ban(None, user, read_caller(request)))


def _read_ban(request: ApiRequest, user_id: str, body: bytes) -> NewBan:
    user = parse_user_id(user_id)
    wanted = parse_body(request, body, BanBody) if body else BanBody()
    return NewBan(user, _read_time(wanted.until), wanted.reason, wanted.delete_messages)


def _read_time(moment: datetime | None) -> datetime | None:
    """Return the time in UTC, where each has a year of four digits."""
    try:
        return moment and moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(
            "until is beyond the years 1 to 9999 in UTC.", pointer="/until"
        ) from None
