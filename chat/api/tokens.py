"""Tokens for Centrifugo.

They never outlive the JWT with which they are asked for. None is answered after that JWT was
revoked: the statement that keeps the listener reads the revocation too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from app.authentication import InvalidTokenError, Principal
from chat.actions.listeners import Listener, Listeners
from chat.api.openapi.operations import Operation
from chat.api.query import parse_query
from chat.api.schemas import CentrifugoToken
from chat.api.security import ApiRequest, authenticated, require_not_revoked
from chat.conf import load_configuration
from chat.errors import InvalidInputError
from chat.queries.revocations import Revocations
from chat.realtime.channels import NAMESPACE, personal_channel
from chat.realtime.tokens import (
    SECONDS_LEAST,
    ExpiresTooSoonError,
    create_connection_token,
    create_subscription_token,
)


@get("/api/token/connection", guards=[authenticated])
async def read_connection_token(
    request: ApiRequest, listeners: Listeners, revocations: Revocations
) -> CentrifugoToken:
    """Return a token to connect to Centrifugo as the caller, and the channel to subscribe to.

    It ends with the caller's own token at the latest.
    """
    caller = request.user
    await _keep_listener(caller, listeners, revocations)
    with _refusing_late_callers():
        token = create_connection_token(caller.user_id, load_configuration(), until=caller.until)
    return CentrifugoToken(token=token, channel=personal_channel(caller.user_id))


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
async def read_subscription_token(
    request: ApiRequest, listeners: Listeners, revocations: Revocations
) -> CentrifugoToken:
    """Return a token to subscribe to the caller's own channel, and that channel's name.

    It ends with the caller's own token at the latest.

    Query: `channel`, `personal:` and the user id as it is, or the name as an answer gave it.

    422 for any other channel.
    """
    caller = request.user
    user_id = caller.user_id
    channel = personal_channel(user_id)
    # In a query `+` means a space. A client that writes it unescaped means its own channel too.
    asked = parse_query(request, SubscriptionQuery).channel.replace("+", " ")
    if asked not in {(NAMESPACE + user_id).replace("+", " "), channel.replace("+", " ")}:
        raise InvalidInputError(
            f"channel must be {NAMESPACE + user_id}, the caller's own.", pointer="channel"
        )
    listener = await _keep_listener(caller, listeners, revocations)
    with _refusing_late_callers():
        token = create_subscription_token(
            user_id,
            load_configuration(),
            until=caller.until,
            is_resuming=listener.is_resuming,
        )
    return CentrifugoToken(token=token, channel=channel)


async def _keep_listener(
    caller: Principal, listeners: Listeners, revocations: Revocations
) -> Listener:
    """Keep the caller as a listener; refuse a token that was revoked before this was called.

    The process itself may not know yet: it looks twice a second. A client that was disconnected by
    the revocation asks sooner.
    """
    listener = await listeners.keep_listener(caller.user_id)
    if listener.not_before is not None:
        revocations.note(caller.user_id, listener.not_before)
        require_not_revoked(caller, revocations)
    return listener


@contextmanager
def _refusing_late_callers() -> Iterator[None]:
    try:
        yield
    except ExpiresTooSoonError:
        raise InvalidTokenError(
            f"The token expires in less than {SECONDS_LEAST} seconds, which is too late to ask for "
            "a token for Centrifugo with it."
        ) from None
