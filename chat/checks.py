"""System checks: a service with a bad secret or without host names does not start."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from chat.conf import (
    AUDIENCE_HOURS_LEAST,
    AUDIENCE_HOURS_MOST,
    DEVELOPMENT_CENTRIFUGO_SECRET,
    DEVELOPMENT_SECRET_KEY,
    EVENT_BYTES_MAX,
    TOKEN_SECONDS_MOST,
)
from chat.identity_checks import verifies_by_secret

MINIMUM_SECRET_BYTES = 32
DEVELOPMENT_SECRETS = frozenset({DEVELOPMENT_SECRET_KEY, DEVELOPMENT_CENTRIFUGO_SECRET})
_HINT = (
    "Set {name} to at least 32 random bytes, for example the output of "
    "`python -c 'import secrets; print(secrets.token_urlsafe(48))'`."
)


def _check_secret(name: str, value: str, number: int) -> list[CheckMessage]:
    if value in DEVELOPMENT_SECRETS:
        fact = f"{name} is the published development default."
    elif len(value.encode()) < MINIMUM_SECRET_BYTES:
        fact = f"{name} is shorter than {MINIMUM_SECRET_BYTES} bytes."
    else:
        return []
    return [Error(fact, hint=_HINT.format(name=name), id=f"chat.E{number:03}")]


@register("security")
def check_secrets(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """With DEBUG off, each secret is long, is not published, and is used for one purpose."""
    if settings.DEBUG:
        return []
    secrets = {
        "SECRET_KEY": settings.SECRET_KEY,
        "JWT_SECRET": settings.JWT_SECRET,
        "CENTRIFUGO_TOKEN_SECRET": settings.CENTRIFUGO_TOKEN_SECRET,
    }
    found: list[CheckMessage] = []
    for number, (name, value) in enumerate(secrets.items(), start=1):
        if name != "JWT_SECRET" or verifies_by_secret():
            found += _check_secret(name, value, number)
    if settings.CENTRIFUGO_TOKEN_SECRET in {settings.JWT_SECRET, settings.SECRET_KEY}:
        found.append(
            Error(
                "CENTRIFUGO_TOKEN_SECRET equals another secret, so a token made for one service "
                "would be accepted by the other.",
                hint=_HINT.format(name="CENTRIFUGO_TOKEN_SECRET"),
                id="chat.E004",
            )
        )
    if settings.JWT_SECRET == settings.SECRET_KEY and verifies_by_secret():
        found.append(
            Warning(
                "JWT_SECRET is not set, so tokens are verified with SECRET_KEY.",
                hint="Set JWT_SECRET to the secret your host signs its tokens with.",
                id="chat.W001",
            )
        )
    return found


_BEFORE = {
    "SECRET_KEY_BEFORE": "chat.E030",
    "CENTRIFUGO_TOKEN_SECRET_BEFORE": "chat.E031",
}


@register("security")
def check_secrets_before(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """With DEBUG off, a secret that is still accepted is as good as the one that replaces it."""
    if settings.DEBUG:
        return []
    found: list[CheckMessage] = []
    for name, code in _BEFORE.items():
        value = getattr(settings, name)
        if value and (value in DEVELOPMENT_SECRETS or len(value.encode()) < MINIMUM_SECRET_BYTES):
            found.append(
                Error(
                    f"{name} is the published development default, or shorter than "
                    f"{MINIMUM_SECRET_BYTES} bytes.",
                    hint=f"Unset {name}: anyone could sign with such a secret.",
                    id=code,
                )
            )
    before = settings.CENTRIFUGO_TOKEN_SECRET_BEFORE
    others = {settings.JWT_SECRET, settings.SECRET_KEY, settings.JWT_SECRET_BEFORE}
    if settings.SECRET_KEY_BEFORE in {settings.CENTRIFUGO_TOKEN_SECRET, before or None} or (
        before and before in others
    ):
        found.append(
            Error(
                "CENTRIFUGO_TOKEN_SECRET or CENTRIFUGO_TOKEN_SECRET_BEFORE equals another secret, "
                "or one from before, so a token made for one service would be accepted by the "
                "other.",
                hint="Use a secret of their own for Centrifugo's tokens.",
                id="chat.E032",
            )
        )
    return found


@register("security")
def check_hosts(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """With DEBUG off, the host names of the service are set."""
    if settings.DEBUG or settings.ALLOWED_HOSTS:
        return []
    return [
        Error(
            "ALLOWED_HOSTS is empty.",
            hint="Set ALLOWED_HOSTS to the host names of this service, separated by commas.",
            id="chat.E005",
        )
    ]


@register
def check_serve(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """SERVE is `api`, `admin` or `all`."""
    if settings.SERVE in {"api", "admin", "all"}:
        return []
    return [
        Error(
            f"SERVE is {settings.SERVE!r}.", hint="Set SERVE to api, admin or all.", id="chat.E006"
        )
    ]


# Six bytes a character in JSON at worst, beside 1 KiB for the rest of the event.
MESSAGE_MAX_LENGTH_LIMIT = (EVENT_BYTES_MAX - 1024) // 6


@register
def check_message_length(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """A history of the longest messages fits the queue of a client that recovers."""
    if 1 <= settings.CHAT_MESSAGE_MAX_LENGTH <= MESSAGE_MAX_LENGTH_LIMIT:
        return []
    return [
        Error(
            f"CHAT_MESSAGE_MAX_LENGTH is {settings.CHAT_MESSAGE_MAX_LENGTH}.",
            hint=f"Set CHAT_MESSAGE_MAX_LENGTH to a number from 1 to {MESSAGE_MAX_LENGTH_LIMIT}: "
            "a client that recovers a history of longer messages is cut off as slow, for ever.",
            id="chat.E007",
        )
    ]


@register
def check_audience_hours(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """Nobody who stopped being a listener can recover from Centrifugo's history afterwards."""
    hours, lifetime = settings.CHAT_AUDIENCE_HOURS, settings.CENTRIFUGO_TOKEN_TTL_SECONDS
    if hours == 0:
        return []
    found: list[CheckMessage] = []
    if lifetime > TOKEN_SECONDS_MOST:
        found.append(
            Error(
                f"CENTRIFUGO_TOKEN_TTL_SECONDS is {lifetime}.",
                hint=f"Set it to at most {TOKEN_SECONDS_MOST}, or set CHAT_AUDIENCE_HOURS to 0: "
                "who listens with an older token would not be known.",
                id="chat.E009",
            )
        )
    if AUDIENCE_HOURS_LEAST <= hours <= AUDIENCE_HOURS_MOST:
        return found
    return [
        *found,
        Error(
            f"CHAT_AUDIENCE_HOURS is {hours}.",
            hint=f"Set CHAT_AUDIENCE_HOURS to a number from {AUDIENCE_HOURS_LEAST} to "
            f"{AUDIENCE_HOURS_MOST}, or to 0 to publish events to every member. With fewer hours, "
            "a client that comes back could miss an event without noticing.",
            id="chat.E008",
        ),
    ]
