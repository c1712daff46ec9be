"""Invites: links by which users join a room."""

from typing import Annotated

from litestar import delete, get, post
from msgspec import Meta

from app.permissions import Right, list_allowed
from chat import actions, queries
from chat.actions.joins import run_soon
from chat.api.bodies import parse_body
from chat.api.invite_tokens import make_token, read_token
from chat.api.joins import limits_of
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_number, parse_room_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import CreateInviteBody, InvitePage, InviteWithToken, Membership
from chat.api.security import ApiRequest, authenticated, read_caller
from chat.conf import BIGINT_MAX
from chat.queries.invites import Invitation, Invite
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}/invites"
TOKEN_PATH = "/api/invites/{token:str}"  # noqa: S105 - an address
_ALLOWED = list_allowed(Right.CREATE_INVITES)
_Position = Annotated[int, Meta(ge=1, le=BIGINT_MAX)]


def _show(invite: Invite) -> InviteWithToken:
    return InviteWithToken(
        id=invite.id,
        token=make_token(invite),
        room_id=invite.room_id,
        expires_at=invite.expires_at,
        max_uses=invite.max_uses,
        uses=invite.uses,
        created_by=invite.created_by,
        created_at=invite.created_at,
        revoked_at=invite.revoked_at,
    )


@post(
    PATH,
    guards=[authenticated],
    operation=Operation(
        body=CreateInviteBody,
        is_body_required=False,
        example={"expires_in": 86_400, "max_uses": 5},
        problems=("right_required", "room_archived", "conflict"),
        links={"list_invites": {"room_id": "room_id"}},
    ),
)
async def create_invite(
    request: ApiRequest, room_id: str, body: bytes, database: Database
) -> InviteWithToken:
    """Create an invite: anyone who has its token joins the room until it expires.

    For members with the right `create_invites`, and for the host's service. Body, optional:
    `expires_in`, in seconds, default 7 days, at most 365; `max_uses`, how many users may join by
    it, default any number.

    403 without the right; 404 when the room is unknown or the caller is not a member; 409 when it
    is archived, or a direct room.
    """
    room, by = parse_room_id(room_id), read_caller(request)
    wanted = parse_body(request, body, CreateInviteBody) if body else CreateInviteBody()
    invite = await run_soon(
        database,
        lambda waits: actions.invites.create_invite(
            room,
            by,
            seconds=wanted.expires_in,
            max_uses=wanted.max_uses,
            allowed=_ALLOWED,
            waits=waits,
        ),
    )
    return _show(invite)


@get(
    PATH,
    guards=[authenticated],
    operation=Operation(query=PageQuery, problems=("right_required",)),
)
async def list_invites(request: ApiRequest, room_id: str, database: Database) -> InvitePage:
    """List a room's invites, the newest first, with their tokens; also those that are gone.

    For members with the right `create_invites`, and for the host's service. Query: `limit`, 1 to
    200, default 50; `cursor`, from `next` or `previous`.

    403 without the right; 404 when the room is unknown or the caller is not a member.
    """
    part = read_slice(parse_query(request, PageQuery), _Position)
    actor = None if request.user.is_service else request.user.user_id
    call = queries.invites.list_invites(parse_room_id(room_id), actor, part, allowed=_ALLOWED)
    invites = [_show(invite) for invite in await database.run(call)]
    return make_page(InvitePage, request, part, invites, lambda invite: invite.id)


@delete(
    PATH + "/{invite_id:str}",
    guards=[authenticated],
    operation=Operation(problems=("right_required",)),
)
async def revoke_invite(
    request: ApiRequest, room_id: str, invite_id: str, database: Database
) -> None:
    """Revoke an invite: nobody joins by it any more; 204 also when it was revoked before.

    For members with the right `create_invites`, and for the host's service. Who joined by it stays.

    403 without the right; 404 when the room or the invite is unknown or the caller is not a member.
    """
    room, by, invite = parse_room_id(room_id), read_caller(request), parse_number(invite_id) or 0
    await run_soon(
        database,
        lambda waits: actions.invites.revoke_invite(
            room, invite, by, allowed=_ALLOWED, waits=waits
        ),
    )


@get(
    TOKEN_PATH,
    guards=[authenticated],
    operation=Operation(problems=("not_found", "invite_gone")),
)
async def read_invite(token: str, database: Database) -> Invitation:
    """Show into which room an invite leads, and until when it can be used.

    For anyone who has its token. 404 when this is the token of no invite; 410 when the invite was
    revoked, has expired, or is used up.
    """
    return await database.run(queries.invites.find_invite(*read_token(token)))


@post(
    TOKEN_PATH + "/accept",
    guards=[authenticated],
    status_code=200,
    operation=Operation(
        problems=(
            *("not_found", "invite_gone", "banned", "room_archived", "limit_reached"),
            "rate_limited",
        )
    ),
)
async def accept_invite(request: ApiRequest, token: str, database: Database) -> Membership:
    """Make the caller a member by an invite and send all members an event.

    Repeating it changes nothing and is not counted, also when the invite is gone by then. The
    host's service joins as a user does, but without limits.

    403 when the caller is banned; 404 when this is the token of no invite; 409 when the room is
    archived, or has as many members, or the caller is in as many rooms, as the host allows; 410
    when the invite was revoked, has expired, or is used up; 429 when the caller joins and leaves
    more often than the host allows.
    """
    user = request.user.user_id
    call = actions.invites.accept_invite(*read_token(token), user, limits_of(request))
    room = await database.run(call)
    return Membership(room=room, user=user, joined=True)
