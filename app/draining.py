"""Leaving without cutting anyone off: connections between being told to stop and closing.

HTTP/1.1 lets a server close an idle connection at any moment, also at the one when a client's next
request is on its way, which is then lost. So a connection that is idle when the process is told to
stop stays open for a moment, and what is still asked on it is answered as the last time.

    uvicorn app.asgi:application --http app.draining:DrainingProtocol
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LAST_CALL_SECONDS = 1.0
"""How long an idle connection stays open; a request that was under way when it began is here long
before. New connections are refused from the first moment."""


class DrainingProtocol(HttpToolsProtocol):
    """A connection on which no request is lost while the process stops."""

    is_draining = False

    def shutdown(self) -> None:
        """Finish the request in progress, or wait a moment for the one that may be coming."""
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
