"""HEAD, OPTIONS and caching, alike at every address"""

import pytest

from tests.contract.test_errors import METHODS
from tests.contract.wire import Answer, send_bytes
from tests.support.actors import Actor, Cast

READABLE = [address for address, methods in METHODS.items() if "GET" in methods]
QUERIES = {"/api/token/subscription/": "?channel=personal:USER"}


def ask(actor: Actor, method: str, address: str, headers: bytes = b"") -> Answer:
    """Return an answer without what differs from one request to the next."""
    answer = send_bytes(actor, method, address.encode(), headers=headers)
    assert len(answer.headers.pop("x-request-id")) == 32
    del answer.headers["date"]
    return answer


@pytest.mark.parametrize("headers", [b"", b"Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("address", READABLE)
def test_head_is_the_head_of_get(host: Actor, alice: Actor, address: str, headers: bytes) -> None:
    """Same status, same headers with the length of the body, and no body: hot routes too."""
    room = host.create_room(alice)
    alice.send(room, "one")
    target = address.replace("{room_id}", str(room))
    target += QUERIES.get(address, "").replace("USER", alice.user_id)

    got, head = (ask(alice, method, target, headers) for method in ("GET", "HEAD"))

    assert (head.status, head.body) == (got.status, b"")
    # A token's text differs by its time, never by so much.
    assert head.headers.pop("content-length").isdecimal()
    assert int(got.headers.pop("content-length")) == len(got.body) > 0
    assert head.headers == got.headers


def test_the_length_of_a_head_is_that_of_the_body(host: Actor, alice: Actor) -> None:
    """It says how much a GET would bring."""
    room = host.create_room(alice)
    for address in (f"/api/rooms/{room}/", "/api/rooms/", "/api/schema/"):
        got, head = alice.get(address), alice.http.head(address)
        assert head.headers["content-length"] == got.headers["content-length"]


def test_a_refused_head_says_why_in_its_status(
    host: Actor, alice: Actor, bob: Actor, anonymous: Actor
) -> None:
    """The errors of GET, as far as they fit into a head."""
    messages = f"/api/rooms/{host.create_room(alice)}/messages/"
    for actor, address, status in (
        (anonymous, messages, 401),
        (bob, messages, 404),
        (alice, f"{messages}?limit=0", 422),
        (alice, "/api/nothing/", 404),
        (alice, f"{messages[:-9]}join/", 405),
    ):
        answer = ask(actor, "HEAD", address)
        assert (answer.status, answer.body) == (status, b"")
        assert answer.headers["content-type"] == "application/problem+json"


def test_no_answer_is_kept_by_a_cache(cast: Cast, host: Actor, alice: Actor) -> None:
    """Rooms and messages are private, tokens are secret, and an error may be over soon."""
    room = host.create_room(alice)
    messages = f"/api/rooms/{room}/messages/"
    answers = [
        *(alice.get(address) for address in ("/api/rooms/", messages, "/api/token/connection/")),
        *(alice.get(address) for address in (f"/api/rooms/{room}/members/", "/api/search/")),
        alice.get(messages, limit=0),
        *(alice.send(room, "one"), alice.get("/api/nothing/"), alice.http.put(messages)),
        *(alice.http.options(messages), cast.anonymous().get(messages), alice.get("/health/ready")),
        *(host.delete(f"/api/rooms/{room}/members/nobody/"), cast.anonymous().get("/api/docs/")),
        *(
            alice.post("/api/rooms/", {"name": "x"}),
            alice.http.post(messages, content=b"x" * 70_000),
        ),
    ]

    assert {answer.headers.get("cache-control") for answer in answers} == {"no-store"}
