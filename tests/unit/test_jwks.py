"""The keys of an identity provider: read once, exchanged in time, kept while it is away."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from app import jwks
from app.authentication import CannotVerifyNowError, InvalidTokenError
from app.jwt_verifier import JwtVerifier
from tests.support.identity_provider import Endpoint, make_jwk, make_key, serve_endpoint, sign

OLD, NEW = make_key("ES256", 1), make_key("ES256", 2)


@pytest.fixture
def provider() -> Iterator[Endpoint]:
    """Serve a provider that publishes the old key."""
    with serve_endpoint() as endpoint:
        endpoint.publish(make_jwk(OLD, kid="old"))
        yield endpoint


def make_verifier(*providers: Endpoint, **settings: Any) -> JwtVerifier:
    """Return a verifier of these providers' tokens."""
    addresses = [provider.address for provider in providers]
    with override_settings(JWT_JWKS_URL=addresses, JWT_ALGORITHMS=["ES256"], **settings):
        return JwtVerifier()


def make_token(key: Any, kid: str | None, user: str = "alice", **claims: Any) -> str:
    """Return a token of the provider."""
    header = {} if kid is None else {"kid": kid}
    return sign({"sub": user, "exp": time.time() + 3600} | claims, key, "ES256", **header)


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine."""

    async def tell() -> None:
        await story()

    asyncio.run(tell())


async def arrived(provider: Endpoint) -> None:
    """Wait until one more request has arrived."""
    assert await asyncio.to_thread(provider.came.acquire, timeout=10)


def test_a_hundred_requests_ask_once(provider: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that arrive before there are keys wait for the same question."""
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        tokens = [make_token(OLD, "old", f"user-{number}") for number in range(100)]
        found = await asyncio.gather(*map(verifier.verify, tokens))
        assert [principal.user_id for principal in found] == [f"user-{n}" for n in range(100)]

    run(story)
    assert len(provider.asked) == 1


def test_a_client_that_hangs_up_does_not_end_the_question(provider: Endpoint) -> None:
    """The others that wait for the same answer get it."""
    verifier = make_verifier(provider)

    async def story() -> None:
        provider.open.clear()
        first = asyncio.create_task(verifier.verify(make_token(OLD, "old")))
        second = asyncio.create_task(verifier.verify(make_token(OLD, "old", "bob")))
        await arrived(provider)
        first.cancel()
        provider.open.set()
        assert (await second).user_id == "bob"

    run(story)
    assert len(provider.asked) == 1


