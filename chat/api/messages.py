"""Messages of a room: send and list."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from msgspec import Meta

from app.permissions import RIGHTS, Right, list_allowed
from chat import queries
from chat.actions.messages import NewMessage, make_server_key
from chat.actions.send_queue import SendQueue
from chat.api.bodies import parse_body
from chat.api.openapi.operations import Operation
from chat.api.pagination import page_url
from chat.api.paths import parse_room_id
from chat.api.query import Limit, parse_query
from chat.api.schemas import MessagePage, SendMessageBody
from chat.api.security import ApiRequest, authenticated
from chat.conf import BIGINT_MAX, PAGE_DEFAULT
from chat.errors import InvalidInputError
from chat.events import Message
from chat.queries.messages import Window
from chat.sql.database import Database

PATH = "/api/rooms/{room_id:str}/messages"


def where_members_may_send() -> list[str] | None:
    """Return where, as `kind:role`; None for everywhere, so that a send costs no comparison."""
    allowed = list_allowed(Right.SEND_MESSAGES)
    return None if len(allowed) == sum(map(len, RIGHTS.values())) else allowed


@post(
    PATH,
    guards=[authenticated],
    operation=Operation(
        body=SendMessageBody,
        example={"content": "hello", "client_id": "0f8fad5b-d9cb-469f-a165-70867728950e"},
        answers={200: "The first message with this `client_id`."},
        problems=(
            "client_id_conflict",
            "rate_limited",
            "muted",
            "room_archived",
            "blocked",
            "banned",
            "right_required",
        ),
        links={"list_messages": {"room_id": "room_id", "around": "id"}},
    ),
)
async def send_message(
    request: ApiRequest, room_id: str, body: bytes, send_queue: SendQueue
) -> Response[Message]:
    """Send a message; once answered it is stored and on its way to the members who listen.

    Body: `content`, 1 to 4,000 characters; `client_id`, optional, up to 64 characters: sending
    again with the same key stores nothing and answers with the first message.

    201 with the message; 200 with the first message when the key was used before; 409 when it was
    used with other content, or when the room is archived; 404 when the room is unknown or the
    caller is not a member; 403 when the caller is muted, banned from all rooms, or in a direct room
    with someone of whom one blocks the other; 429 when the caller, or the room, has had as many
    messages as the host allows, or as the room's slow mode does.
    """
    wanted = parse_body(request, body, SendMessageBody)
    message = NewMessage(
        room_id=parse_room_id(room_id),
        user_id=request.user.user_id,
        client_id=wanted.client_id or make_server_key(),
        content=wanted.content,
        is_limited=not request.user.is_service,
    )
    sent = await send_queue.send(message)
    return Response(sent.message, status_code=200 if sent.is_duplicate else 201)


def _describe(text: str) -> Meta:
    return Meta(ge=1, le=BIGINT_MAX, description=text)


class ListMessagesQuery(msgspec.Struct, frozen=True):
    """At most one of `before`, `after` and `around`."""

    limit: Limit = PAGE_DEFAULT
    before: Annotated[int, _describe("The page older than this message.")] | None = None
    after: Annotated[int, _describe("The page next newer than this message.")] | None = None
    around: Annotated[int, _describe("The page with this message in the middle.")] | None = None


@get(PATH, guards=[authenticated], operation=Operation(query=ListMessagesQuery))
async def list_messages(request: ApiRequest, room_id: str, database: Database) -> MessagePage:
    """List a room's messages, newest first, without a gap and without a repetition.

    Query: `limit`, 1 to 200, default 50; and at most one of `before`, `after`, `around`, each the
    id of a message of the room: the page older than it, the page next newer, or the page with it
    in the middle.

    404 when the room is unknown or the caller is not a member; 422 for an id that is not of a
    message in the room.
    """
    query = parse_query(request, ListMessagesQuery)
    anchors = {"before": query.before, "after": query.after, "around": query.around}
    given = [name for name, anchor in anchors.items() if anchor is not None]
    if len(given) > 1:
        raise InvalidInputError(f"{' and '.join(given)} exclude each other.", pointer=given[-1])
    name = given[0] if given else "before"
    call = queries.messages.list_messages(
        parse_room_id(room_id),
        request.user.user_id,
        _open_window(name, anchors[name], query.limit),
        anchor_name=name,
    )
    messages = await database.run(call)
    # One message beyond the page shows that there are newer ones; a room's oldest has seq 1.
    has_newer = len(messages) > query.limit if name == "after" else bool(given)
    messages = messages[-query.limit :]
    if not messages:
        return MessagePage(next=None, previous=None, results=[])
    newest, oldest = (queries.messages.read_place(messages[end]) for end in (0, -1))
    results: list[Any] = messages  # each is a `Message`, as JSON
    return MessagePage(
        next=page_url(request, before=oldest.id) if oldest.seq > 1 else None,
        previous=page_url(request, after=newest.id) if has_newer else None,
        results=results,
    )


def _open_window(name: str, anchor: int | None, limit: int) -> Window:
    match name:
        case "after":
            return Window(older=0, newer=limit + 1, anchor=anchor)
        case "around":
            return Window(
                older=limit // 2, newer=(limit - 1) // 2 + 1, anchor=anchor, with_anchor=True
            )
        case _:
            return Window(older=limit, anchor=anchor)
