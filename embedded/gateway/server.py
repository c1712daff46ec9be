"""The WebSocket server: allowed origins, one session per connection, and an orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
from collections import Counter

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from embedded.gateway.broker import Broker
from embedded.gateway.connection import Session
from embedded.gateway.limits import Limits
from embedded.gateway.origins import AllowedOrigins
from embedded.gateway.protocol import (
    CONNECTION_CLOSED,
    CONNECTION_EXPIRED,
    CONNECTION_LIMIT,
    NO_PONG,
    SERVER_ERROR,
    SHUTDOWN,
    SLOW,
)
from embedded.gateway.tokens import TokenVerifier

WEBSOCKET_PATH = "/connection/websocket"
# What Centrifugo offers beside the WebSocket.
FALLBACKS = ("/connection/http_stream", "/connection/sse", "/emulation")
ONLY_WEBSOCKET = (
    "The embedded gateway speaks WebSocket only. Centrifugo, which production runs, has this "
    "transport too: name it in CENTRIFUGO_BIN.\n"
)
DISCONNECTS = "besedka_gateway_disconnects_total"
"""Connections that the gateway ended, by code; those that the client closed are not counted."""
COUNTED_FROM_THE_START = tuple(
    disconnect.code for disconnect in (CONNECTION_EXPIRED, SLOW, NO_PONG, CONNECTION_LIMIT)
)

logger = logging.getLogger(__name__)


class ClientSocket(ServerConnection):
    """A connection that frames are written to directly.

    `ServerConnection.send` serves any use of WebSockets, and costs ten times as much.
    """

    session: Session | None = None
    has_begun = False

    def data_received(self, data: bytes) -> None:
        """Answer what is no handshake: a POST of a transport that only Centrifugo has."""
        if not self.has_begun:
            self.has_begun = True
            if data.startswith(b"POST "):
                # The library closes such a connection without an answer.
                head = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(ONLY_WEBSOCKET)}\r\n"
                head += "Content-Type: text/plain\r\nConnection: close\r\n\r\n"
                self.transport.write((head + ONLY_WEBSOCKET).encode())
                self.transport.close()
                return
        super().data_received(data)

    @property
    def is_writable(self) -> bool:
        """Whether the client keeps up with reading."""
        return not self.paused

    @property
    def is_lost(self) -> bool:
        """Whether the closing handshake has begun, or the transport is closed."""
        return self.state is not State.OPEN or self.transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write encoded frames without waiting."""
        self.transport.write(data)

    def resume_writing(self) -> None:
        """Send what waited for the client."""
        super().resume_writing()
        if self.session is not None:
            self.session.outgoing.write()


class GatewayServer:
    """Serves `/connection/websocket`, `/health` and `/metrics` on one port."""

    def __init__(
        self,
        broker: Broker,
        tokens: TokenVerifier,
        limits: Limits,
        origins: AllowedOrigins | None = None,
    ) -> None:
        self._broker = broker
        self._tokens = tokens
        self._limits = limits
        self._origins = origins or AllowedOrigins()
        self._sessions: set[Session] = set()
        # An alert needs series that exist before the first such end.
        self._disconnects: Counter[int] = Counter(dict.fromkeys(COUNTED_FROM_THE_START, 0))
        self._server: Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Accept connections; raises OSError if the port is in use."""
        self._server = await serve(
            self._serve_client,
            host,
            port,
            process_request=self._process_request,
            create_connection=ClientSocket,
            max_size=self._limits.message_size_limit,
            # The protocol has its own pings.
            ping_interval=None,
            compression=None,
            close_timeout=self._limits.write_timeout,
        )

    async def stop(self) -> None:
        """Stop accepting, and disconnect every client with a code that lets it reconnect."""
        if self._server is None:
            return
        self._server.close(close_connections=False)
        for session in tuple(self._sessions):
            session.disconnect(SHUTDOWN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.shutdown_timeout):
                await self._server.wait_closed()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer all but a WebSocket handshake of an allowed origin, for which None is returned."""
        path, _, query = request.path.partition("?")
        if path == "/health":
            return _respond(connection, "{}", "application/json")
        if path == "/metrics":
            return _respond(connection, self._describe(), "text/plain; version=0.0.4")
        if path != WEBSOCKET_PATH:
            text = ONLY_WEBSOCKET if path in FALLBACKS else "not found\n"
            return connection.respond(http.HTTPStatus.NOT_FOUND, text)
        if "=protobuf" in query:
            return connection.respond(http.HTTPStatus.BAD_REQUEST, "only JSON is spoken here\n")
        if not self._origins.permits(request.headers.get("Origin")):
            logger.info("origin refused; see ALLOWED_ORIGINS")
            return connection.respond(http.HTTPStatus.FORBIDDEN, "origin not allowed\n")
        return None

    def _describe(self) -> str:
        """Return the metrics in Prometheus' text format 0.0.4, which needs no library."""
        counts = "".join(
            f'{DISCONNECTS}{{code="{code}"}} {count}\n'
            for code, count in sorted(self._disconnects.items())
        )
        gauge = f"besedka_gateway_connections {len(self._sessions)}\n"
        return (
            f"# TYPE besedka_gateway_connections gauge\n{gauge}"
            f"# TYPE {DISCONNECTS} counter\n{counts}"
        )

    async def _serve_client(self, connection: ServerConnection) -> None:
        assert isinstance(connection, ClientSocket)  # noqa: S101 - `create_connection` above
        session = Session(self._broker, self._tokens, self._limits, connection)
        connection.session = session
        self._sessions.add(session)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_read(connection, session))
            await session.closed.wait()
            self._sessions.discard(session)
            if session.closing not in {None, CONNECTION_CLOSED}:
                self._disconnects[session.closing.code] += 1
            # A client that does not read must not delay the end, above all not a shutdown.
            closing = tasks.create_task(_close(connection, session))
            await asyncio.wait([closing], timeout=self._limits.write_timeout)
            if not closing.done():
                session.outgoing.close(discard=True)
                connection.transport.abort()


async def _read(connection: ServerConnection, session: Session) -> None:
    """Pass the client's frames to the session until either side closes the connection."""
    try:
        while True:
            session.receive(await connection.recv(decode=False))
    except ConnectionClosed:
        session.disconnect(CONNECTION_CLOSED)
        # Also if the session had closed the connection: nothing more can be sent.
        session.outgoing.close(discard=True)
    except Exception:
        logger.exception("session failed")
        session.disconnect(SERVER_ERROR)


async def _close(connection: ServerConnection, session: Session) -> None:
    """Wait until all messages are written; then send the close frame with the reason."""
    await session.outgoing.finished.wait()
    if session.closing is not None:
        await connection.close(session.closing.code, session.closing.reason)


def _respond(connection: ServerConnection, text: str, media_type: str) -> Response:
    response = connection.respond(http.HTTPStatus.OK, text)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = media_type
    return response