def test_a_new_key_is_asked_for_at_once(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token with an unknown `kid` is no reason for a 401 before the provider was asked again."""
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        await verifier.verify(make_token(OLD, "old"))
        provider.publish(make_jwk(OLD, kid="old"), make_jwk(NEW, kid="new"))
        assert (await verifier.verify(make_token(NEW, "new", "bob"))).user_id == "bob"

    run(story)
    assert len(provider.asked) == 2


def test_strangers_cannot_make_the_service_ask(provider: Endpoint) -> None:
    """A thousand tokens with a `kid` of somebody's own cause no question for ten seconds."""
    verifier = make_verifier(provider)

    async def story() -> None:
        await verifier.verify(make_token(OLD, "old"))
        for number in range(1000):
            with pytest.raises(InvalidTokenError):
                await verifier.verify(make_token(NEW, f"{number}"))

    run(story)
    assert len(provider.asked) == 1


@pytest.mark.parametrize("kid", ["old", None])
def test_a_withdrawn_key_verifies_nothing_more(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch, kid: str | None
) -> None:
    """Once the keys are read again, the key that left verifies no token, remembered or not."""
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        token = make_token(OLD, kid)
        await verifier.verify(token)
        provider.publish(make_jwk(NEW, kid="new"))
        # What another user's new token brings about is true for everyone.
        await verifier.verify(make_token(NEW, "new", "bob"))
        with pytest.raises(InvalidTokenError):
            await verifier.verify(token)

    run(story)


def test_keys_are_read_again_in_time(provider: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is remembered is verified again when the keys are due."""
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        token = make_token(OLD, "old")
        await verifier.verify(token)
        provider.publish(make_jwk(NEW, kid="new"))
        with pytest.raises(InvalidTokenError):
            await verifier.verify(token)

    run(story)


def test_the_same_kid_may_get_another_key(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was exchanged under its name is withdrawn too."""
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        token = make_token(OLD, "main", "alice")
        provider.publish(make_jwk(OLD, kid="main"))
        await verifier.verify(token)
        provider.publish(make_jwk(NEW, kid="main"))
        with pytest.raises(InvalidTokenError):
            await verifier.verify(token)
        assert (await verifier.verify(make_token(NEW, "main", "bob"))).user_id == "bob"

    run(story)


FAILURES: dict[str, Callable[[Endpoint], None]] = {
    "500": lambda provider: provider.answer({"keys": [make_jwk(NEW, kid="new")]}, 500),
    "404": lambda provider: provider.answer({}, 404),
    "204": lambda provider: provider.answer({}, 204),
    "html": lambda provider: setattr(provider, "body", b"<html>Down for maintenance</html>"),
    "nothing": lambda provider: setattr(provider, "body", b""),
    "a list": lambda provider: provider.answer([make_jwk(NEW, kid="new")]),
    "no keys": lambda provider: provider.publish(),
    "keys of no use": lambda provider: provider.publish(make_jwk(NEW, kid="new", use="enc")),
    "51 keys": lambda provider: provider.publish(
        *(make_jwk(NEW, kid=str(number)) for number in range(51))
    ),
    "1 MB": lambda provider: provider.answer(
        {"pad": "x" * 2**20, "keys": [make_jwk(NEW, kid="new")]}
    ),
    "deep nesting": lambda provider: setattr(provider, "body", b'{"keys":' + b"[" * 100_000),
    "no UTF-8": lambda provider: setattr(provider, "body", b'{"keys":"\xff"}'),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_bad_answer_changes_nothing(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever the address answers in place of keys, the keys that were read last are kept.

    Whether an unknown key is valid cannot be said then: that is no refusal.
    """
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        await verifier.verify(make_token(OLD, "old"))
        FAILURES[name](provider)
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify(make_token(NEW, "new"))
        assert (await verifier.verify(make_token(OLD, "old", "bob"))).user_id == "bob"

    run(story)


@pytest.mark.parametrize("name", FAILURES)
def test_without_keys_nothing_is_refused(provider: Endpoint, name: str) -> None:
    """At a cold start with a provider that fails, a token is neither let in nor refused."""
    FAILURES[name](provider)
    verifier = make_verifier(provider)

    async def story() -> None:
        for _ in range(3):
            with pytest.raises(CannotVerifyNowError) as found:
                await verifier.verify(make_token(NEW, "new"))
            assert 1 <= found.value.retry_after <= jwks.PAUSE_SECONDS

    run(story)
    assert len(provider.asked) == 1


def test_a_redirect_is_not_followed(provider: Endpoint) -> None:
    """The keys come from the address that is configured, and from nowhere else."""
    with serve_endpoint() as other:
        other.publish(make_jwk(OLD, kid="old"))
        provider.status, provider.headers = 302, {"Location": other.address}
        verifier = make_verifier(provider)

        async def story() -> None:
            with pytest.raises(CannotVerifyNowError):
                await verifier.verify(make_token(OLD, "old"))

        run(story)
        assert other.asked == []


def test_a_slow_provider_holds_nobody_who_has_keys(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a provider is away, requests go on with the keys that were read last, without waiting.

    Beside them it is asked whether it is back.
    """
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        await verifier.verify(make_token(OLD, "old"))
        provider.status = 500
        monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0)
        await verifier.verify(make_token(OLD, "old"))
        provider.open.clear()
        for name in ("bob", "charlie"):
            assert (await verifier.verify(make_token(OLD, "old", name))).user_id == name
        for _ in range(3):
            await arrived(provider)

    run(story)
    assert len(provider.asked) == 3


def test_a_provider_that_never_answers_has_a_deadline(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request waits for keys no longer than the deadline, and the next one not at all."""
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.2)
    provider.open.clear()
    verifier = make_verifier(provider)

    async def story() -> None:
        for _ in range(2):
            with pytest.raises(CannotVerifyNowError):
                await verifier.verify(make_token(OLD, "old"))

    run(story)
    assert len(provider.asked) == 1


def test_old_keys_are_not_kept_for_ever(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that is away for a day: nothing can be verified any more."""
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    verifier = make_verifier(provider)

    async def story() -> None:
        token = make_token(OLD, "old")
        await verifier.verify(token)
        provider.status = 500
        monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0)
        await verifier.verify(make_token(OLD, "old", "bob"))
        monkeypatch.setattr(jwks, "KEEP_SECONDS", 0)
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify(make_token(OLD, "old", "charlie"))

    run(story)


def test_a_provider_that_comes_back_is_asked_again(
    provider: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage at the start, the first request after the pause finds the keys."""
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    good, provider.status = provider.body, 503
    verifier = make_verifier(provider)

    async def story() -> None:
        with pytest.raises(CannotVerifyNowError):
            await verifier.verify(make_token(OLD, "old"))
        provider.status, provider.body = 200, good
        assert (await verifier.verify(make_token(OLD, "old"))).user_id == "alice"

    run(story)


def test_each_issuer_has_keys_of_its_own(provider: Endpoint) -> None:
    """A token is verified with the keys of the issuer that it names, whatever `kid` it has."""
    with serve_endpoint() as other:
        other.publish(make_jwk(NEW, kid="new"))
        verifier = make_verifier(provider, other, JWT_ISSUER=["https://a", "https://b"])

        async def story() -> None:
            good = [
                make_token(OLD, "old", iss="https://a"),
                make_token(NEW, "new", iss="https://b"),
            ]
            for token in good:
                assert (await verifier.verify(token)).user_id == "alice"
            bad = [
                make_token(NEW, "new", iss="https://a"),
                make_token(OLD, "old", iss="https://b"),
                make_token(NEW, "old", iss="https://a"),
                make_token(NEW, None, iss="https://a"),
                make_token(OLD, "old", iss="https://c"),
                make_token(OLD, "old"),
            ]
            for token in bad:
                with pytest.raises(InvalidTokenError):
                    await verifier.verify(token)

        run(story)


def test_one_provider_may_be_away(provider: Endpoint) -> None:
    """While one provider cannot be asked, users of the other are let in."""
    with serve_endpoint() as other:
        other.status = 500
        verifier = make_verifier(provider, other, JWT_ISSUER=["https://a", "https://b"])

        async def story() -> None:
            found = await verifier.verify(make_token(OLD, "old", iss="https://a"))
            assert found.user_id == "alice"
            with pytest.raises(CannotVerifyNowError):
                await verifier.verify(make_token(NEW, "new", iss="https://b"))

        run(story)


def test_what_is_hardly_a_token_asks_nobody(provider: Endpoint) -> None:
    """Nothing is fetched for a token that no key could make valid."""
    verifier = make_verifier(provider, JWT_ISSUER=["https://a"])
    good = make_token(OLD, "old", iss="https://a")
    tokens = [
        *("x", "x.y.z", "", good.replace(".", ""), json.dumps({"alg": "ES256"})),
        make_token(OLD, "old", iss="https://evil"),
        sign({"sub": "alice", "iss": "https://a"}, "a secret " * 5, "HS256", kid="old"),
        sign({"sub": "alice", "iss": "https://a"}, make_key("RS256"), kid="old"),
        sign({"sub": "alice", "iss": "https://a"}, None, "none", kid="old"),
    ]

    async def story() -> None:
        for token in tokens:
            with pytest.raises(InvalidTokenError):
                await verifier.verify(token)

    run(story)
    assert provider.asked == []
