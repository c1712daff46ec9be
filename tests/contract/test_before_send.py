"""The host is asked about each message before it is stored."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.actors import Cast
from tests.support.identity_provider import Endpoint, serve_endpoint
from tests.support.processes import serve_api

SECRET = "whsec_" + base64.b64encode(b"a secret of the host and of this").decode()


class Stand:
    """An API that asks an endpoint of the host."""

    def __init__(self, cast: Cast, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.host, self.alice, self.charlie = cast.service(), cast.user("alice"), cast.user("ch")
        self.room = self.host.create_room(self.alice)
        self.endpoint.asked.clear()
        self.allow()

    def allow(self) -> None:
        """Let the host allow from now on."""
        self.endpoint.answer({"action": "allow"})

    def refuse(self, reason: str = "No links, please.") -> None:
        """Let the host refuse from now on."""
        self.endpoint.answer({"action": "refuse", "reason": reason})

    def read_texts(self) -> list[str]:
        """Return the texts that are stored."""
        page = self.alice.get(f"/api/rooms/{self.room}/messages/").json()
        return [message["content"] for message in page["results"]]


@contextmanager
def stand_up(database_url: str, on_failure: str) -> Iterator[tuple[Cast, Endpoint]]:
    """Run an API that asks an endpoint."""
    with (
        serve_endpoint() as endpoint,
        serve_api(
            database_url,
            CHAT_BEFORE_SEND_URL=endpoint.address,
            CHAT_BEFORE_SEND_SECRET=SECRET,
            CHAT_BEFORE_SEND_ON_FAILURE=on_failure,
        ) as url,
        Cast(url) as cast,
    ):
        yield cast, endpoint


@pytest.fixture(scope="module")
def allowing(database_url: str) -> Iterator[tuple[Cast, Endpoint]]:
    """Run one that allows on failure, as by default."""
    with stand_up(database_url, "") as found:
        yield found


@pytest.fixture(scope="module")
def refusing(database_url: str) -> Iterator[tuple[Cast, Endpoint]]:
    """Run one that refuses on failure."""
    with stand_up(database_url, "refuse") as found:
        yield found


@pytest.fixture
def stand(allowing: tuple[Cast, Endpoint]) -> Stand:
    """Return a stand with a room of this test's own."""
    return Stand(*allowing)


@pytest.fixture
def strict(refusing: tuple[Cast, Endpoint]) -> Stand:
    """Return the same where a failure refuses."""
    return Stand(*refusing)


def test_the_host_sees_what_is_to_be_sent(stand: Stand) -> None:
    """The message, its sender, its room and its key."""
    answer = stand.alice.send(stand.room, "hello", "key")

    assert answer.status_code == 201
    (question,) = map(json.loads, stand.endpoint.asked)
    assert question["type"] == "before_send"
    assert question["data"] == {
        "room_id": stand.room,
        "user": stand.alice.user_id,
        "content": "hello",
        "client_id": "key",
    }


def test_a_key_of_the_services_own_is_not_shown(stand: Stand) -> None:
    """The sender gave none."""
    stand.alice.send(stand.room, "hello")

    (question,) = map(json.loads, stand.endpoint.asked)
    assert "client_id" not in question["data"]


def test_the_question_is_signed(stand: Stand) -> None:
    """As Standard Webhooks has it, so that the libraries for it verify it."""
    stand.alice.send(stand.room, "hello")

    (body,), headers = stand.endpoint.asked, stand.endpoint.heard[-1]
    number, seconds = headers["webhook-id"], headers["webhook-timestamp"]
    signed = f"{number}.{seconds}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(time.time() - int(seconds)) < 60
    assert headers["content-type"] == "application/json"


def test_what_the_host_refuses_is_not_stored(stand: Stand) -> None:
    """The sender reads the host's reason."""
    stand.refuse("No links, please.")

    answer = stand.alice.send(stand.room, "http://example.com")

    assert (answer.status_code, answer.json()["code"]) == (422, "refused_content")
    assert answer.json()["detail"] == "No links, please."
    assert stand.read_texts() == []


def test_what_was_accepted_stays_accepted(stand: Stand) -> None:
    """A repeated request is answered with its message, and the host is not asked once more."""
    first = stand.alice.send(stand.room, "hello", "key")
    stand.refuse()

    again = stand.alice.send(stand.room, "hello", "key")

    assert (again.status_code, again.json()) == (200, first.json())
    assert len(stand.endpoint.asked) == 1
    assert stand.alice.send(stand.room, "other", "key").status_code == 409


def test_nobody_asks_for_a_stranger(stand: Stand) -> None:
    """A message into a room of others never reaches the host."""
    assert stand.charlie.send(stand.room, "hello").status_code == 404
    assert stand.charlie.send(10**12, "hello").status_code == 404
    assert stand.endpoint.asked == []


FAILURES: dict[str, tuple[int, Any]] = {
    "an error": (500, {"action": "allow"}),
    "a redirect": (302, {"action": "allow"}),
    "no JSON": (200, None),
    "another action": (200, {"action": "perhaps"}),
    "no action": (200, {"reason": "x"}),
    "a long answer": (200, {"action": "allow", "more": "x" * 20_000}),
}


def fail(endpoint: Endpoint, failure: str) -> None:
    """Let the host answer wrongly from now on."""
    status, answer = FAILURES[failure]
    endpoint.answer(answer, status)
    if answer is None:
        endpoint.body = b"allow"


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_allows_by_default(stand: Stand, failure: str) -> None:
    """The message is stored."""
    fail(stand.endpoint, failure)

    assert stand.alice.send(stand.room, "hello").status_code == 201


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_refuses_where_it_is_set(strict: Stand, failure: str) -> None:
    """Nothing is stored, and the sender may try again."""
    fail(strict.endpoint, failure)

    answer = strict.alice.send(strict.room, "hello", "key")

    assert (answer.status_code, answer.json()["code"]) == (503, "check_unavailable")
    assert answer.headers["Retry-After"]
    assert strict.read_texts() == []
    strict.allow()
    assert strict.alice.send(strict.room, "hello", "key").status_code == 201


@pytest.mark.slow
def test_the_host_has_a_second(strict: Stand) -> None:
    """Where it does not answer by then, the message is refused; reading is not held up."""
    strict.endpoint.open.clear()
    try:
        began = time.monotonic()
        answer = strict.alice.send(strict.room, "hello")
        took = time.monotonic() - began
    finally:
        strict.endpoint.open.set()

    assert answer.json()["code"] == "check_unavailable"
    assert 0.9 < took < 3
    assert strict.read_texts() == []


def test_a_host_that_is_gone_is_a_failure(database_url: str) -> None:
    """Nobody listens at the address."""
    with serve_endpoint() as endpoint:
        address = endpoint.address
    with (
        serve_api(
            database_url,
            CHAT_BEFORE_SEND_URL=address,
            CHAT_BEFORE_SEND_SECRET=SECRET,
            CHAT_BEFORE_SEND_ON_FAILURE="refuse",
        ) as url,
        Cast(url) as cast,
    ):
        alice = cast.user("alice")
        room = cast.service().create_room(alice)

        assert alice.send(room, "hello").json()["code"] == "check_unavailable"
