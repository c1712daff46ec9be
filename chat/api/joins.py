"""Joining and leaving: what a user does with the own membership."""

from litestar import post

from app.permissions import Right, list_allowed
from chat.actions import joins
from chat.actions.joins import NO_LIMITS, EntryLimits, make_limits, run_soon
from chat.api.openapi.operations import Operation
from chat.api.paths import parse_room_id
from chat.api.schemas import Membership
from chat.api.security import ApiRequest, authenticated
from chat.conf import load_configuration
from chat.sql.database import Database

_ALLOWED = list_allowed(Right.LEAVE)


def limits_of(request: ApiRequest) -> EntryLimits:
    """Return what limits the caller; the host's service has no limits."""
    return NO_LIMITS if request.user.is_service else make_limits(load_configuration())


@post(
    "/api/rooms/{room_id:str}/join",
    guards=[authenticated],
    status_code=200,
    operation=Operation(problems=("banned", "room_archived", "limit_reached", "rate_limited")),
)
async def join_room(request: ApiRequest, room_id: str, database: Database) -> Membership:
    """Make the caller a member of a public room and send all members an event.

    Repeating it changes nothing. The host's service joins as a user does, but without limits.

    403 when the caller is banned; 404 when the room is unknown or not public; 409 when it is
    archived, or when it has as many members, or the caller is in as many rooms, as the host
    allows; 429 when the caller joins and leaves more often than the host allows.
    """
    room, user, limits = parse_room_id(room_id), request.user.user_id, limits_of(request)
    joined = await run_soon(
        database, lambda waits: joins.join_room(room, user, limits, waits=waits)
    )
    return Membership(room=joined, user=user, joined=True)


@post(
    "/api/rooms/{room_id:str}/leave",
    guards=[authenticated],
    status_code=200,
    operation=Operation(problems=("right_required", "rate_limited")),
)
async def leave_room(request: ApiRequest, room_id: str, database: Database) -> Membership:
    """End the caller's membership and send all members an event; repeating it changes nothing.

    403 in a direct room, which nobody leaves; 404 when the room is unknown, or not public and the
    caller is no member, or no longer; 429 when the caller joins and leaves more often than the host
    allows.
    """
    room, user, limits = parse_room_id(room_id), request.user.user_id, limits_of(request)
    left = await run_soon(
        database,
        lambda waits: joins.leave_room(room, user, limits, allowed=_ALLOWED, waits=waits),
    )
    return Membership(room=left, user=user, joined=False)
