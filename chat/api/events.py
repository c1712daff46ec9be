"""A room's log: what a client fetches when it missed an event."""

from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from chat import queries
from chat.api.openapi.operations import Operation
from chat.api.pagination import page_url
from chat.api.paths import parse_room_id
from chat.api.query import Limit, parse_query
from chat.api.schemas import EventPage
from chat.api.security import ApiRequest, authenticated
from chat.conf import BIGINT_MAX, PAGE_DEFAULT
from chat.sql.database import Database

Version = Annotated[
    int,
    Meta(
        ge=0,
        le=BIGINT_MAX,
        description="A version of the room that the client holds.",
        examples=[1],
    ),
]


class ListEventsQuery(msgspec.Struct, frozen=True):
    """The events after a version."""

    limit: Limit = PAGE_DEFAULT
    after: Version = 0


@get(
    "/api/rooms/{room_id:str}/events",
    guards=[authenticated],
    operation=Operation(query=ListEventsQuery, problems=("events_gone",)),
)
async def list_events(request: ApiRequest, room_id: str, database: Database) -> EventPage:
    """List the room's events after a version, oldest first, without a gap.

    They are as they were published, except that texts deleted since are gone and the room has its
    present name.

    Query: `after`, a version the client holds, default 0; `limit`, 1 to 200, default 50.

    404 when the room is unknown or the caller is not a member; 410 when the log does not hold what
    follows that version, or the room never reached it: fetch the room again. Where the room's
    `history` is `since_join`, a member's log begins with the own joining. The host's service reads
    any room.
    """
    query = parse_query(request, ListEventsQuery)
    call = queries.events.list_events(
        parse_room_id(room_id),
        request.user.user_id,
        after=query.after,
        limit=query.limit + 1,
        is_service=request.user.is_service,
    )
    events = await database.run(call)
    has_more = len(events) > query.limit
    # Versions are dense, so the last event of a full page is `limit` beyond `after`.
    return EventPage(
        next=page_url(request, after=query.after + query.limit) if has_more else None,
        previous=None,
        results=events[: query.limit],
    )
