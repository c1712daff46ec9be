"""The host is asked about each token: once, within a deadline, and its answer is remembered."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from app.authentication import CannotVerifyNowError, InvalidTokenError
from app.identity import remote_verifier
from app.identity.remote_verifier import RemoteVerifier
from tests.support.identity_provider import Endpoint, serve_endpoint

CLAIMS = {"sub": "alice", "role": "user"}


@pytest.fixture
def host() -> Iterator[Endpoint]:
    """Serve a host that knows each token as Alice's."""
    with serve_endpoint() as endpoint:
        endpoint.answer(CLAIMS)
        yield endpoint


def run(
    host: Endpoint, story: Callable[[RemoteVerifier], Awaitable[None]], **settings: Any
) -> None:
    """Run a test's coroutine with a verifier that asks this host."""

    async def tell() -> None:
        with override_settings(AUTH_VERIFY_URL=host.address, **settings):
            verifier = RemoteVerifier()
        try:
            await story(verifier)
        finally:
            await verifier.close()

    asyncio.run(tell())


def test_the_host_says_who_it_is(host: Endpoint) -> None:
    """It gets the token as JSON and answers with claims, which are read as those of a JWT."""
    now = int(time.time())
    host.answer({"sub": "host", "role": "service", "exp": now + 60, "iat": now})

    async def story(verifier: RemoteVerifier) -> None:
        found = await verifier.verify("opaque-token")
        assert (found.user_id, found.is_service) == ("host", True)
        assert (found.until, found.issued_at) == (now + 90, now)

    run(host, story)
    assert [json.loads(question) for question in host.asked] == [{"token": "opaque-token"}]


def test_claims_of_the_hosts_own_names_are_read(host: Endpoint) -> None:
    """The settings for claims hold for the host's answer too."""
    host.answer({"user": {"id": "u1"}, "groups": ["backend"]})

    async def story(verifier: RemoteVerifier) -> None:
        found = await verifier.verify("token")
        assert (found.user_id, found.is_service) == ("u1", True)

    run(
        host,
        story,
        JWT_USER_CLAIM="user.id",
        JWT_SERVICE_CLAIM=["groups"],
        JWT_SERVICE_VALUE="backend",
    )


def test_an_answer_is_remembered(host: Endpoint) -> None:
    """A client that sends the same token with each request costs the host one question."""

    async def story(verifier: RemoteVerifier) -> None:
        for token in ("a", "b", "a", "b", "a"):
            await verifier.verify(token)

    run(host, story)
    assert [json.loads(question)["token"] for question in host.asked] == ["a", "b"]


def test_an_answer_is_remembered_for_its_time_only(host: Endpoint) -> None:
    """A token that the host revoked is refused at the latest after the time configured."""

    async def story(verifier: RemoteVerifier) -> None:
        await verifier.verify("a")
        host.status = 401
        with pytest.raises(InvalidTokenError):
            await verifier.verify("a")

    run(host, story, AUTH_VERIFY_CACHE_SECONDS=0)


def test_an_answer_is_not_remembered_beyond_its_end(host: Endpoint) -> None:
    """`exp` ends what is remembered, with the leeway of every token."""
    end = int(time.time()) + 2
    host.answer(CLAIMS | {"exp": end - 30})

    async def story(verifier: RemoteVerifier) -> None:
        await verifier.verify("a")
        while time.time() < end:
            pass  # the clock is what this is about
        with pytest.raises(InvalidTokenError, match="expired"):
            await verifier.verify("a")

    run(host, story, AUTH_VERIFY_CACHE_SECONDS=3600)


