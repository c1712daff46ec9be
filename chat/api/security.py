"""Who is calling, whether the token was revoked, and whether it is the host's service."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from app.authentication import CannotVerifyNowError, Principal, TokenVerifier, authenticate
from app.permissions import require_service
from chat.actions.caller import Caller
from chat.conf import load_configuration
from chat.errors import TokenRevokedError
from chat.queries.revocations import Revocations

ApiRequest = Request[Principal, None, State]
"""A request whose token was verified: `request.user` is the principal."""


async def authenticated(
    connection: ASGIConnection[Any, Any, Any, Any],
    _: BaseRouteHandler,
) -> None:
    """Let a request with a valid token pass, as `request.user`; runs before the body is read."""
    connection.scope["user"] = await authenticate(
        connection.headers.get("authorization"), connection.app.state.token_verifier
    )


def service_only(
    connection: ASGIConnection[Any, Any, Any, Any],
    _: BaseRouteHandler,
) -> None:
    """Let the host's service pass."""
    require_service(connection.user)


def may_create_rooms(
    connection: ASGIConnection[Any, Any, Any, Any],
    _: BaseRouteHandler,
) -> None:
    """Let the host's service pass, and users where `CHAT_USERS_MAY_CREATE` lets them create any."""
    if load_configuration().users_may_create == "none":
        require_service(connection.user)


def read_caller(request: ApiRequest) -> Caller:
    """Return who makes the change that a request asks for."""
    principal = request.user
    return Caller(
        "service" if principal.is_service else "user",
        principal.user_id,
        request.client.host if request.client else None,
    )


def require_not_revoked(principal: Principal, revocations: Revocations) -> None:
    """Let a caller pass whose token was not revoked, as far as this process knows.

    Errors: `TokenRevokedError`; `CannotVerifyNowError` before the revocations were read.
    """
    not_before = revocations.find_not_before(principal.user_id)
    if not_before is not None:
        issued_at = principal.issued_at
        if issued_at is None or not issued_at >= not_before:  # `not >=` for what is no number
            raise TokenRevokedError
    if not revocations.is_loaded:
        raise CannotVerifyNowError("This process has not read yet which tokens were revoked.")


class RevocationVerifier:
    """Verifies tokens with another verifier, and refuses those that were revoked."""

    def __init__(self, verifier: TokenVerifier, revocations: Revocations) -> None:
        self._verifier = verifier
        self._revocations = revocations

    async def verify(self, token: str) -> Principal:
        """Return who the token speaks for.

        Errors: those of the verifier and of `require_not_revoked`.
        """
        principal = await self._verifier.verify(token)
        require_not_revoked(principal, self._revocations)
        return principal
