"""A room's log: what a client fetches when it missed an event."""

from typing import Any

import msgspec
from litestar import Request, get

from chat.api.openapi.operations import LIMIT, Operation, Query, identifier
from chat.api.pagination import page_url
from chat.api.parameters import parse_limit, parse_query_number, parse_room_id
from chat.api.schemas import Page
from chat.api.security import authenticated
from chat.queries.events import list_events as list_events_call
from chat.queries.events import read_events
from chat.sql.database import Database


@get(
    "/api/rooms/{room_id:str}/events",
    guards=[authenticated],
    operation=Operation(
        query=(
            LIMIT,
            Query("after", "A version of the room that the client holds.", identifier(0), 1),
        ),
        problems=("events_gone",),
    ),
)
async def list_events(
    request: Request[Any, Any, Any], room_id: str, database: Database
) -> Page[msgspec.Raw]:
    """List the room's events after a version, oldest first, without a gap.

    They are as they were published, but for texts deleted and names changed since.

    Query: `after`, a version the client holds, default 0; `limit`, 1 to 200, default 50.

    404 when the room is unknown or the caller is not in it; 410 when the log no longer holds what
    follows that version, or the room never reached it: fetch the room anew.
    """
    after = parse_query_number(request, "after") or 0
    limit = parse_limit(request)
    call = list_events_call(
        parse_room_id(room_id), request.user.user_id, after=after, limit=limit + 1
    )
    events = read_events(await database.fetch_all(call), after=after)
    has_more = len(events) > limit
    # Versions are dense, so the last event of a full page is `limit` beyond `after`.
    return Page(
        next=page_url(request, after=after + limit) if has_more else None,
        previous=None,
        results=events[:limit],
    )