def test_so_many_are_remembered(host: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has a bound; the token that was not used for the longest time is forgotten."""
    monkeypatch.setattr(remote_verifier, "REMEMBERED_ANSWERS", 2)

    async def story(verifier: RemoteVerifier) -> None:
        for token in ("a", "b", "a", "c", "a", "b"):
            await verifier.verify(token)

    run(host, story)
    assert [json.loads(question)["token"] for question in host.asked] == ["a", "b", "c", "b"]


def test_one_token_is_asked_about_once_at_a_time(host: Endpoint) -> None:
    """A client that sends twenty requests at once causes one question, also if one hangs up."""

    async def story(verifier: RemoteVerifier) -> None:
        host.open.clear()
        waiting = [asyncio.create_task(verifier.verify("a")) for _ in range(20)]
        assert await asyncio.to_thread(host.came.acquire, timeout=10)
        waiting[0].cancel()
        host.open.set()
        found = await asyncio.gather(*waiting[1:])
        assert {principal.user_id for principal in found} == {"alice"}

    run(host, story, AUTH_VERIFY_CACHE_SECONDS=0, AUTH_VERIFY_TIMEOUT_SECONDS=10)
    assert len(host.asked) == 1


def test_the_host_is_not_flooded(host: Endpoint) -> None:
    """At most twenty questions are under way; a hundred tokens are all answered."""

    async def story(verifier: RemoteVerifier) -> None:
        host.open.clear()
        waiting = [asyncio.create_task(verifier.verify(f"t{number}")) for number in range(100)]
        for _ in range(20):
            assert await asyncio.to_thread(host.came.acquire, timeout=10)
        assert not await asyncio.to_thread(host.came.acquire, timeout=0.2)
        host.open.set()
        assert len(await asyncio.gather(*waiting)) == 100

    run(host, story, AUTH_VERIFY_TIMEOUT_SECONDS=30)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_a_refusal(host: Endpoint, status: int) -> None:
    """401 and 403 of the host say that the token is not valid, and nothing of it is remembered."""

    async def story(verifier: RemoteVerifier) -> None:
        host.status = status
        with pytest.raises(InvalidTokenError):
            await verifier.verify("a")
        host.status = 200
        assert (await verifier.verify("a")).user_id == "alice"

    run(host, story)


@pytest.mark.parametrize(
    "claims",
    [
        {"active": False},
        {"active": False, "sub": "alice"},
        {"active": None, "sub": "alice"},
        {"sub": "alice", "exp": 1},
        {"sub": "alice", "nbf": 4_000_000_000},
    ],
)
def test_claims_may_refuse_too(host: Endpoint, claims: dict[str, Any]) -> None:
    """A token that is said to be inactive, over or not begun is not valid."""
    host.answer(claims)

    async def story(verifier: RemoteVerifier) -> None:
        with pytest.raises(InvalidTokenError):
            await verifier.verify("a")

    run(host, story)


@pytest.mark.parametrize("claims", [CLAIMS, CLAIMS | {"exp": 4_000_000_000}])
def test_a_token_that_is_valid_for_too_long_is_refused(
    host: Endpoint, claims: dict[str, Any]
) -> None:
    """The settings for `exp` hold here too: to repeat the request would change nothing."""
    host.answer(claims)

    async def story(verifier: RemoteVerifier) -> None:
        with pytest.raises(InvalidTokenError, match="valid for"):
            await verifier.verify("a")

    run(host, story, JWT_MAX_LIFETIME_SECONDS=3600)


@pytest.mark.parametrize(
    "status, body",
    [
        *((status, b'{"sub":"alice"}') for status in (201, 204, 301, 307, 400, 404, 429, 500, 503)),
        *((200, body) for body in (b"", b"alice", b"<html>", b"[]", b'"alice"', b"null", b"{}")),
        *((200, body) for body in (b'{"sub":5}', b'{"sub":""}', b'{"sub":"\\u0000"}', b"\xff")),
        (200, b'{"sub":"alice","exp":"tomorrow"}'),
        (200, b'{"sub":"alice","exp":NaN}'),
        (200, b'{"sub":"alice","x":' + b"[" * 60_000),
        (200, b'{"sub":"alice","x":"' + b"x" * 65_536 + b'"}'),
    ],
)
def test_anything_else_says_nothing(host: Endpoint, status: int, body: bytes) -> None:
    """An answer that names no user is no refusal: the client keeps its token and tries again."""
    host.status, host.body, host.headers = status, body, {"Location": "/elsewhere"}

    async def story(verifier: RemoteVerifier) -> None:
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify("a")

    run(host, story)
    assert len(host.asked) == 1


def test_a_host_that_does_not_answer_has_a_deadline(host: Endpoint) -> None:
    """A request waits no longer than the time configured."""
    host.open.clear()

    async def story(verifier: RemoteVerifier) -> None:
        began = time.monotonic()
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify("a")
        assert time.monotonic() - began < 3

    run(host, story, AUTH_VERIFY_TIMEOUT_SECONDS=1)


def test_a_host_that_is_away_says_nothing() -> None:
    """A refused connection is no refused token."""
    with serve_endpoint() as gone:
        pass

    async def story(verifier: RemoteVerifier) -> None:
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify("a")

    run(gone, story)


def test_a_process_that_cannot_ask_says_nothing(
    host: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Certificates or a proxy that are not there are no refused token, and no defect either."""
    monkeypatch.setenv(name := "SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    async def story(verifier: RemoteVerifier) -> None:
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify("a")
        monkeypatch.delenv(name)
        monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify("a")

    run(host, story)


def test_a_clock_that_is_put_back_keeps_no_answer(
    host: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So long can a revoked token be used, and no longer, whatever happens to the clock."""
    wall, passed = time.time, time.monotonic

    async def story(verifier: RemoteVerifier) -> None:
        await verifier.verify("a")
        host.status = 401
        monkeypatch.setattr(time, "time", lambda: wall() - 3600)
        monkeypatch.setattr(time, "monotonic", lambda: passed() + 31)
        with pytest.raises(InvalidTokenError):
            await verifier.verify("a")

    run(host, story)


@pytest.mark.parametrize("token", ["x" * 8193, "é", "\udcff", "a\u2028b"])
def test_the_host_is_not_asked_about_everything(host: Endpoint, token: str) -> None:
    """What is too long, or has characters that no token has, is refused here."""

    async def story(verifier: RemoteVerifier) -> None:
        with pytest.raises(InvalidTokenError):
            await verifier.verify(token)

    run(host, story)
    assert host.asked == []
