"""A key that a provider published a moment ago: its tokens are not refused."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from app.authentication import CannotVerifyNowError, InvalidTokenError
from app.identity import jwks
from app.identity.jwt_verifier import JwtVerifier
from tests.support.identity_provider import Endpoint, make_jwk, make_key, serve_endpoint, sign

OLD, NEW = make_key("ES256", 1), make_key("ES256", 2)


def run(story: Callable[[JwtVerifier, Endpoint], Any]) -> None:
    """Run a test's coroutine with a verifier that has read the old key just now."""

    async def tell(provider: Endpoint) -> None:
        with override_settings(JWT_JWKS_URL=[provider.address], JWT_ALGORITHMS=["ES256"]):
            verifier = JwtVerifier()
        await verifier.verify(sign({"sub": "alice"}, OLD, "ES256", kid="old"))
        await story(verifier, provider)

    with serve_endpoint() as provider:
        provider.publish(make_jwk(OLD, kid="old"))
        asyncio.run(tell(provider))


def test_a_token_of_a_key_of_this_moment_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys were read before the new one was published: 503, and then it is let in."""

    async def story(verifier: JwtVerifier, provider: Endpoint) -> None:
        provider.publish(make_jwk(OLD, kid="old"), make_jwk(NEW, kid="new"))
        token = sign({"sub": "alice", "iat": time.time()}, NEW, "ES256", kid="new")
        with pytest.raises(CannotVerifyNowError) as told:
            await verifier.verify(token)
        assert 1 <= told.value.retry_after <= jwks.PAUSE_SECONDS
        monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
        assert (await verifier.verify(token)).user_id == "alice"

    run(story)


@pytest.mark.parametrize("moved", [-60, 3600, None])
def test_a_token_of_no_key_is_refused(moved: int | None) -> None:
    """One of before the keys were read, of the far future or of no time has no key to wait for."""
    claims = {"sub": "alice"} if moved is None else {"sub": "alice", "iat": time.time() + moved}

    async def story(verifier: JwtVerifier, _: Endpoint) -> None:
        with pytest.raises(InvalidTokenError):
            await verifier.verify(sign(claims, NEW, "ES256", kid="new"))

    run(story)


def test_a_token_of_no_key_is_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the keys were read after it was issued and its key is not there, it is not valid."""
    wall = time.time

    async def story(verifier: JwtVerifier, _: Endpoint) -> None:
        token = sign({"sub": "alice", "iat": wall()}, NEW, "ES256", kid="new")
        monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
        monkeypatch.setattr(time, "time", lambda: wall() + 2)
        with pytest.raises(InvalidTokenError):
            await verifier.verify(token)

    run(story)
