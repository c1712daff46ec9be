"""Search: rooms by any part of their name."""

from typing import Annotated

from litestar import get
from msgspec import Meta

from chat import queries
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import WITHOUT_NUL, FoundRoomPage
from chat.api.security import ApiRequest, authenticated
from chat.conf import BIGINT_MAX, ROOM_NAME_MAX_LENGTH
from chat.sql.database import Database

RoomPosition = Annotated[int, Meta(ge=1, le=BIGINT_MAX)]


class SearchQuery(PageQuery, frozen=True):
    """A text, and a page of the rooms that have it in their name."""

    q: Annotated[
        str,
        Meta(
            max_length=ROOM_NAME_MAX_LENGTH,
            pattern=WITHOUT_NUL,
            description="Any part of a room's name.",
            examples=["gen"],
        ),
    ] = ""


@get("/api/search", guards=[authenticated], operation=Operation(query=SearchQuery))
async def search_rooms(request: ApiRequest, database: Database) -> FoundRoomPage:
    """List the rooms whose name contains a text, newest first, each with `is_member`.

    Found are public rooms, and private and direct ones of which the caller is a member; none that
    was archived. The host's service finds all rooms.

    Query: `q`, up to 255 characters, in either case and any spelling of any script; without it all
    rooms. `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`.

    A page is at most `limit` rooms and not the last one while `next` is not null. For one or two
    letters it can have fewer rooms, even none, in an installation with more than 100,000.
    """
    query = parse_query(request, SearchQuery)
    part = read_slice(query, RoomPosition)
    caller = request.user
    found = await database.run(
        queries.search.search_rooms(query.q, caller.user_id, part, is_service=caller.is_service)
    )
    return make_page(
        FoundRoomPage,
        request,
        part,
        found.rooms,
        queries.search.read_position,
        stopped_at=found.stopped_at,
    )
