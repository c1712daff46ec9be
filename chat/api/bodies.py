"""Reading the body of a request: its size, its time, its media type, its JSON."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.types.asgi_types import ReceiveMessage

from chat.api.problems import RequestError
from chat.api.schemas import PATTERNS
from chat.api.security import ApiRequest
from chat.conf import BODY_SECONDS, DATA_MAX_BYTES
from chat.errors import InvalidInputError
from chat.realtime.channels import describe_invalid_user_id

_PLAIN_JSON = (b"content-type", b"application/json")
_MISSING_FIELD = re.compile(r"(?:missing required|unknown) field `(?P<field>[^`]*)`")
_PATH_OF_ERROR = re.compile(r" - at `(?P<key>key in )?\$(?P<path>[^`]*)`\Z")
# Written as an escape; PostgreSQL's functions for JSON cannot read it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_PATTERN = re.compile(r"matching regex (?P<pattern>'.*')\Z")
# As msgspec quotes each pattern, and what a person reads in its place.
_SAID: Mapping[str, str] = {repr(pattern): text for pattern, text in PATTERNS.items()}

Body = TypeVar("Body")


def with_body_deadline(app: ASGIApp) -> ASGIApp:
    """Return the application with a bound on the time that a request's body may take in all.

    Beyond `BODY_SECONDS` reading the body raises `RequestError` with the code `body_too_slow`.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, _bound(receive), send)

    return run


def _bound(receive: Receive) -> Receive:
    deadline: float | None = asyncio.get_running_loop().time() + BODY_SECONDS

    async def receive_in_time() -> ReceiveMessage:
        nonlocal deadline
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise RequestError("body_too_slow") from None
        if not message.get("more_body", False):
            # After the body comes the wait for the client to hang up, which may be long.
            deadline = None
        return message

    return receive_in_time


async def read_body(receive: Receive) -> bytes | None:
    """Return a request's whole body, or None if the client hung up before its end.

    Its size is not bounded here. Errors: `RequestError` as for `with_body_deadline`.
    """
    receive = _bound(receive)
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        if not message.get("more_body", False):
            return b"".join(parts)


def parse_body(request: ApiRequest, body: bytes, schema: type[Body]) -> Body:
    """Return the request's JSON body as its schema has it.

    Errors: `RequestError` for a body that is not declared as JSON or is no JSON document;
    `InvalidInputError`, with a JSON pointer to the first field at fault, for any other document.
    """
    # Nearly every request has this line; reading the header in general takes 4 µs.
    if _PLAIN_JSON not in request.scope["headers"]:
        media_type, parameters = request.content_type
        charset = parameters.get("charset", "utf-8").lower()
        if media_type != "application/json" or charset != "utf-8":
            raise RequestError("unsupported_media_type")
    try:
        return msgspec.json.decode(body, type=schema)
    except msgspec.ValidationError as error:
        raise _describe_invalid_body(error) from error
    except (ValueError, RecursionError) as error:
        # msgspec raises the one for bad UTF-8, the interpreter the other for deep nesting.
        raise RequestError("malformed_json") from error


def require_user_ids(user_ids: list[str], *, pointer: str) -> None:
    """Raise `InvalidInputError`, with its place in the body, for the first that is not an id."""
    for place, user_id in enumerate(user_ids):
        if (reason := describe_invalid_user_id(user_id)) is not None:
            raise InvalidInputError(reason, pointer=f"{pointer}/{place}")


def require_room_data(data: Mapping[str, Any] | None) -> None:
    """Raise `InvalidInputError` for an object that cannot be kept with a room."""
    encoded = msgspec.json.encode(data)
    if len(encoded) > DATA_MAX_BYTES:
        raise InvalidInputError(
            f"data has {len(encoded):,} bytes as JSON; {DATA_MAX_BYTES:,} is the most.",
            pointer="/data",
        )
    if _NUL.search(encoded):
        raise InvalidInputError("data has a NUL character.", pointer="/data")


def _describe_invalid_body(error: msgspec.ValidationError) -> InvalidInputError:
    """Return the error with the JSON pointer (RFC 6901) of the field that msgspec names."""
    message = str(error)
    path = ""
    if match := _PATH_OF_ERROR.search(message):
        message = message[: match.start()]
        # `[...]` stands for any member of an object.
        path = match["path"].partition("[...]")[0]
        path = re.sub(r"\[(\d+)\]", r"/\1", path).replace(".", "/")
    if match := _MISSING_FIELD.search(message):
        path += "/" + match["field"].replace("~", "~0").replace("/", "~1")
    if match := _PATTERN.search(message):
        message = message[: match.start()] + _SAID[match["pattern"]]
    return InvalidInputError(f"{message}.", pointer=path)
