"""Tokens for Centrifugo."""

from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from chat.actions.listeners import Listeners
from chat.api.openapi.operations import Operation
from chat.api.query import parse_query
from chat.api.schemas import CentrifugoToken
from chat.api.security import ApiRequest, authenticated
from chat.conf import load_configuration
from chat.errors import InvalidInputError
from chat.realtime.channels import NAMESPACE, personal_channel
from chat.realtime.tokens import create_connection_token, create_subscription_token


@get("/api/token/connection", guards=[authenticated])
async def read_connection_token(request: ApiRequest, listeners: Listeners) -> CentrifugoToken:
    """Return a token to connect to Centrifugo as the caller, and the channel to subscribe to."""
    user_id = request.user.user_id
    await listeners.keep_listener(user_id)
    return CentrifugoToken(
        token=create_connection_token(user_id, load_configuration()),
        channel=personal_channel(user_id),
    )


class SubscriptionQuery(msgspec.Struct, frozen=True):
    """The channel to subscribe to."""

    channel: Annotated[
        str, Meta(description="The caller's own channel.", examples=["personal:u123"])
    ]


@get(
    "/api/token/subscription",
    guards=[authenticated],
    operation=Operation(query=SubscriptionQuery),
)
async def read_subscription_token(request: ApiRequest, listeners: Listeners) -> CentrifugoToken:
    """Return a token to subscribe to the caller's own channel, and that channel's name.

    Query: `channel`, `personal:` and the user id as it is, or the name as an answer gave it.

    422 for any other channel.
    """
    user_id = request.user.user_id
    channel = personal_channel(user_id)
    # In a query `+` means a space. A client that writes it unescaped means its own channel too.
    asked = parse_query(request, SubscriptionQuery).channel.replace("+", " ")
    if asked not in {(NAMESPACE + user_id).replace("+", " "), channel.replace("+", " ")}:
        raise InvalidInputError(
            f"channel must be {NAMESPACE + user_id}, the caller's own.", pointer="channel"
        )
    listener = await listeners.keep_listener(user_id)
    return CentrifugoToken(
        token=create_subscription_token(
            user_id, load_configuration(), is_resuming=listener.is_resuming
        ),
        channel=channel,
    )
