"""Asks the host about each token: at `AUTH_VERIFY_URL`, for tokens that only the host can judge."""

import asyncio
import hashlib
import json
import math
import time
from collections import OrderedDict
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx
import structlog
from django.conf import settings

from app.authentication import (
    LEEWAY_SECONDS,
    TOKEN_MAX_BYTES,
    CannotVerifyNowError,
    InvalidTokenError,
    Principal,
)
from app.identity.claims import LivesTooLongError, load_claim_rules, read_time
from app.identity.fetching import Answer, FetchError, fetch, open_client

# How many answers a process remembers: about 300 bytes each.
REMEMBERED_ANSWERS = 10_000
# How many tokens the host is asked about at once; further ones wait, within the same deadline.
QUESTIONS_AT_ONCE = 20
BYTES_MOST = 65_536
REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

log = structlog.get_logger("besedka.identity")


class _Known(NamedTuple):
    """What the host said of a token, and when that counts."""

    principal: Principal
    since: float
    """In seconds since 1970, as `principal.until` is."""
    fresh_until: float
    """By the clock that nobody sets: afterwards the host is asked again."""

    def is_good(self) -> bool:
        """Return whether this still answers for the token."""
        is_fresh = time.monotonic() < self.fresh_until
        return is_fresh and self.since <= time.time() < self.principal.until


class RemoteVerifier:
    """Verifies a token by the host's answer to `POST {"token": …}`, which is the token's claims.

    200 with the claims: the token is valid. 401 or 403: it is not. Anything else, and no answer
    within `AUTH_VERIFY_TIMEOUT_SECONDS`, says nothing of the token: `CannotVerifyNowError`.

    A valid answer is remembered for `AUTH_VERIFY_CACHE_SECONDS`, but never beyond its `exp`.
    Requests that bring the same token meanwhile wait for the same question.
    """

    def __init__(self) -> None:
        self._address: str = settings.AUTH_VERIFY_URL
        self._seconds: float = settings.AUTH_VERIFY_TIMEOUT_SECONDS
        self._remember_seconds: float = settings.AUTH_VERIFY_CACHE_SECONDS
        self._rules = load_claim_rules()
        self._remembered: OrderedDict[bytes, _Known] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[_Known]] = {}
        self._places = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def verify(self, token: str) -> Principal:
        """Return who the token speaks for.

        Raises `InvalidTokenError` where the host refuses the token, and `CannotVerifyNowError`
        where the host does not say.
        """
        if len(token) > TOKEN_MAX_BYTES:
            raise InvalidTokenError(f"The token is longer than {TOKEN_MAX_BYTES} bytes.")
        if not token.isascii():
            raise InvalidTokenError("The token has characters that no token has.")
        digest = hashlib.sha256(token.encode()).digest()
        found = self._remembered.get(digest)
        if found is not None and found.is_good():
            self._remembered.move_to_end(digest)
            return found.principal
        return (await self._ask_once(digest, token)).principal

    def forget_all(self) -> None:
        """Ask about each token again at its next use."""
        self._remembered.clear()

    async def close(self) -> None:
        """Close the connections to the host."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask_once(self, digest: bytes, token: str) -> _Known:
        question = self._asked.get(digest)
        if question is None or question.done():
            question = self._asked[digest] = asyncio.create_task(self._ask(digest, token))
            question.add_done_callback(lambda done: self._forget_question(digest, done))
        # It serves others too: a client that hangs up does not end it.
        return await asyncio.shield(question)

    def _forget_question(self, digest: bytes, question: asyncio.Task[_Known]) -> None:
        self._asked.pop(digest, None)
        if not question.cancelled():
            # Retrieved here too: those who asked may all have hung up.
            question.exception()

    async def _ask(self, digest: bytes, token: str) -> _Known:
        known = self._read(await self._fetch(token))
        if self._remember_seconds > 0:
            self._remembered[digest] = known
            if len(self._remembered) > REMEMBERED_ANSWERS:
                self._remembered.popitem(last=False)
        return known

    async def _fetch(self, token: str) -> Answer:
        try:
            async with asyncio.timeout(self._seconds), self._places:
                return await fetch(
                    await self._get_client(),
                    self._address,
                    seconds=self._seconds,
                    bytes_most=BYTES_MOST,
                    question={"token": token},
                )
        except TimeoutError:
            raise _cannot_verify(f"no answer within {self._seconds:g} s") from None
        except FetchError as error:
            raise _cannot_verify(str(error)) from None

    async def _get_client(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._client is None:
                self._client = await open_client()
            return self._client

    def _read(self, answer: Answer) -> _Known:
        claims = _read_claims(answer)
        # As an introspection of OAuth answers it (RFC 7662), which then has no other claim.
        if claims.get("active", True) is not True:
            raise InvalidTokenError("The host does not accept this token.")
        now = time.time()
        try:
            principal = self._rules.read_principal(claims, now)
            begin = read_time(claims, "nbf")
        except LivesTooLongError:
            raise
        except InvalidTokenError as error:
            raise _cannot_verify(f"the answer names no user: {error}") from None
        since = -math.inf if begin is None else begin - LEEWAY_SECONDS
        if not since <= now < principal.until:
            raise InvalidTokenError("The token has expired, or is not valid yet.")
        return _Known(principal, since, time.monotonic() + self._remember_seconds)


def _read_claims(answer: Answer) -> dict[str, Any]:
    """Return the claims of a valid token; raise as `RemoteVerifier.verify` for any other answer."""
    if answer.status in REFUSALS:
        raise InvalidTokenError("The host does not accept this token.")
    if answer.status != HTTPStatus.OK:
        raise _cannot_verify(f"the status is {answer.status}")
    try:
        claims = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise _cannot_verify("the answer is no JSON") from None
    if not isinstance(claims, dict):
        raise _cannot_verify("the answer is no JSON object")
    return claims


def _cannot_verify(reason: str) -> CannotVerifyNowError:
    log.warning("host_cannot_verify", reason=reason)
    return CannotVerifyNowError("The host cannot verify tokens now. Try again.")
