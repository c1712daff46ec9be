"""Messages of a room: send and list."""

from typing import Any

from litestar import Request, Response, get, post

from app.metrics import SENDS
from chat.actions.messages import NewMessage, make_server_key, read_sent, send_messages
from chat.api.openapi.operations import LIMIT, Operation, Query, identifier
from chat.api.pagination import page_url
from chat.api.parameters import parse_body, parse_limit, parse_query_number, parse_room_id
from chat.api.schemas import Page, SendMessageBody
from chat.api.security import authenticated
from chat.errors import InvalidInputError
from chat.events import Message
from chat.queries.messages import (
    MessageRow,
    list_messages_after,
    list_messages_around,
    list_messages_before,
    read_messages,
)
from chat.sql import Call
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}/messages"


@post(
    PATH,
    guards=[authenticated],
    operation=Operation(
        body=SendMessageBody,
        example={"content": "hello", "client_id": "0f8fad5b-d9cb-469f-a165-70867728950e"},
        answers={200: "The first message with this `client_id`."},
        problems=("client_id_conflict",),
        links={"list_messages": {"room_id": "room_id", "around": "id"}},
    ),
)
async def send_message(
    request: Request[Any, Any, Any], room_id: str, body: bytes, database: Database
) -> Response[Message]:
    """Send a message; once answered it is stored and on its way to every member.

    Body: `content`, 1 to 4,000 characters; `client_id`, optional, up to 64 characters: sending
    again with the same key stores nothing and answers with the first message.

    201 with the message; 200 with the first message when the key was used before; 409 when it was
    used with other content; 404 when the room is unknown or the caller is not in it.
    """
    sent = parse_body(request, body, SendMessageBody)
    message = NewMessage(
        room_id=parse_room_id(room_id),
        user_id=request.user.user_id,
        client_id=sent.client_id or make_server_key(),
        content=sent.content,
    )
    row = await database.fetch_one(send_messages([message]))
    SENDS.labels(row.outcome).inc()
    stored = read_sent(message, row)
    return Response(stored.message, status_code=200 if stored.is_duplicate else 201)


@get(
    PATH,
    guards=[authenticated],
    operation=Operation(
        query=(
            LIMIT,
            Query("before", "The page older than this message.", identifier()),
            Query("after", "The page next newer than this message.", identifier()),
            Query("around", "The page with this message in the middle.", identifier()),
        )
    ),
)
async def list_messages(
    request: Request[Any, Any, Any], room_id: str, database: Database
) -> Page[Message]:
    """List a room's messages, newest first, without a gap and without a repetition.

    Query: `limit`, 1 to 200, default 50; and at most one of `before`, `after`, `around`, each the
    id of a message of the room: the page older than it, the page next newer, or the page with it
    in the middle.

    404 when the room is unknown or the caller is not in it; 422 for an id that is not the room's.
    """
    limit = parse_limit(request)
    anchors = {
        name: parse_query_number(request, name, minimum=1) for name in ("before", "after", "around")
    }
    given = {name: anchor for name, anchor in anchors.items() if anchor is not None}
    if len(given) > 1:
        raise InvalidInputError(
            f"{' and '.join(given)} exclude each other.", pointer=list(given)[-1]
        )
    name, anchor = next(iter(given.items()), ("before", None))
    call = _make_call(name, anchor, parse_room_id(room_id), request.user.user_id, limit)
    messages = read_messages(await database.fetch_all(call), anchor_name=name)
    return _make_page(request, name, anchor, messages, limit)


def _make_call(
    name: str, anchor: int | None, room_id: int, user_id: str, limit: int
) -> Call[MessageRow]:
    """Return the call for a page; it asks for one message more where that tells of more pages."""
    if anchor is not None and name == "after":
        return list_messages_after(room_id, user_id, anchor=anchor, limit=limit + 1)
    if anchor is not None and name == "around":
        return list_messages_around(
            room_id, user_id, anchor=anchor, older=limit // 2, newer=(limit - 1) // 2
        )
    return list_messages_before(room_id, user_id, anchor=anchor, limit=limit + 1)


def _make_page(
    request: Request[Any, Any, Any],
    name: str,
    anchor: int | None,
    messages: list[Message],
    limit: int,
) -> Page[Message]:
    """Return the page; a room's oldest message has seq 1, so `next` needs no look beyond it."""
    has_more = len(messages) > limit
    messages = messages[:limit]
    if name == "after":
        messages.reverse()
    has_newer = has_more if name == "after" else anchor is not None
    if not messages:
        return Page(next=None, previous=None, results=[])
    return Page(
        next=page_url(request, before=messages[-1].id) if messages[-1].seq > 1 else None,
        previous=page_url(request, after=messages[0].id) if has_newer else None,
        results=messages,
    )
