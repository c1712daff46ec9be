"""Search: rooms by any part of their name."""

from typing import Any

from litestar import Request, get

from chat.api.openapi.operations import CURSOR, LIMIT, Operation, Query
from chat.api.pagination import make_page, read_cursor
from chat.api.parameters import parse_limit
from chat.api.schemas import Page
from chat.api.security import authenticated
from chat.conf import BIGINT_MAX, ROOM_NAME_MAX_LENGTH
from chat.errors import InvalidInputError
from chat.queries.search import FoundRoom, read_found_rooms, search_rooms_backwards
from chat.queries.search import search_rooms as search_rooms_call
from chat.sql.database import Database


@get(
    "/api/search",
    guards=[authenticated],
    operation=Operation(
        query=(
            Query(
                "q",
                "Any part of a room's name.",
                {"type": "string", "maxLength": ROOM_NAME_MAX_LENGTH},
                example="gen",
            ),
            LIMIT,
            CURSOR,
        )
    ),
)
async def search_rooms(request: Request[Any, Any, Any], database: Database) -> Page[FoundRoom]:
    """List the rooms whose name contains a text, newest first, each with `is_member`.

    Query: `q`, up to 255 characters, in either case of any script, every character as it is;
    without it all rooms. `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`.
    """
    text = parse_search_text(request)
    limit = parse_limit(request)
    position, is_backwards = read_cursor(request, int)
    if position is not None and not 1 <= position <= BIGINT_MAX:
        raise InvalidInputError("This is no cursor of this list.", pointer="cursor")
    user_id = request.user.user_id
    call = (
        search_rooms_backwards(text, user_id, above=position, limit=limit + 1)
        if position is not None and is_backwards
        else search_rooms_call(text, user_id, below=position, limit=limit + 1)
    )
    page = make_page(
        request,
        await database.fetch_all(call),
        limit=limit,
        is_backwards=is_backwards,
        is_first=position is None,
        position_of=lambda row: row.id,
    )
    return Page(next=page.next, previous=page.previous, results=read_found_rooms(page.results))


def parse_search_text(request: Request[Any, Any, Any]) -> str:
    """Return `?q=`, or the empty text that every name contains."""
    values = request.query_params.getall("q", [])
    text = values[0] if values else ""
    if len(values) > 1 or len(text) > ROOM_NAME_MAX_LENGTH or "\x00" in text:
        raise InvalidInputError(
            f"q must be one text of up to {ROOM_NAME_MAX_LENGTH} characters.", pointer="q"
        )
    return text
