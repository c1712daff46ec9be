"""Verifies tokens here: with the host's secret, its public key, or the keys of its providers."""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jwt
from django.conf import settings

from app.authentication import LEEWAY_SECONDS, TOKEN_MAX_BYTES, InvalidTokenError, Principal
from app.identity.claims import Claims, load_claim_rules, read_issue, read_time
from app.identity.jwks import JwkSource
from app.identity.keys import PublicKey, VerifyingKey, find_candidates, read_pem

# How many verified tokens a process remembers: about 300 bytes each.
REMEMBERED_TOKENS = 10_000


class _Remembered(NamedTuple):
    """Who a token speaks for, and when verifying again would say the same."""

    principal: Principal
    since: float
    """In seconds since 1970, as `principal.until` is."""
    fresh_until: float
    """By the clock that nobody sets: afterwards the key may no longer be in use."""

    def is_good(self) -> bool:
        """Return whether verifying again would say the same now."""
        is_fresh = time.monotonic() < self.fresh_until
        return is_fresh and self.since <= time.time() < self.principal.until


class _Checked(NamedTuple):
    """The claims of a token with a valid signature."""

    claims: Claims
    fresh_seconds: float
    """For how long the key is known to be in use."""


class _WrongSignatureError(InvalidTokenError):
    """None of the keys that were tried signed the token."""


class JwtVerifier:
    """Verifies JWTs by the settings alone; only the keys of a JWK Set need a network call.

    `exp` and `nbf` are honoured with 30 s of leeway; which other claims count is in `ClaimRules`. A
    key is used only with the algorithms of its kind: the secret with HS256, a public key with the
    others. The address of a token's key is never taken from the token.

    The last tokens that were valid are remembered by their digest, because a client sends the same
    one with each request. At any time the answer is the one that verifying again would give: `exp`
    and `nbf` are compared with the clock each time, the settings do not change while the process
    runs, and what a key of a JWK Set verified is forgotten when the keys are due to be read again,
    and when one was withdrawn.
    """

    def __init__(self) -> None:
        self._rules = load_claim_rules()
        secrets = (settings.JWT_SECRET, settings.JWT_SECRET_BEFORE)
        self._secrets: list[str] = [secret for secret in secrets if secret]
        algorithms: list[str] = settings.JWT_ALGORITHMS
        self._of_secret = [name for name in algorithms if name.startswith("HS")]
        self._of_keys = frozenset(algorithms) - {*self._of_secret}
        pem: str = settings.JWT_PUBLIC_KEY
        self._public_keys = read_pem(pem) if pem else []
        self._sources = _make_sources(self.forget_all)
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Return who the token speaks for.

        Raises `InvalidTokenError`, or `CannotVerifyNowError` where a provider's keys are not known.
        """
        if len(token) > TOKEN_MAX_BYTES:
            raise InvalidTokenError(f"The token is longer than {TOKEN_MAX_BYTES} bytes.")
        # An invalid token may hold any characters; a valid one is ASCII.
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        found = self._remembered.get(digest)
        if found is not None and found.is_good():
            self._remembered.move_to_end(digest)
            return found.principal
        # From here to the end nothing waits, so no key is withdrawn meanwhile.
        remembered = self._read(await self._check_signature(token))
        self._remembered[digest] = remembered
        if len(self._remembered) > REMEMBERED_TOKENS:
            self._remembered.popitem(last=False)
        return remembered.principal

    def forget_all(self) -> None:
        """Verify each token again at its next use."""
        self._remembered.clear()

    def _read(self, checked: _Checked) -> _Remembered:
        self._rules.check_origin(checked.claims)
        principal = self._rules.read_principal(checked.claims, time.time())
        begin = read_time(checked.claims, "nbf")
        since = -math.inf if begin is None else begin - LEEWAY_SECONDS
        return _Remembered(principal, since, time.monotonic() + checked.fresh_seconds)

    async def _check_signature(self, token: str) -> _Checked:
        if not self._of_keys:
            return _Checked(_decode(token, self._secrets, self._of_secret), math.inf)
        header = _read_header(token)
        algorithm = header.get("alg")
        if algorithm in self._of_secret:
            return _Checked(_decode(token, self._secrets, self._of_secret), math.inf)
        if not isinstance(algorithm, str) or algorithm not in self._of_keys:
            raise InvalidTokenError("The token's algorithm is not accepted here.")
        if not self._sources:
            return _Checked(_decode_by_keys(token, header, self._public_keys), math.inf)
        return await _check_by_source(token, header, self._find_source(token))

    def _find_source(self, token: str) -> JwkSource:
        """Return where the keys of the token's issuer are; no other issuer's keys are tried."""
        if (source := self._sources.get(None)) is not None:
            return source
        issuer = _read_unverified(token).get("iss")
        source = self._sources.get(issuer) if isinstance(issuer, str) else None
        if source is None:
            raise InvalidTokenError("The claim iss names no issuer whose keys are known here.")
        return source


def _make_sources(on_withdrawal: Callable[[], None]) -> Mapping[str | None, JwkSource]:
    """Return the source of each issuer's keys; under None the one of any issuer."""
    addresses: list[str] = settings.JWT_JWKS_URL
    by_address = {address: JwkSource(address, on_withdrawal) for address in addresses}
    # `chat.identity_checks` allows one address if there are no issuers.
    issuers: Sequence[str | None] = settings.JWT_ISSUER or [None]
    return {
        issuer: by_address[address] for issuer, address in zip(issuers, addresses, strict=False)
    }


async def _check_by_source(token: str, header: Mapping[str, Any], source: JwkSource) -> _Checked:
    keys = await source.get_keys()
    try:
        claims = _decode_by_keys(token, header, keys)
    except _WrongSignatureError:
        if find_candidates(keys, header["alg"], header.get("kid")).are_named:
            raise
        # The provider may have begun to sign with a new key.
        newer = await source.get_newer_keys(keys)
        try:
            claims = _decode_by_keys(token, header, newer)
        except _WrongSignatureError:
            source.refuse_newer(read_issue(_read_unverified(token)))
            raise
    return _Checked(claims, source.fresh_seconds)


def _decode_by_keys(token: str, header: Mapping[str, Any], keys: Sequence[VerifyingKey]) -> Claims:
    candidates = find_candidates(keys, header["alg"], header.get("kid")).keys
    if not candidates:
        raise _WrongSignatureError("The token is signed with a key that is not known here.")
    return _decode(token, [candidate.key for candidate in candidates], [header["alg"]])


def _decode(token: str, keys: Sequence[str | PublicKey], algorithms: Sequence[str]) -> Claims:
    """Return the claims of a token that one of the keys signed, if it is valid at this time."""
    for key in keys:
        with _as_invalid_token():
            try:
                claims: Claims = jwt.decode(
                    token, key, algorithms, leeway=LEEWAY_SECONDS, options=_LEFT_TO_THE_RULES
                )
            except jwt.InvalidSignatureError:
                continue
            return claims
    raise _WrongSignatureError("Signature verification failed.")


# `iat` and `jti` mean nothing unless configured, and PyJWT would refuse an `iat` of a host whose
# clock is ahead.
_LEFT_TO_THE_RULES: Any = {
    f"verify_{claim}": False for claim in ("sub", "iat", "jti", "aud", "iss")
}


def _read_header(token: str) -> Mapping[str, Any]:
    with _as_invalid_token():
        return jwt.get_unverified_header(token)


def _read_unverified(token: str) -> Claims:
    """Return what anyone may have written; nothing is accepted because of it."""
    with _as_invalid_token():
        claims: Claims = jwt.decode(token, options={"verify_signature": False})
        return claims


@contextmanager
def _as_invalid_token() -> Iterator[None]:
    """Raise `InvalidTokenError` for whatever PyJWT raises at a token."""
    try:
        yield
    except jwt.PyJWTError as error:
        raise InvalidTokenError(f"{str(error).rstrip('.')}.") from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        # PyJWT does not catch these from hostile numbers, nesting and bytes.
        raise InvalidTokenError("The token is malformed.") from error
