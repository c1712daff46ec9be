"""The keys that an identity provider publishes at one address, as a JWK Set (RFC 7517)."""

import asyncio
import math
import time
from collections.abc import Callable
from http import HTTPStatus

import structlog

from app.authentication import LEEWAY_SECONDS, CannotVerifyNowError
from app.identity.fetching import FetchError, fetch, open_client
from app.identity.keys import VerifyingKey, read_jwk_set

# Keys are read again after so many seconds: a key that was withdrawn verifies nothing from then on.
REFRESH_SECONDS = 300.0
# If the address does not answer, the keys that were read last are good for so long. Providers
# announce a new key a day or more before they sign with it.
KEEP_SECONDS = 86_400.0
# The address is asked at most once in so many seconds, whatever strangers write as `kid`.
PAUSE_SECONDS = 10.0
# Each request is answered within five seconds.
FETCH_SECONDS = 3.0
# Fifty keys with their certificates have 150 KB.
BYTES_MOST = 262_144

log = structlog.get_logger("besedka.identity")

Keys = tuple[VerifyingKey, ...]


class JwkSource:
    """Keeps the keys of one address at hand; at most one request for them is under way.

    A request for a token waits for the address only where there are no keys, or where they are old
    and the last attempt did not fail.
    """

    def __init__(self, address: str, on_withdrawal: Callable[[], None]) -> None:
        self._address = address
        self._on_withdrawal = on_withdrawal
        self._keys: Keys = ()
        self._read_at = self._tried_at = -float("inf")
        self._published_at = -float("inf")
        self._is_failing = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def fresh_seconds(self) -> float:
        """For how long what these keys verified need not be verified again."""
        now = time.monotonic()
        until = max(self._read_at + REFRESH_SECONDS, self._tried_at + PAUSE_SECONDS)
        return max(until - now, 0)

    async def get_keys(self) -> Keys:
        """Return the keys, read at most ten minutes ago unless the address does not answer.

        Raises `CannotVerifyNowError` where the address did not answer for a day, or never did.
        """
        age = time.monotonic() - self._read_at
        if age >= REFRESH_SECONDS:
            self._begin_to_read()
            # Of an idle process, keys may be much older; of a failing address there is no use in
            # waiting for each attempt.
            if age >= KEEP_SECONDS or (age >= 2 * REFRESH_SECONDS and not self._is_failing):
                await self._finish_reading()
        if time.monotonic() - self._read_at >= KEEP_SECONDS:
            raise self._make_error()
        return self._keys

    async def get_newer_keys(self, known: Keys) -> Keys:
        """Return the keys again, for a token that none of the known ones signed.

        Raises `CannotVerifyNowError` where the address does not answer: it may have a newer key.
        """
        if self._keys is known:
            self._begin_to_read()
            await self._finish_reading()
        if self._is_failing:
            raise self._make_error()
        return self._keys

    def refuse_newer(self, issued_at: float | None) -> None:
        """Raise `CannotVerifyNowError` for a token that was issued after the keys were read.

        Its key may have been published since then, and is not asked for at this moment: anyone can
        bring about that the keys were read just now. When they are read again, they decide.
        """
        now = time.time()
        if issued_at is not None and self._published_at <= issued_at <= now + LEEWAY_SECONDS:
            raise self._make_error()

    def _begin_to_read(self) -> None:
        is_reading = self._reading is not None and not self._reading.done()
        if not is_reading and time.monotonic() - self._tried_at >= PAUSE_SECONDS:
            self._tried_at = time.monotonic()
            self._reading = asyncio.create_task(self._read())

    async def _finish_reading(self) -> None:
        if self._reading is not None and not self._reading.done():
            # It serves others too: a client that hangs up does not end it.
            await asyncio.shield(self._reading)

    async def _read(self) -> None:
        # Whole seconds, as most tokens have.
        asked_at = math.floor(time.time())
        try:
            keys = await _fetch_keys(self._address)
        except (FetchError, ValueError) as error:
            self._is_failing = True
            log.warning("keys_not_read", address=self._address, reason=str(error))
            return
        self._is_failing = False
        self._read_at = time.monotonic()
        self._published_at = asked_at
        if keys != self._keys:
            withdrawn = [key for key in self._keys if key not in keys]
            self._keys = keys
            log.info(
                "keys_changed", address=self._address, keys=len(keys), withdrawn=len(withdrawn)
            )
            if withdrawn:
                self._on_withdrawal()

    def _make_error(self) -> CannotVerifyNowError:
        seconds = self._tried_at + PAUSE_SECONDS - time.monotonic()
        return CannotVerifyNowError(
            "The keys of the identity provider cannot be read now. Try again.",
            retry_after=max(seconds, 1),
        )


async def _fetch_keys(address: str) -> Keys:
    """Return the keys that the address has; raise FetchError or ValueError where it has none."""
    async with await open_client() as client:
        answer = await fetch(client, address, seconds=FETCH_SECONDS, bytes_most=BYTES_MOST)
    if answer.status != HTTPStatus.OK:
        raise FetchError(f"the status is {answer.status}")
    return read_jwk_set(answer.body)
