"""Which requests are answered without the framework, and which are passed on to it."""

import asyncio
from typing import Any

import msgspec
import pytest
from litestar import get, post
from litestar.datastructures import State

from app.identity.jwt_verifier import JwtVerifier
from chat.api.direct import DirectRoutes
from chat.api.security import ApiRequest, authenticated, service_only
from chat.conf import BODY_MAX_BYTES
from tests.support.actors import make_token

TOKEN = (b"authorization", b"Bearer " + make_token("alice").encode())


class Thing(msgspec.Struct):
    """What the handlers of this test answer."""

    of: str
    text: str


@get("/api/things/{thing_id:str}", guards=[authenticated])
async def read_thing(request: ApiRequest, thing_id: str, suffix: str) -> Thing:
    """Return a thing."""
    return Thing(request.user.user_id, thing_id + suffix)


@post("/api/things", guards=[authenticated])
async def make_thing(request: ApiRequest, body: bytes) -> Thing:
    """Make a thing."""
    return Thing(request.user.user_id, body.decode())


@get("/api/service", guards=[authenticated, service_only])
async def serve(request: ApiRequest) -> Thing:
    """Be for the service only."""
    return Thing(request.user.user_id, "")


class Wire:
    """One request: it gives the body and keeps what is sent."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        """Give the next part of the body, at the end the disconnect."""
        if not self.parts:
            return {"type": "http.disconnect"}
        part = self.parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts)}

    async def send(self, message: Any) -> None:
        """Keep a message."""
        self.sent.append(message)


def ask(
    method: str, path: str, *headers: tuple[bytes, bytes], wire: Wire
) -> tuple[int, bytes] | None:
    """Return the answer, or None where the request was passed on with nothing read or sent."""
    parts, passed = len(wire.parts), []

    async def framework(scope: Any, receive: Any, send: Any) -> None:
        assert (receive, send) == (wire.receive, wire.send)
        passed.append(scope)

    state = State({"token_verifier": JwtVerifier(), "suffix": "!"})
    routes = DirectRoutes(framework, state, [read_thing, make_thing])
    scope: Any = {"type": "http", "method": method, "path": path, "state": {}}
    scope |= {"query_string": b"", "headers": [(b"host", b"localhost"), *headers]}
    asyncio.run(routes(scope, wire.receive, wire.send))
    if passed:
        assert (len(wire.parts), wire.sent) == (parts, [])
        return None
    start, body = wire.sent
    return start["status"], body["body"]


def test_an_ordinary_read_is_answered_directly() -> None:
    """The handler gets what the framework would give it."""
    answer = ask("GET", "/api/things/12/", TOKEN, wire=Wire(b""))

    assert answer == (200, b'{"of":"alice","text":"12!"}')


def test_an_ordinary_body_is_read_whole() -> None:
    """Also when it arrives in parts."""
    length = (b"content-length", b"4")

    answer = ask("POST", "/api/things", TOKEN, length, wire=Wire(b"ab", b"cd"))

    assert answer == (201, b'{"of":"alice","text":"abcd"}')


@pytest.mark.parametrize(
    "method, path, headers",
    [
        *((method, "/api/things/12/", [TOKEN]) for method in ("HEAD", "OPTIONS", "PUT", "POST")),
        *(
            ("GET", path, [TOKEN])
            for path in ("/api/things/x/", "/api/things/1/2", "/api//things/1")
        ),
        *(
            ("GET", path, [TOKEN])
            for path in ("/api/things/1//", "/api/things/%31/", "/api/things/1\n")
        ),
        ("GET", "/api/things/12/", []),
        ("GET", "/api/things/12/", [TOKEN, TOKEN]),
        ("GET", "/api/things/12/", [TOKEN, (b"host", b"another")]),
        ("GET", "/api/things/12/", [TOKEN, (b"transfer-encoding", b"chunked")]),
        ("POST", "/api/things/", [TOKEN]),
        ("POST", "/api/things/", [TOKEN, (b"transfer-encoding", b"chunked")]),
        ("POST", "/api/things/", [TOKEN, (b"content-length", b"%d" % (BODY_MAX_BYTES + 1))]),
        (
            "POST",
            "/api/things/",
            [TOKEN, (b"content-length", b"4"), *[(b"content-type", b"a/b")] * 2],
        ),
    ],
)
def test_what_is_unusual_is_left_to_the_framework(
    method: str, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """It judges the request from its first byte on: nothing was read or sent before."""
    assert ask(method, path, *headers, wire=Wire(b"abcd")) is None


@pytest.mark.parametrize("host", [b"a b", b"<script>", b"e\xff", b"[::1", b""])
def test_a_strange_host_is_left_to_the_framework(host: bytes) -> None:
    """The framework alone says which hosts are none."""
    wire = Wire(b"")
    routes: list[Any] = []

    async def framework(scope: Any, receive: Any, send: Any) -> None:
        routes.append((scope, receive, send))

    direct = DirectRoutes(framework, State({}), [read_thing])
    scope: Any = {"type": "http", "method": "GET", "path": "/api/things/1/"}
    scope |= {"headers": [(b"host", host), TOKEN]}
    asyncio.run(direct(scope, wire.receive, wire.send))

    assert routes == [(scope, wire.receive, wire.send)]


def test_a_client_that_hangs_up_in_its_body_is_left_to_the_framework() -> None:
    """There is nobody to answer; what that means is decided in one place."""
    wire = Wire()
    wire.parts = []

    assert ask("POST", "/api/things", TOKEN, (b"content-length", b"4"), wire=wire) is None


def test_a_handler_with_another_guard_cannot_be_direct() -> None:
    """A guard is never left out by mistake."""
    with pytest.raises(ValueError, match="serve"):
        DirectRoutes(Wire().send, State({}), [serve])  # type: ignore[arg-type]
