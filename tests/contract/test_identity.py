"""Who is let in by an identity provider or by the host: 200, 401 or 503, through the real API"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.contract.test_authentication import PATH, assert_unauthorized
from tests.contract.test_errors import assert_problem
from tests.support.actors import Cast, make_token
from tests.support.identity_provider import Endpoint, make_jwk, make_key, serve_endpoint, sign
from tests.support.processes import start_api

pytestmark = pytest.mark.slow

KEY, STRANGER = make_key("RS256"), make_key("RS256", 1)
ISSUER = "https://id.example.com/"
# No test has so many rooms.
NOWHERE = 10**15


@contextmanager
def serve(database_url: str, **environment: str) -> Iterator[Cast]:
    """Run an API with these settings; give the cast that calls it."""
    with start_api(database_url, output=None, **environment) as (url, _), Cast(url) as cast:
        httpx.get(f"{url}/health/live", timeout=30).raise_for_status()
        yield cast


def make_claims(user: str = "alice") -> dict[str, object]:
    """Return the claims of a user's token."""
    return {"sub": user, "iss": ISSUER, "aud": "chat", "exp": time.time() + 600}


def assert_told_to_wait(answer: httpx.Response) -> None:
    """Check that the answer neither lets in nor refuses, and says when to come back."""
    assert_problem(answer, 503, "identity_unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert "www-authenticate" not in answer.headers


def call_all(cast: Cast, token: str) -> list[httpx.Response]:
    """Return the answers to a hot read, a hot write, an ordinary read and an ordinary write."""
    user = cast.with_token(token)
    return [
        user.get(PATH),
        user.send(NOWHERE, "hello"),
        user.get(f"/api/rooms/{NOWHERE}/members/"),
        user.post(f"/api/rooms/{NOWHERE}/join/"),
    ]


def test_a_provider_lets_users_in(database_url: str) -> None:
    """With three variables, users of an identity provider are let in, and nobody else is."""
    with serve_endpoint() as provider:
        provider.publish(make_jwk(KEY, kid="main", use="sig", alg="RS256"))
        with serve(
            database_url,
            JWT_JWKS_URL=provider.address,
            JWT_ISSUER=ISSUER,
            JWT_AUDIENCE="chat",
        ) as cast:
            good = sign(make_claims(), KEY, kid="main")
            statuses = [answer.status_code for answer in call_all(cast, good)]
            assert statuses == [200, 404, 404, 404]
            for token in (
                make_token("alice"),
                sign(make_claims(), STRANGER, kid="main"),
                sign(make_claims(), STRANGER, kid="stranger"),
                sign(make_claims() | {"aud": "other"}, KEY, kid="main"),
                sign(make_claims() | {"exp": time.time() - 60}, KEY, kid="main"),
            ):
                for answer in call_all(cast, token):
                    assert_unauthorized(answer)


def test_a_provider_that_is_away_logs_nobody_out(database_url: str) -> None:
    """Started while the provider is away, the service says 503 for each token until it is back."""
    with serve_endpoint() as provider:
        provider.status = 500
        with serve(database_url, JWT_JWKS_URL=provider.address) as cast:
            good = sign(make_claims(), KEY, kid="main")
            for answer in call_all(cast, good):
                assert_told_to_wait(answer)
            assert_unauthorized(cast.with_token("no token").get(PATH))
            assert_unauthorized(cast.anonymous().get(PATH))
            provider.publish(make_jwk(KEY, kid="main"))
            assert_let_in_after_retry(cast, good)


def assert_let_in_after_retry(cast: Cast, token: str) -> None:
    """Do as `Retry-After` says until the token is accepted."""
    deadline = time.monotonic() + 30
    while (answer := cast.with_token(token).get(PATH)).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(int(answer.headers["retry-after"]))
    assert answer.status_code == 200


def test_a_host_is_asked(database_url: str) -> None:
    """With one variable the host judges each token; when it is away, nobody is refused."""
    with serve_endpoint() as host:
        host.answer({"sub": "alice"})
        with serve(
            database_url, AUTH_VERIFY_URL=host.address, AUTH_VERIFY_CACHE_SECONDS="0"
        ) as cast:
            assert cast.with_token("opaque").get(PATH).status_code == 200
            host.answer({"error": "unknown"}, 401)
            for answer in call_all(cast, "opaque"):
                assert_unauthorized(answer)
            for break_it in (host_fails, host_talks):
                break_it(host)
                for answer in call_all(cast, "opaque"):
                    assert_told_to_wait(answer)


def test_questions_leave_no_line(database_url: str, tmp_path: Path) -> None:
    """Asking the host or a provider is no event of its own, and no token is ever written down."""
    with serve_endpoint() as host, (tmp_path / "log").open("wb") as output:
        host.answer({"sub": "alice"})
        settings = {"AUTH_VERIFY_URL": host.address, "LOG_LEVEL": "DEBUG"}
        with (
            start_api(database_url, output=output, **settings) as (url, _),
            Cast(url) as cast,
        ):
            assert cast.with_token("a-token-of-the-host").get(PATH).status_code == 200
            host.status = 500
            assert_told_to_wait(cast.with_token("another-token-of-the-host").get(PATH))
    written = (tmp_path / "log").read_text(encoding="utf-8")

    assert "host_cannot_verify" in written
    assert "token-of-the-host" not in written
    assert "httpx" not in written
    assert "httpcore" not in written


def host_fails(host: Endpoint) -> None:
    """Let the host answer with an error."""
    host.answer({}, 500)


def host_talks(host: Endpoint) -> None:
    """Let the host answer with a page."""
    host.status, host.body = 200, b"<html>Sign in</html>"
