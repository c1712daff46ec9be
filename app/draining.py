"""The protocol of the server: it cuts off no request at the stop, and reads a proxy's prefix.

HTTP/1.1 lets a server close an idle connection at any time, also while the client's next request
is on its way. That request is lost. So a connection that is idle when the process receives SIGTERM
stays open for a second, and a request that arrives on it is answered with `Connection: close`.

    uvicorn app.asgi:application --http app.draining:DrainingProtocol

`X-Forwarded-Prefix` is read here because only the protocol knows who connected: when the
application is called, uvicorn has put the client of `X-Forwarded-For` in the proxy's place.
"""

import asyncio
import select

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.prefix import read_forwarded_prefix

LAST_CALL_SECONDS = 1.0
"""How long an idle connection stays open. A request that was on its way at the start arrives well
before the end. New connections are refused from the start."""
LOOK_AGAIN_SECONDS = 0.05
HEAD_SECONDS = 5.0
"""How long it then waits for the rest of a request of which a part has arrived."""


class DrainingProtocol(HttpToolsProtocol):
    """A connection that loses no request while the process stops."""

    is_draining = False
    is_head_incomplete = False
    is_peer_trusted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note whether uvicorn takes the peer for a proxy: `FORWARDED_ALLOW_IPS` decides."""
        super().connection_made(transport)
        if isinstance(outermost := self.config.loaded_app, ProxyHeadersMiddleware):
            self.is_peer_trusted = (self.client[0] if self.client else None) in (
                outermost.trusted_hosts
            )

    def shutdown(self) -> None:
        """Finish the request in progress, or wait a moment for one that may be on its way."""
        if self._is_answering():
            super().shutdown()
            return
        self.is_draining = True
        deadline = self.loop.time() + LAST_CALL_SECONDS + HEAD_SECONDS
        self.loop.call_later(LAST_CALL_SECONDS, self._close_if_idle, deadline)

    def on_message_begin(self) -> None:
        """Note that a request has begun, of which the head is still to come."""
        super().on_message_begin()
        self.is_head_incomplete = True

    def on_headers_complete(self) -> None:
        """Begin a request; while draining, its answer is the last one of the connection."""
        if self.is_peer_trusted:
            self._take_prefix()
        super().on_headers_complete()
        self.is_head_incomplete = False
        cycle: RequestResponseCycle | None = self.cycle  # none for a request that is refused
        if self.is_draining and cycle is not None:
            cycle.keep_alive = False

    def _take_prefix(self) -> None:
        """Let the prefix that the proxy names stand for `--root-path` in this request."""
        forwarded = read_forwarded_prefix(self.headers)
        self.root_path = self.config.root_path if forwarded is None else forwarded
        self.scope["root_path"] = self.root_path

    def _close_if_idle(self, deadline: float) -> None:
        """Close the connection, unless a request arrives: its answer then closes it."""
        if self._is_answering() or self.transport.is_closing():
            return
        # What has arrived is read in the next round of the loop.
        if (self.is_head_incomplete or self._has_unread()) and self.loop.time() < deadline:
            self.loop.call_later(LOOK_AGAIN_SECONDS, self._close_if_idle, deadline)
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _has_unread(self) -> bool:
        """Whether bytes have arrived that the loop has not read yet."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))
