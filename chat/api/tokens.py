"""Tokens for Centrifugo."""

from typing import Any

from litestar import Request, get

from chat.api.openapi.operations import Operation, Query
from chat.api.schemas import CentrifugoToken
from chat.api.security import authenticated
from chat.conf import load_configuration
from chat.errors import InvalidInputError
from chat.realtime.channels import NAMESPACE, personal_channel
from chat.realtime.tokens import create_connection_token, create_subscription_token


@get("/api/token/connection", guards=[authenticated])
async def read_connection_token(request: Request[Any, Any, Any]) -> CentrifugoToken:
    """Return a token to connect to Centrifugo as the caller, and the channel to subscribe to."""
    user_id = request.user.user_id
    return CentrifugoToken(
        token=create_connection_token(user_id, load_configuration()),
        channel=personal_channel(user_id),
    )


@get(
    "/api/token/subscription",
    guards=[authenticated],
    operation=Operation(
        query=(
            Query(
                "channel",
                "The caller's own channel.",
                {"type": "string"},
                example="personal:u123",
                is_required=True,
            ),
        )
    ),
)
async def read_subscription_token(request: Request[Any, Any, Any]) -> CentrifugoToken:
    """Return a token to subscribe to the caller's own channel, and that channel's name.

    Query: `channel`, `personal:` and the user id as it is, or the name as an answer gave it.

    422 for any other channel.
    """
    user_id = request.user.user_id
    channel = personal_channel(user_id)
    # In a query `+` means a space; whoever wrote it unescaped means their own channel all the same.
    asked = request.query_params.get("channel", "").replace("+", " ")
    if asked not in {(NAMESPACE + user_id).replace("+", " "), channel.replace("+", " ")}:
        raise InvalidInputError(
            f"channel must be {NAMESPACE + user_id}, the caller's own.", pointer="channel"
        )
    return CentrifugoToken(
        token=create_subscription_token(user_id, load_configuration()), channel=channel
    )
