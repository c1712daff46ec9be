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

    The line has the route, the status, the duration, the user, the room, the message that was sent,
    and the code of the problem; never a query, a content or a token. `area` is used where there is
    no route: in the admin and for unknown addresses.

    It runs in a task of the request's own, so what it binds for the log ends with the request.
    """
    started = time.perf_counter()
    request_id = read_request_id(scope["headers"])
    header = (b"x-request-id", request_id.encode())
    status = 0
    body = b""

    async def send_with_id(message: Message) -> None:
        nonlocal status, body
        if message["type"] == "http.response.start":
            status = message["status"]
            message["headers"] = [*message.get("headers", ()), header]
        elif not body:
            body = message.get("body", b"")
        await send(message)

    structlog.contextvars.bind_contextvars(request_id=request_id)
    try:
        await application(scope, receive, send_with_id)
    finally:
        seconds = time.perf_counter() - started
        route = scope.get("path_template") or area
        _count(scope["method"], route, status, seconds)
        if route not in _UNLOGGED_ROUTES:
            _log(scope, route, status, body, round(seconds * 1000, 2), request_id)


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
    room: int | None
    message: int | None
    code: str | None
    request_id: str
    timestamp: datetime
    event: str = "request"
    level: str = "info"
    logger: str = LOGGER


# Of an address, also below a prefix, and of the answer to a send. At most 19 digits: a bigint.
_ROOM = re.compile(r"/api/rooms/([0-9]{1,19})(?:/|$)")
_SENT = re.compile(rb'\{"id" ?: ?([0-9]{1,19})[,}]')


class _Problem(msgspec.Struct):
    code: str


_decode_problem = msgspec.json.Decoder(_Problem).decode


def _find_room(route: str, path: str) -> int | None:
    """Return the room that a request was about, by its address."""
    found = _ROOM.search(path) if "{room_id}" in route else None
    return int(found[1]) if found else None


def _find_message(method: str, route: str, body: bytes) -> int | None:
    """Return the message that a request stored, or had stored before, by its answer."""
    found = _SENT.match(body) if method == "POST" and route.endswith("/messages") else None
    return int(found[1]) if found else None


def _find_code(body: bytes) -> str | None:
    """Return the code with which a request was refused, by its answer."""
    try:
        return _decode_problem(body).code
    except msgspec.DecodeError:
        return None  # a page of the admin, or an answer without a body


_encode_line = msgspec.json.Encoder().encode
_logger = logging.getLogger(LOGGER)


def _log(
    scope: Message, route: str, status: int, body: bytes, milliseconds: float, request_id: str
) -> None:
    if not _logger.isEnabledFor(logging.INFO):
        return
    method, user = scope["method"], getattr(scope.get("user"), "user_id", None)
    room = _find_room(route, scope["path"])
    message = _find_message(method, route, body) if status < 400 else None
    code = _find_code(body) if status >= 400 else None
    if settings.DEBUG:
        facts = {"method": method, "route": route, "status": status, "duration_ms": milliseconds}
        log.info("request", **facts, user=user, room=room, message=message, code=code)
    else:
        # What structlog and logging would write, in a tenth of their time.
        now = datetime.now(UTC)
        line = _encode_line(
            _Line(method, route, status, milliseconds, user, room, message, code, request_id, now)
        )
        # It is ASCII, as theirs is: no reader takes a character of a user id for the line's end.
        STDERR.write((line if line.isascii() else json.dumps(json.loads(line)).encode()) + b"\n")
