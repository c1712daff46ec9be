"""The hot routes without the framework around them: the same handlers, a third of the CPU.

`DirectRoutes` stands in front of the framework's application. It calls the functions that the
framework would call, with the same arguments, and writes what they return or raise in the same
form, so there is one definition of each endpoint, error and limit. What is unusual in any way, a
chunked body for example, is passed on unread, and the framework answers it.

A handler fits if it is async, if its only guard is `authenticated`, and if its parameters are
among `request`, `body`, `room_id` and what `application.state` holds.
"""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from app.authentication import authenticate
from chat.api.bodies import read_body
from chat.api.problems import NO_STORE, answer_error
from chat.api.security import authenticated
from chat.conf import BODY_MAX_BYTES

_PARAMETER = re.compile(r"\{(?P<name>\w+):str\}")
_JSON = (b"content-type", b"application/json")
_NO_STORE = [(name.lower().encode(), value.encode()) for name, value in NO_STORE.items()]
# A request with one of them twice is not ordinary.
_JUDGED = frozenset(
    {b"authorization", b"content-length", b"content-type", b"host", b"transfer-encoding"}
)
_HOST = re.compile(rb"[A-Za-z0-9.-]+(?::[0-9]+)?")

_encode = msgspec.json.Encoder().encode


class _Route(NamedTuple):
    """One handler: which addresses it takes, and what it is called with."""

    handler: HTTPRouteHandler
    address: re.Pattern[str]
    template: str
    """The address as the framework names it."""
    reads_body: bool
    provided: Sequence[str]
    """The parameters that `application.state` holds."""


class DirectRoutes:
    """Answers ordinary requests to some routes, and passes everything else on."""

    def __init__(
        self, application: ASGIApp, state: State, handlers: Sequence[HTTPRouteHandler]
    ) -> None:
        self._application = application
        self._state = state
        self._routes: Mapping[str, list[_Route]] = {"GET": [], "POST": []}
        for handler in handlers:
            (method,) = handler.http_methods
            self._routes[method].append(_make_route(handler))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == ScopeType.HTTP:
            for route in self._routes.get(scope["method"], ()):
                if found := route.address.fullmatch(scope["path"]):
                    if not await self._answer(route, found.groupdict(), scope, receive, send):
                        break
                    return
        await self._application(scope, receive, send)

    async def _answer(
        self, route: _Route, values: dict[str, Any], scope: HTTPScope, receive: Receive, send: Send
    ) -> bool:
        """Answer the request if it is ordinary; return whether it was."""
        authorization = _read_authorization(scope["headers"], reads_body=route.reads_body)
        if authorization is None:
            return False
        scope["path_template"] = route.template
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        try:
            scope["user"] = await authenticate(authorization, self._state.token_verifier)
            if route.reads_body:
                values["body"] = await read_body(receive)
                if values["body"] is None:
                    return False
            for name in route.provided:
                values[name] = getattr(self._state, name)
            answer = await route.handler.fn(request=request, **values)
        except Exception as error:  # noqa: BLE001 - each has its answer
            answer = answer_error(request, error)
        await _send(answer, route, request)
        return True


def _make_route(handler: HTTPRouteHandler) -> _Route:
    (path,) = handler.paths
    if handler.guards != [authenticated]:
        raise ValueError(f"{handler.fn.__name__} has other guards than `authenticated`.")
    of_path = _PARAMETER.findall(path)
    parameters = inspect.signature(handler.fn).parameters
    return _Route(
        handler,
        # Other texts in the place of a number are left to the framework.
        re.compile(_PARAMETER.sub(r"(?P<\g<name>>[0-9]+)", path) + "/?"),
        _PARAMETER.sub(r"{\g<name>}", path),
        "body" in parameters,
        [name for name in parameters if name not in {"request", "body", *of_path}],
    )


def _read_authorization(headers: Iterable[tuple[bytes, bytes]], *, reads_body: bool) -> str | None:
    """Return the `Authorization`, or None where the framework has to judge the headers."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _JUDGED:
            if name in found:
                return None
            found[name] = value
    length = int(found.get(b"content-length", -1))
    if b"transfer-encoding" in found or (reads_body and not 0 <= length <= BODY_MAX_BYTES):
        return None
    if _HOST.fullmatch(found.get(b"host", b"")) is None:
        return None
    authorization = found.get(b"authorization")
    return None if authorization is None else authorization.decode("latin-1")


async def _send(answer: object, route: _Route, request: Request[Any, Any, Any]) -> None:
    """Send what a handler returned, as the framework does."""
    status = route.handler.status_code
    if isinstance(answer, Response):
        if answer.headers or answer.cookies or answer.media_type:
            await answer.to_asgi_response(None, request)(
                request.scope, request.receive, request.send
            )
            return
        status, answer = answer.status_code or status, answer.content
    body = _encode(answer)
    headers = [_JSON, *_NO_STORE, (b"content-length", b"%d" % len(body))]
    await request.send({"type": "http.response.start", "status": status, "headers": headers})
    await request.send({"type": "http.response.body", "body": body, "more_body": False})
