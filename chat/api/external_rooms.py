"""Rooms by the host's own keys: read one, and say how it has to be."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, put

from chat import actions, queries
from chat.actions.desired_state import StateChange, WantedRoom
from chat.api.bodies import parse_body, require_room_data
from chat.api.openapi.operations import Operation
from chat.api.paths import parse_external_id
from chat.api.query import parse_query
from chat.api.rooms import RIGHTS
from chat.api.schemas import RoleName, RoomName, UserId
from chat.api.security import ApiRequest, authenticated, read_caller, service_only
from chat.conf import DESIRED_MEMBERS_MOST, DESIRED_STATE_MAX_BYTES, load_configuration
from chat.errors import InvalidInputError
from chat.queries.rooms import Room, RoomHistory
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import Database

PATH = "/api/rooms/by-external-id/{external_id:str}"


class WantedMember(msgspec.Struct, forbid_unknown_fields=True):
    """A member that a room has to have."""

    user: UserId
    role: RoleName | None = None
    """Without it a member keeps the own role, and a new one becomes `member`."""


class WantedRoomBody(msgspec.Struct, forbid_unknown_fields=True):
    """How a room has to be; what is left out stays as it is."""

    name: RoomName
    kind: Literal["public", "private"] | None = None
    data: dict[str, Any] | None = None
    history: RoomHistory | None = None
    members: Annotated[list[WantedMember], msgspec.Meta(max_length=DESIRED_MEMBERS_MOST)] | None = (
        None
    )


class DryRunQuery(msgspec.Struct, frozen=True):
    """Whether to change anything."""

    dry_run: Annotated[
        bool, msgspec.Meta(description="Only say what would be changed, and change nothing.")
    ] = False


@get(PATH, guards=[authenticated])
async def read_room_by_external_id(
    request: ApiRequest, external_id: str, database: Database
) -> Room:
    """Return a room by the host's own key; 404 when it is unknown or the caller is not a member.

    The host's service reads any room. Path: `external_id`, percent-encoded UTF-8, `/` as `%2F`.
    """
    caller = request.user
    return await database.run(
        queries.external_rooms.get_room_by_external_id(
            caller.user_id,
            parse_external_id(external_id),
            is_service=caller.is_service,
            rights=RIGHTS,
        )
    )


@put(
    PATH,
    guards=[authenticated, service_only],
    status_code=200,
    request_max_body_size=DESIRED_STATE_MAX_BYTES,
    operation=Operation(
        query=DryRunQuery,
        body=WantedRoomBody,
        example={
            "name": "general",
            "kind": "private",
            "data": {"team": 7},
            "members": [{"user": "u123", "role": "owner"}, {"user": "u456"}],
        },
        answers={201: "The room was created."},
        problems=("conflict", "room_archived"),
    ),
)
async def put_room_by_external_id(
    request: ApiRequest, external_id: str, body: bytes, database: Database
) -> Response[StateChange]:
    """Create a room, or change only what differs from it; repeating it changes nothing.

    For the host's service. Path: `external_id`, percent-encoded UTF-8, `/` as `%2F`. Body, of up to
    2,097,152 bytes: `name`; optional, and left as they are if they are left out: `kind`, `public`
    or `private`; `data`, an object of at most 4,096 bytes; `history`, `all` or `since_join`;
    `members`, all members the room has to have, up to 10,000: each a `user`, and a `role` or none
    to keep it. Query: `dry_run`: `true` answers what would be changed.

    Members are changed in chunks. Events follow each of them, and what others change in between is
    changed back. A call that was broken off is repeated: it does the rest.

    201 when the room was created; 409 when a later call wants another state, when the room is
    archived or direct, when it would lose its owner, and when a user is banned; 503 when not all
    could be done in time.
    """
    key = parse_external_id(external_id)
    query = parse_query(request, DryRunQuery)
    wanted = _read_wanted(parse_body(request, body, WantedRoomBody))
    if query.dry_run:
        preview = actions.desired_state.preview_room(key, wanted)
        return Response(await database.run(preview), status_code=200)
    change = await actions.desired_state.put_room(database, read_caller(request), key, wanted)
    return Response(change, status_code=201 if change.created else 200)


def _read_wanted(body: WantedRoomBody) -> WantedRoom:
    """Return the state that a body describes. Errors: `InvalidInputError`."""
    require_room_data(body.data)
    return WantedRoom(
        body.name,
        body.kind,
        body.data,
        body.history,
        None if body.members is None else _read_members(body.members),
        load_configuration().default_room_kind,
    )


def _read_members(wanted: list[WantedMember]) -> dict[str, str | None]:
    members: dict[str, str | None] = {}
    for place, member in enumerate(wanted):
        if (reason := describe_invalid_user_id(member.user)) is not None:
            raise InvalidInputError(reason, pointer=f"/members/{place}/user")
        if members.setdefault(member.user, member.role) != member.role:
            raise InvalidInputError(
                "The same user is there before, with another role.", pointer=f"/members/{place}"
            )
    return members
