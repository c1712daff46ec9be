"""Connection and subscription tokens, verified as Centrifugo verifies them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec

ALGORITHMS = ["HS256", "HS384", "HS512"]
# Centrifugo checks `exp` and `nbf` without leeway and after the signature, so PyJWT checks none.
UNCHECKED = {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}
MAX_TTL = 365 * 24 * 3600


class InvalidTokenError(Exception):
    """The token is malformed, has a wrong signature, or is of the other kind."""


class TokenExpiredError(Exception):
    """The token is expired, or is not valid yet."""


class _Flag(msgspec.Struct):
    value: bool = False


class _Override(msgspec.Struct):
    force_recovery: _Flag | None = None


class _Claims(msgspec.Struct):
    sub: str | None = None
    exp: float | None = None
    nbf: float | None = None
    expire_at: int | None = None
    channel: str | None = None
    client: str | None = None
    channels: Any = None
    subs: Any = None
    override: _Override | None = None


@dataclass(frozen=True, slots=True)
class ConnectionToken:
    """The user, and when the token expires (0: never)."""

    user: str
    expire_at: int


@dataclass(frozen=True, slots=True)
class SubscriptionToken:
    """The user, the channel, and when the token expires (0: never).

    can_recover: whether the subscription may be recovered; the token can turn that off.
    """

    user: str
    channel: str
    client: str
    expire_at: int
    can_recover: bool


class TokenVerifier:
    """Accepts only tokens that are signed with the secret, or with the one before.

    The one before is Centrifugo's `hmac_previous_secret_key`; empty, as there, it is none.
    """

    def __init__(self, secret: str, before: str = "") -> None:
        self._secrets = [secret, before] if before else [secret]

    def verify_connection(self, token: str) -> ConnectionToken:
        """Return the claims of a connection token.

        Raises InvalidTokenError, also for a subscription token, and TokenExpiredError.
        """
        claims = self._verify_signature(token)
        if claims.channel:
            raise InvalidTokenError("a connection token carries no channel")
        _check_time(claims)
        if claims.channels or claims.subs:
            # Centrifugo would subscribe the client itself. The gateway does not, so it refuses.
            raise InvalidTokenError("server-side subscriptions are not supported here")
        return ConnectionToken(claims.sub or "", _expire_at(claims))

    def verify_subscription(self, token: str) -> SubscriptionToken:
        """Return the claims of a subscription token.

        Raises InvalidTokenError, also for a connection token, and TokenExpiredError.
        """
        claims = self._verify_signature(token)
        _check_time(claims)
        if not claims.channel:
            raise InvalidTokenError("a subscription token names its channel")
        override = claims.override.force_recovery if claims.override else None
        return SubscriptionToken(
            claims.sub or "",
            claims.channel,
            claims.client or "",
            _expire_at(claims),
            can_recover=override is None or override.value,
        )

    def _verify_signature(self, token: str) -> _Claims:
        try:
            return msgspec.convert(self._decode(token), _Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError) as error:
            raise InvalidTokenError(str(error)) from None

    def _decode(self, token: str) -> dict[str, Any]:
        *others, last = self._secrets
        for secret in others:
            with contextlib.suppress(jwt.InvalidSignatureError):
                return jwt.decode(token, secret, ALGORITHMS, options=UNCHECKED)  # type: ignore[arg-type]
        return jwt.decode(token, last, ALGORITHMS, options=UNCHECKED)  # type: ignore[arg-type]


def _check_time(claims: _Claims) -> None:
    now = time.time()
    if claims.exp is not None and claims.exp <= now:
        raise TokenExpiredError
    if claims.nbf is not None and claims.nbf >= now:
        raise TokenExpiredError


def _expire_at(claims: _Claims) -> int:
    end = claims.exp if claims.expire_at is None else max(claims.expire_at, 0)
    return min(int(end or 0), int(time.time()) + MAX_TTL)
