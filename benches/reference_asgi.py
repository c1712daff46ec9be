"""The bare ASGI application that the API is compared with: one route, nothing around it.

It does what a send cannot do without: it reads the path, verifies the token with PyJWT, decodes the
body with msgspec, runs one call of `chat.send_messages_v2` on a connection of a pool, and
answers.
There is no framework, log, metric, limit, deadline or retry. Run it as the API is run:

    DATABASE_URL=postgresql://… JWT_SECRET=… \
        uvicorn benches.reference_asgi:application --port 9100 --no-access-log --no-server-header

`DATABASE_URL` names a database with the schema of this release. `DATABASE_POOL_SIZE`, default 10,
is the API's variable of the same name.
"""

import os
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import jwt
import msgspec
from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SEND = """
SELECT outcome, message::text
FROM chat.send_messages_v2(
    %s::bigint[], %s::text[], %s::text[], %s::text[], NULL, NULL, NULL, true, NULL)
"""
STATUS_OF_OUTCOME = {"sent": 201, "duplicate": 200, "conflict": 409, "not_member": 404}

_PATH = re.compile(r"/api/rooms/([1-9][0-9]{0,18})/messages/?")
_JSON = (b"content-type", b"application/json")


class Body(msgspec.Struct):
    """A message to send."""

    content: str
    client_id: str | None = None


_decode_body = msgspec.json.Decoder(Body).decode


class Reference:
    """Answers `POST /api/rooms/{id}/messages/` and `GET /health/ready`; anything else is 404."""

    def __init__(self, database_url: str, pool_size: int, secret: str) -> None:
        self._secret = secret
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            database_url,
            min_size=min(2, pool_size),
            max_size=pool_size,
            open=False,
            kwargs={"autocommit": True},
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        if scope["path"] == "/health/ready":
            status, body = await self._check_ready()
        else:
            status, body = await self._answer(scope, receive)
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._pool.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Message, receive: Receive) -> tuple[int, bytes]:
        found = _PATH.fullmatch(scope["path"])
        if found is None or scope["method"] != "POST":
            return 404, b"{}"
        token = dict(scope["headers"]).get(b"authorization", b"").removeprefix(b"Bearer ")
        try:
            user_id: str = jwt.decode(token, self._secret, algorithms=["HS256"])["sub"]
        except (jwt.PyJWTError, KeyError):
            return 401, b"{}"
        try:
            wanted = _decode_body(await _read_body(receive))
        except msgspec.DecodeError:
            return 422, b"{}"
        return await self._store(int(found[1]), user_id, wanted)

    async def _store(self, room_id: int, user_id: str, wanted: Body) -> tuple[int, bytes]:
        key = wanted.client_id or f"~{uuid.uuid4().hex}"
        async with self._pool.connection() as connection:
            rows = await connection.execute(SEND, ([room_id], [user_id], [key], [wanted.content]))
            row = await rows.fetchone()
        outcome, message = row or ("", None)
        return STATUS_OF_OUTCOME.get(outcome, 503), (message or "{}").encode()

    async def _check_ready(self) -> tuple[int, bytes]:
        try:
            async with self._pool.connection(timeout=2) as connection:
                await connection.execute("SELECT FROM chat_installation")
        except OperationalError:
            return 503, b"{}"
        return 200, b"{}"


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


application = Reference(
    os.environ["DATABASE_URL"],
    int(os.environ.get("DATABASE_POOL_SIZE", "10")),
    os.environ["JWT_SECRET"],
)
