"""Each request has an id, one log line and one count."""

import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

from chat.metrics import REQUEST_SECONDS, REQUESTS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Django, Litestar and uvicorn each have types of their own for the same protocol.
Application = Callable[[Any, Any, Any], Awaitable[None]]

# The id that a proxy gave is kept, so that both logs show the request under one id.
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Orchestrators ask for these every few seconds.
_UNLOGGED_ROUTES = frozenset({"/health/live", "/health/ready"})

log = structlog.get_logger("besedka.requests")


def read_request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the id in `X-Request-Id` where it is harmless in a log, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _ACCEPTED_ID.fullmatch(value):
            return value.decode("ascii")
    return uuid.uuid4().hex


async def observe(
    application: Application, scope: Message, receive: Receive, send: Send, *, area: str
) -> None:
    """Answer a request, name it in its answer's `X-Request-Id`, log it and count it.

    The line has the route, the status, the duration and the user, never a query, body or token.
    `area` is used where there is no route: in the admin and for unknown addresses.
    """
    started = time.perf_counter()
    request_id = read_request_id(scope["headers"])
    status = 0

    async def send_with_id(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message["headers"] = [
                *message.get("headers", []),
                (b"x-request-id", request_id.encode()),
            ]
        await send(message)

    with structlog.contextvars.bound_contextvars(request_id=request_id):
        try:
            await application(scope, receive, send_with_id)
        finally:
            _record(scope, area, status, time.perf_counter() - started)


def _record(scope: Message, area: str, status: int, seconds: float) -> None:
    """Log and count. The label is the route's template, never a path: there are few templates."""
    route = scope.get("path_template") or area
    REQUESTS.labels(scope["method"], route, status).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    if route in _UNLOGGED_ROUTES:
        return
    user = scope.get("user")
    log.info(
        "request",
        method=scope["method"],
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        user=getattr(user, "user_id", None),
    )
