"""Verified tokens are remembered, and no answer changes by that."""

import asyncio
import time

import jwt
import pytest
from django.test import override_settings

from app.authentication import LEEWAY_SECONDS, InvalidTokenError, Principal, authenticate
from app.identity import jwt_verifier
from app.identity.jwt_verifier import JwtVerifier
from tests.support.actors import make_token
from tests.support.identity_provider import make_jwk, make_key, serve_endpoint, sign


def verify(verifier: JwtVerifier, token: str) -> Principal:
    """Return what the verifier makes of the token."""
    return asyncio.run(verifier.verify(token))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the tokens that PyJWT is given from now on."""
    given: list[str] = []
    real = jwt.decode

    def decode(token: str, *arguments: object, **options: object) -> object:
        given.append(token)
        return real(token, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(jwt, "decode", decode)
    return given


def test_a_token_is_decoded_once(decoded: list[str]) -> None:
    """A client sends the same token with each request; only the first one costs a verification."""
    verifier = JwtVerifier()
    alice, host = make_token("alice"), make_token("host", role="service")

    found = [verify(verifier, token) for token in (alice, host, alice, host)]

    seen = [(principal.user_id, principal.is_service) for principal in found]
    assert seen == [("alice", False), ("host", True)] * 2
    assert decoded == [alice, host]


def test_a_remembered_token_expires_on_time() -> None:
    """It is refused from the moment from which a token that nobody remembers is refused."""
    verifier = JwtVerifier()
    end = int(time.time()) + 2
    token = make_token("alice", exp=end - LEEWAY_SECONDS)
    assert verify(verifier, token).until == end

    while time.time() < end:
        pass  # the clock is what this is about

    with pytest.raises(InvalidTokenError, match="expired"):
        verify(verifier, token)


@pytest.mark.parametrize("claim, value", [("nbf", 4_000_000_000), ("exp", 1)])
def test_a_refused_token_is_refused_again(claim: str, value: int) -> None:
    """What is not valid is not remembered."""
    verifier = JwtVerifier()
    claims: dict[str, object] = {claim: value}
    token = make_token("alice", secret=None, **claims)

    for _ in range(2):
        with pytest.raises(InvalidTokenError):
            verify(verifier, token)


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch, decoded: list[str]) -> None:
    """Memory has a bound; the token that was not used for the longest time is forgotten."""
    monkeypatch.setattr(jwt_verifier, "REMEMBERED_TOKENS", 2)
    verifier = JwtVerifier()
    first, second, third = (make_token(name) for name in ("a", "b", "c"))

    for token in (first, second, first, third):
        verify(verifier, token)
    del decoded[:]
    for token in (first, third, second):
        verify(verifier, token)

    assert decoded == [second]


def test_all_can_be_forgotten(decoded: list[str]) -> None:
    """After that each token is verified again."""
    verifier = JwtVerifier()
    token = make_token("alice")
    verify(verifier, token)

    verifier.forget_all()
    verify(verifier, token)

    assert decoded == [token, token]


def test_another_secret_remembers_nothing_of_this_one() -> None:
    """A process with a new secret refuses the tokens of the old one."""
    token = make_token("alice")
    verify(JwtVerifier(), token)

    with override_settings(JWT_SECRET="another-secret-of-this-test-0123456789"):
        changed = JwtVerifier()
    with pytest.raises(InvalidTokenError):
        verify(changed, token)


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x1f", "\x0b", "\u2003"])
def test_only_one_spelling_of_a_token_is_accepted(space: str) -> None:
    """The requests with a token are counted by nginx: it must not look new each time."""
    verifier = JwtVerifier()
    token = make_token("alice")

    accepted = asyncio.run(authenticate(f"Bearer  {token}\t ", verifier))
    assert accepted.user_id == "alice"
    for text in (token + space, space + token):
        with pytest.raises(InvalidTokenError):
            asyncio.run(authenticate(f"Bearer {text}", verifier))


def test_a_clock_that_is_put_back_keeps_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a key verified is verified again in time, whatever happens to the clock."""
    old, new = make_key("ES256", 1), make_key("ES256", 2)
    token = sign({"sub": "alice"}, old, "ES256", kid="old")
    wall, passed = time.time, time.monotonic
    with serve_endpoint() as provider:
        provider.publish(make_jwk(old, kid="old"))
        with override_settings(JWT_JWKS_URL=[provider.address], JWT_ALGORITHMS=["ES256"]):
            verifier = JwtVerifier()

        async def tell() -> None:
            await verifier.verify(token)
            provider.publish(make_jwk(new, kid="new"))
            monkeypatch.setattr(time, "time", lambda: wall() - 86_400)
            monkeypatch.setattr(time, "monotonic", lambda: passed() + 601)
            with pytest.raises(InvalidTokenError):
                await verifier.verify(token)

        asyncio.run(tell())
