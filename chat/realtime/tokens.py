"""Tokens for Centrifugo: who may connect, and to which channel.

They are signed with a secret of their own. With the API's secret, a connection token would be an
API token, and a token of the host that happens to name channels would subscribe to them.
"""

import time

import jwt

from chat.conf import ChatConfiguration
from chat.realtime.channels import personal_channel


def create_connection_token(user_id: str, configuration: ChatConfiguration) -> str:
    """Return a token that lets its bearer connect as this user for the configured time."""
    return _sign({"sub": user_id}, configuration)


def create_subscription_token(user_id: str, configuration: ChatConfiguration) -> str:
    """Return a token that lets this user, and only this user, subscribe to the own channel."""
    return _sign({"sub": user_id, "channel": personal_channel(user_id)}, configuration)


def _sign(claims: dict[str, object], configuration: ChatConfiguration) -> str:
    now = int(time.time())
    return jwt.encode(
        claims | {"iat": now, "exp": now + configuration.centrifugo_token_ttl_seconds},
        configuration.centrifugo_token_secret,
        algorithm="HS256",
    )
