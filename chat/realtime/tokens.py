"""Tokens for Centrifugo: who may connect, and to which channel.

They are signed with a secret of their own. With the API's secret, a connection token would be valid
at the API, and a token of the host with a channel claim would be valid at Centrifugo.
"""

import random
import time

import jwt

from chat.conf import ChatConfiguration
from chat.realtime.channels import personal_channel

LEAST_OF_LIFETIME = 0.8
"""Tokens that were issued together expire at times spread over a fifth of their lifetime. Otherwise
all clients that connected after an outage would ask for new ones together, again and again."""


def create_connection_token(user_id: str, configuration: ChatConfiguration) -> str:
    """Return a token that lets its bearer connect as this user, at most for the time configured."""
    return _sign({"sub": user_id}, configuration)


def create_subscription_token(
    user_id: str, configuration: ChatConfiguration, *, is_resuming: bool = True
) -> str:
    """Return a token that lets only this user subscribe to the user's own channel.

    is_resuming: False for a client that must not recover, and so is told to resync: events may be
    missing in Centrifugo's history.
    """
    claims: dict[str, object] = {"sub": user_id, "channel": personal_channel(user_id)}
    if not is_resuming:
        claims["override"] = {
            "force_recovery": {"value": False},
            "force_positioning": {"value": True},
        }
    return _sign(claims, configuration)


def _sign(claims: dict[str, object], configuration: ChatConfiguration) -> str:
    now = int(time.time())
    lifetime = configuration.centrifugo_token_ttl_seconds * random.uniform(LEAST_OF_LIFETIME, 1)  # noqa: S311 - it spreads, it guards nothing
    return jwt.encode(
        claims | {"iat": now, "exp": now + int(lifetime)},
        configuration.centrifugo_token_secret,
        algorithm="HS256",
    )
