"""Who is calling: the one place where a bearer token becomes a principal.

The host signs a JWT, or an identity provider does; the user is the string in `sub`. `app.identity`
has the two ways to verify it: by keys, which is the default, and by asking the host, with
`AUTH_VERIFY_URL`. Another way is a class with the one method of `TokenVerifier`, named in the
setting `TOKEN_VERIFIER`.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from chat.realtime.channels import describe_invalid_user_id

# Beyond this a token is refused before anything of it is decoded.
TOKEN_MAX_BYTES = 8192
LEEWAY_SECONDS = 30

# Names that releases before had for a verifier.
_FORMER_NAMES = {"app.authentication.SharedSecretVerifier": "app.identity.jwt_verifier.JwtVerifier"}


class InvalidTokenError(Exception):
    """The token is not valid; the message says why, for the developer who integrates."""


class CannotVerifyNowError(Exception):
    """Whether the token is valid cannot be said now: keys, or the host, cannot be asked."""

    def __init__(
        self, message: str = "Tokens cannot be verified now. Try again.", *, retry_after: float = 1
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """After how many seconds it is worth trying again."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and whether it is the host's service."""

    user_id: str
    is_service: bool = False
    until: float = math.inf
    """From when the token is no longer accepted, in seconds since 1970: `exp` and the leeway."""
    issued_at: float | None = None
    """The token's `iat`, in seconds since 1970; None where it has none, or no number."""


class TokenVerifier(Protocol):
    """What a verifier has to implement."""

    async def verify(self, token: str) -> Principal:
        """Return who the token speaks for.

        Raises `InvalidTokenError`, or `CannotVerifyNowError` where that cannot be found out now.
        """
        ...


def load_token_verifier() -> TokenVerifier:
    """Return the verifier that the setting `TOKEN_VERIFIER` names."""
    name: str = settings.TOKEN_VERIFIER
    verifier: TokenVerifier = import_string(_FORMER_NAMES.get(name, name))()
    return verifier


async def authenticate(authorization: str | None, verifier: TokenVerifier) -> Principal:
    """Return who sent a request with this `Authorization` header, or raise `InvalidTokenError`."""
    if not authorization:
        raise InvalidTokenError("The request has no Authorization header.")
    scheme, _, rest = authorization.partition(" ")
    # What HTTP calls white space, and no more: nginx counts the requests of each token.
    token = rest.strip(" \t")
    if scheme.lower() != "bearer" or not token:
        raise InvalidTokenError("The Authorization header is not `Bearer <token>`.")
    principal = await verifier.verify(token)
    # Checked for every verifier: an impossible id would fail later, with a less clear error.
    if (reason := describe_invalid_user_id(principal.user_id)) is not None:
        raise InvalidTokenError(f"The user id in the token is not valid: {reason}")
    return principal
