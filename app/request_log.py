"""Each request has an id, one log line and one count."""

import itertools
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import structlog
from django.conf import settings

from app.line_writer import STDERR
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

LOGGER = "besedka.requests"
log = structlog.get_logger(LOGGER)

# An id of 32 hexadecimal digits: half of them differ by process, half by request.
_ID_OF_PROCESS = os.urandom(8).hex()
_numbers = itertools.count(1)


def read_request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the id in `X-Request-Id` where it is harmless in a log, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _ACCEPTED_ID.fullmatch(value):
            return value.decode("ascii")
    return f"{_ID_OF_PROCESS}{next(_numbers):016x}"


async def observe(
    application: Application, scope: Message, receive: Receive, send: Send, *, area: str
) -> None:
    """Answer a request, name it in its answer's `X-Request-Id`, log it and count it.

    The line has the route, the status, the duration and the user, never a query, body or token.
    `area` is used where there is no route: in the admin and for unknown addresses.

    It runs in a task of the request's own, so what it binds for the log ends with the request.
    """
    started = time.perf_counter()
    request_id = read_request_id(scope["headers"])
    header = (b"x-request-id", request_id.encode())
    status = 0

    async def send_with_id(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message["headers"] = [*message.get("headers", ()), header]
        await send(message)

    structlog.contextvars.bind_contextvars(request_id=request_id)
    try:
        await application(scope, receive, send_with_id)
    finally:
        seconds = time.perf_counter() - started
        route = scope.get("path_template") or area
        _count(scope["method"], route, status, seconds)
        if route not in _UNLOGGED_ROUTES:
            _log(scope, route, status, round(seconds * 1000, 2), request_id)


# There are few methods, routes and statuses: a label is the route's template, never a path.
_counter = cache(REQUESTS.labels)
_histogram = cache(REQUEST_SECONDS.labels)


def _count(method: str, route: str, status: int, seconds: float) -> None:
    _counter(method, route, status).inc()
    _histogram(route).observe(seconds)


class _Line(msgspec.Struct):
    """The line of a request, with the keys that each line of the log has."""

    method: str
    route: str
    status: int
    duration_ms: float
    user: str | None
    request_id: str
    timestamp: datetime
    event: str = "request"
    level: str = "info"
    logger: str = LOGGER


_encode_line = msgspec.json.Encoder().encode
_logger = logging.getLogger(LOGGER)


def _log(scope: Message, route: str, status: int, milliseconds: float, request_id: str) -> None:
    method, user = scope["method"], getattr(scope.get("user"), "user_id", None)
    if settings.DEBUG:
        facts = {"method": method, "route": route, "status": status}
        log.info("request", **facts, duration_ms=milliseconds, user=user)
    elif _logger.isEnabledFor(logging.INFO):
        # What structlog and logging would write, in a tenth of their time.
        now = datetime.now(UTC)
        line = _encode_line(_Line(method, route, status, milliseconds, user, request_id, now))
        # It is ASCII, as theirs is: no reader takes a character of a user id for the line's end.
        STDERR.write((line if line.isascii() else json.dumps(json.loads(line)).encode()) + b"\n")
