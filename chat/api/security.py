"""The guards of the routes: who is calling, and whether it is the host's service."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from app.authentication import Principal, authenticate
from app.permissions import require_service

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
