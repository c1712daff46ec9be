"""Tokens for Centrifugo: who may connect, and to which channel.

They are signed with a secret of their own. With the API's secret, a connection token would be valid
at the API, and a token of the host with a channel claim would be valid at Centrifugo.
"""

import math
import random
import time

import jwt

from chat.conf import ChatConfiguration
from chat.realtime.channels import personal_channel

LEAST_OF_LIFETIME = 0.8
"""Tokens that were issued together expire at times spread over a fifth of their lifetime. Otherwise
all clients that connected after an outage would ask for new ones together, again and again."""


SECONDS_LEAST = 5
"""A token that is valid for a shorter time is not issued: it could have expired before it is used,
where a client is slow or Centrifugo's clock is ahead."""


class ExpiresTooSoonError(Exception):
    """The JWT with which a token is asked for is valid for too short a time."""


def create_connection_token(
    user_id: str, configuration: ChatConfiguration, *, until: float = math.inf
) -> str:
    """Return a token that lets its bearer connect as this user, at most for the time configured.

    until: when the JWT with which it is asked for ends, in seconds since 1970; the token ends with
    it. Errors: `ExpiresTooSoonError` where that is in less than five seconds.
    """
    return _sign({"sub": user_id}, configuration, until)


def create_subscription_token(
    user_id: str,
    configuration: ChatConfiguration,
    *,
    until: float = math.inf,
    is_resuming: bool = True,
) -> str:
    """Return a token that lets only this user subscribe to the user's own channel.

    until: as for `create_connection_token`, with the same error. is_resuming: False for a client
    that must not recover, and so has to resync: events may be missing in Centrifugo's history.
    """
    claims: dict[str, object] = {"sub": user_id, "channel": personal_channel(user_id)}
    if not is_resuming:
        claims["override"] = {
            "force_recovery": {"value": False},
            "force_positioning": {"value": True},
        }
    return _sign(claims, configuration, until)


def _sign(claims: dict[str, object], configuration: ChatConfiguration, until: float) -> str:
    now = time.time()
    if until < now + SECONDS_LEAST:
        raise ExpiresTooSoonError
    lifetime = configuration.centrifugo_token_ttl_seconds * random.uniform(LEAST_OF_LIFETIME, 1)  # noqa: S311 - it spreads, it guards nothing
    return jwt.encode(
        # Whole seconds, and never later than `until`.
        claims | {"iat": int(now), "exp": int(min(int(now) + int(lifetime), until))},
        configuration.centrifugo_token_secret,
        algorithm="HS256",
    )
