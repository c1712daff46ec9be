"""Stopping without cutting off a request: an idle connection stays open for a moment.

HTTP/1.1 lets a server close an idle connection at any time, also while the client's next request
is on its way. That request is lost. So a connection that is idle when the process receives SIGTERM
stays open for a second, and a request that arrives on it is answered with `Connection: close`.

    uvicorn app.asgi:application --http app.draining:DrainingProtocol
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LAST_CALL_SECONDS = 1.0
"""How long an idle connection stays open. A request that was on its way at the start arrives well
before the end. New connections are refused from the start."""


class DrainingProtocol(HttpToolsProtocol):
    """A connection that loses no request while the process stops."""

    is_draining = False

    def shutdown(self) -> None:
        """Finish the request in progress, or wait a moment for one that may be on its way."""
        if self._is_idle():
            self.is_draining = True
            self.loop.call_later(LAST_CALL_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def on_headers_complete(self) -> None:
        """Begin a request; while draining, its answer is the last one of the connection."""
        super().on_headers_complete()
        cycle: RequestResponseCycle | None = self.cycle  # none for a request that is refused
        if self.is_draining and cycle is not None:
            cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete
