"""Who is calling: the one place where a bearer token becomes a principal.

The host signs a JWT; the user is the string in `sub`. To verify tokens elsewhere, for example at
the host's `/auth/verify`, write a class with the one method of `TokenVerifier` and name it in the
setting `TOKEN_VERIFIER`; docs/integrating.md shows one.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jwt
from django.conf import settings
from django.utils.module_loading import import_string

from chat.realtime.channels import describe_invalid_user_id

# Beyond this a token is refused before anything of it is decoded.
TOKEN_MAX_BYTES = 8192
LEEWAY_SECONDS = 30
# How many verified tokens a process remembers: about 300 bytes each.
REMEMBERED_TOKENS = 10_000
SERVICE_ROLE = "service"
SERVICE_SCOPE = "chat.manage"


class InvalidTokenError(Exception):
    """The token is not valid; the message says why, for the developer who integrates."""


class CannotVerifyNowError(Exception):
    """Whether the token is valid cannot be found out now; the message says what is missing."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """After how many seconds the request may be sent again."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and whether it is the host's service."""

    user_id: str
    is_service: bool = False
    until: float = math.inf
    """From when on the token is not accepted any more, in seconds since 1970."""
    issued_at: float | None = None
    """When it was issued, in seconds since 1970; None where it does not say so."""


class TokenVerifier(Protocol):
    """What a verifier has to implement."""

    async def verify(self, token: str) -> Principal:
        """Return who the token speaks for, or raise `InvalidTokenError`."""
        ...


class _Verified(NamedTuple):
    """Who a token speaks for, and when: the times of its claims, with the leeway, in seconds."""

    principal: Principal
    since: float
    until: float


class SharedSecretVerifier:
    """Verifies HS256 tokens with `JWT_SECRET`, without a network call.

    `sub` is required; `exp` and `nbf` are honoured with 30 s of leeway; `aud` and `iss` are
    checked only when `JWT_AUDIENCE` or `JWT_ISSUER` is set.

    The last tokens that were valid are remembered by their digest, because a client sends the same
    one with each request. At any time the answer is the one that verifying again would give: `exp`
    and `nbf` are compared with the clock each time, and the settings do not change while the
    process runs.
    """

    def __init__(self) -> None:
        self._secret: str = settings.JWT_SECRET
        self._audience: str | None = settings.JWT_AUDIENCE
        self._issuer: str | None = settings.JWT_ISSUER
        self._remembered: OrderedDict[bytes, _Verified] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Return who the token speaks for, or raise `InvalidTokenError`."""
        if len(token) > TOKEN_MAX_BYTES:
            raise InvalidTokenError(f"The token is longer than {TOKEN_MAX_BYTES} bytes.")
        # An invalid token may hold any characters; a valid one is ASCII.
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        found = self._remembered.get(digest)
        if found is not None and found.since <= time.time() < found.until:
            self._remembered.move_to_end(digest)
            return found.principal
        verified = _read_verified(self._decode(token))
        self._remembered[digest] = verified
        if len(self._remembered) > REMEMBERED_TOKENS:
            self._remembered.popitem(last=False)
        return verified.principal

    def forget_all(self) -> None:
        """Verify each token again at its next use."""
        self._remembered.clear()

    def _decode(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a valid token."""
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["sub"],
                    # `sub` is judged below; `iat` and `jti` mean nothing here, and PyJWT would
                    # refuse an `iat` of a host whose clock is ahead.
                    "verify_sub": False,
                    "verify_iat": False,
                    "verify_jti": False,
                    "verify_aud": self._audience is not None,
                    "verify_iss": self._issuer is not None,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidTokenError(f"{str(error).rstrip('.')}.") from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            # PyJWT does not catch these from hostile numbers, nesting and bytes.
            raise InvalidTokenError("The token is malformed.") from error
        return claims


def _read_verified(claims: Mapping[str, Any]) -> _Verified:
    principal = _read_principal(claims)
    # PyJWT compares the whole seconds of both.
    since = int(claims["nbf"]) - LEEWAY_SECONDS if "nbf" in claims else -math.inf
    return _Verified(principal, since, principal.until)


def _read_principal(claims: Mapping[str, Any]) -> Principal:
    for name in ("exp", "nbf"):
        # PyJWT reads text and booleans as numbers too; in a JWT a time is a number (RFC 7519).
        if type(claims.get(name, 0)) not in {int, float}:
            raise InvalidTokenError(f"The claim {name} is not a number.")
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise InvalidTokenError("The claim sub is not a string.")
    if (reason := describe_invalid_user_id(subject)) is not None:
        raise InvalidTokenError(f"The claim sub is not a user id: {reason}")
    is_service = (
        claims.get("role") == SERVICE_ROLE
        or SERVICE_SCOPE in _read_scopes(claims.get("scp"))
        or SERVICE_SCOPE in _read_scopes(claims.get("scope"))
    )
    until = int(claims["exp"]) + LEEWAY_SECONDS if "exp" in claims else math.inf
    return Principal(subject, is_service, until, _read_issued_at(claims.get("iat")))


def _read_issued_at(claim: object) -> float | None:
    """Return the time of `iat`; anything but a number counts as no `iat`."""
    if isinstance(claim, bool):
        return None
    try:
        seconds = float(claim) if isinstance(claim, int | float) else math.nan
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None


def _read_scopes(claim: object) -> list[object]:
    if isinstance(claim, str):
        return [*claim.split(" ")]
    return claim if isinstance(claim, list) else []


def load_token_verifier() -> TokenVerifier:
    """Return the verifier that the setting `TOKEN_VERIFIER` names."""
    verifier: TokenVerifier = import_string(settings.TOKEN_VERIFIER)()
    return verifier


async def authenticate(authorization: str | None, verifier: TokenVerifier) -> Principal:
    """Return who sent a request with this `Authorization` header, or raise `InvalidTokenError`."""
    if not authorization:
        raise InvalidTokenError("The request has no Authorization header.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidTokenError("The Authorization header is not `Bearer <token>`.")
    principal = await verifier.verify(token.strip())
    # Checked for every verifier: an impossible id would fail later, with a less clear error.
    if (reason := describe_invalid_user_id(principal.user_id)) is not None:
        raise InvalidTokenError(f"The user id in the token is not valid: {reason}")
    return principal
