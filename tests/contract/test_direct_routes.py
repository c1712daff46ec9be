"""The hot routes answer the same with the framework around them and without it

A chunked body is left to the framework, so each request has a twin that differs in that only.
"""

import json
from dataclasses import replace

import pytest

from tests.contract.wire import Answer, send_bytes
from tests.support.actors import Actor

READS = ["/api/rooms/", "/api/rooms", *(f"/api/rooms/ROOM{rest}" for rest in ("/", ""))] + [
    f"/api/rooms/ROOM/{name}/{query}"
    for name in ("messages", "events")
    for query in ("", "?limit=1", "?after=1", "?after=x", "?limit=1&limit=2", "?limit=0")
]
UNKNOWN = ["/api/rooms/0/", "/api/rooms/01/", "/api/rooms/9223372036854775807/"]
UNKNOWN += [f"{path}messages/" for path in (*UNKNOWN, "/api/rooms/9223372036854775808/")]
BODIES = [
    *(b'{"content":"one","client_id":"k"}', b'{"content":"two","client_id":"k"}'),
    *(b"", b"{", b"[]", b"null", b'{"content":""}', b'{"content":"a","x":1}', b'{"content":1}'),
    *(b'{"content":"\\u0000"}', b'{"content":"a","client_id":"~k"}', b'"\xff"', b"[" * 50_000),
]
TYPES = [b"application/json", b"application/json; charset=utf-8", b"Application/JSON"]
TYPES += [b"application/json;charset=latin-1", b"text/plain", b"", b"application/jsonp"]


def ask_twice(
    actor: Actor, method: str, path: str, *, headers: bytes = b"", body: bytes = b""
) -> tuple[Answer, Answer]:
    """Return the answers without the framework and with it, without what differs each time."""
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    ways = [
        (headers + b"Content-Length: %d\r\n" % len(body), body),
        (headers + b"Transfer-Encoding: chunked\r\n", chunk + b"0\r\n\r\n"),
    ]
    direct, framed = (
        send_bytes(actor, method, path.encode(), headers=lines, body=content)
        for lines, content in ways
    )
    for answer in (direct, framed):
        assert len(answer.headers.pop("x-request-id")) == 32
        del answer.headers["date"]
    return direct, framed


@pytest.mark.parametrize("path", [*READS, *UNKNOWN])
def test_reads_are_the_same(host: Actor, alice: Actor, path: str) -> None:
    """Status, headers and every byte of the body, for pages and for each way to ask wrongly."""
    room = host.create_room(alice)
    for text in ("one", "zwei — два", "three"):
        alice.send(room, text)

    direct, framed = ask_twice(alice, "GET", path.replace("ROOM", str(room)))

    assert direct == framed


@pytest.mark.parametrize("body", BODIES)
def test_sends_are_the_same(host: Actor, alice: Actor, body: bytes) -> None:
    """What is refused is refused alike; what was sent before is the same message."""
    room = host.create_room(alice)
    alice.send(room, "one", client_id="k")

    direct, framed = ask_twice(
        alice,
        "POST",
        f"/api/rooms/{room}/messages/",
        headers=b"Content-Type: application/json\r\n",
        body=body,
    )

    assert direct == framed


@pytest.mark.parametrize("media_type", TYPES)
def test_media_types_are_judged_alike(host: Actor, alice: Actor, media_type: bytes) -> None:
    """The header is read in the same way."""
    room = host.create_room(alice)
    body = b'{"content":"one","client_id":"k"}'
    alice.send(room, "one", client_id="k")

    direct, framed = ask_twice(
        alice,
        "POST",
        f"/api/rooms/{room}/messages/",
        headers=b"Content-Type: " + media_type + b"\r\n",
        body=body,
    )

    assert direct == framed


def test_a_new_message_has_the_same_form(host: Actor, alice: Actor) -> None:
    """The fields are the same ones in the same order, with 201."""
    room = host.create_room(alice)

    direct, framed = ask_twice(
        alice,
        "POST",
        f"/api/rooms/{room}/messages/",
        headers=b"Content-Type: application/json\r\n",
        body=b'{"content":"one"}',
    )

    assert direct.status == 201
    assert list(direct.json()) == list(framed.json())
    assert replace(direct, body=b"") == replace(framed, body=b"")
    assert (
        direct.body == json.dumps(direct.json(), separators=(",", ":"), ensure_ascii=False).encode()
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_strangers_and_the_unknown_are_answered_alike(
    host: Actor, alice: Actor, bob: Actor, anonymous: Actor, method: str
) -> None:
    """A caller who is no member, and one without a token, meet the same answers."""
    path = f"/api/rooms/{host.create_room(alice)}/messages/"
    headers, body = b"Content-Type: application/json\r\n", b'{"content":"one"}'

    for actor, status in ((bob, 404), (anonymous, 401)):
        direct, framed = ask_twice(actor, method, path, headers=headers, body=body)
        assert (direct, direct.status) == (framed, status)
