"""System checks: a service with a bad secret or without host names does not start."""

import base64
import contextlib
import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from chat.conf import (
    AUDIENCE_HOURS_LEAST,
    AUDIENCE_HOURS_MOST,
    CONTENT_BYTES_MAX,
    DEVELOPMENT_CENTRIFUGO_SECRET,
    DEVELOPMENT_SECRET_KEY,
    TOKEN_SECONDS_LEAST,
    TOKEN_SECONDS_MOST,
)
from chat.identity_checks import verifies_by_secret

MINIMUM_SECRET_BYTES = 32
# What Standard Webhooks demands.
HOOK_SECRET_BYTES = 24
DEVELOPMENT_SECRETS = frozenset({DEVELOPMENT_SECRET_KEY, DEVELOPMENT_CENTRIFUGO_SECRET})
_HINT = (
    "Set {name} to at least 32 random bytes, for example the output of "
    "`python -c 'import secrets; print(secrets.token_urlsafe(48))'`."
)


_SECRET = re.compile(r"(?:SECRET_KEY|\w+_SECRET)(?:_BEFORE)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{40,}={0,2}\s*")
# The identifiers of RSA, elliptic curves and Ed25519 in a key that is written as DER.
_KEY_KINDS = tuple(
    bytes.fromhex(text) for text in ("2a864886f70d0101", "2a8648ce3d0201", "2b6570", "2b6571")
)


def describe_published_key(value: str) -> str | None:
    """Return what a value is that no secret can be: a key of a key pair, or the address of keys.

    Anyone knows a public key. A service that took it for a shared secret would accept every token
    that a stranger signs with it.
    """
    text = value.strip()
    if "-----BEGIN " in text:
        return "a key or certificate in PEM format"
    if text.startswith("ssh-"):
        return "a key in SSH format"
    if text.startswith("{") and '"kty"' in text:
        return "a JSON Web Key"
    if text.lower().startswith(("https://", "http://")):
        return "an address"
    if _BASE64.fullmatch(text):
        with contextlib.suppress(ValueError):
            data = base64.b64decode("".join(text.split()), validate=True)
            if _is_key(data):
                return "a key or certificate without the lines of its PEM format"
    return None


def _is_key(data: bytes) -> bool:
    """Whether this is one DER sequence of a kind of keys or certificates, and no more."""
    size = data[1] & 0x7F if data[1] > 0x80 else 0
    length = int.from_bytes(data[2 : 2 + size]) if size else data[1]
    is_sequence = data[0] == 0x30 and len(data) == 2 + size + length
    # PKCS #1 names no kind: it begins with the large number of an RSA key.
    return is_sequence and (data[4:6] == b"\x02\x82" or any(kind in data for kind in _KEY_KINDS))


@register("security")
def check_published_keys(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """No secret, of whatever name, is the public or private key of a pair, with DEBUG too."""
    found: list[CheckMessage] = []
    for name in filter(_SECRET.fullmatch, sorted({*dir(settings)})):
        value: str = getattr(settings, name)
        is_fallback = name == "JWT_SECRET" and value == settings.SECRET_KEY
        if (kind := describe_published_key(value)) is None or is_fallback:
            continue
        advice = _HINT.format(name=name)
        if name.startswith("JWT_"):
            advice = (
                f"{name} is the secret that the host and this service share, for HS256. Set "
                "JWT_PUBLIC_KEY to a public key, or JWT_JWKS_URL to the address of a key set. A "
                "private key stays with who signs the tokens."
            )
        found.append(
            Error(
                f"{name} is {kind}. With a public key as the secret, anyone could sign tokens.",
                hint=advice,
                id="chat.E050",
            )
        )
    return found


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


# Six bytes a character in JSON at worst.
MESSAGE_MAX_LENGTH_LIMIT = CONTENT_BYTES_MAX // 6


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
def check_token_lifetime(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """With DEBUG off, a token does not expire before a slow client has used it."""
    lifetime = settings.CENTRIFUGO_TOKEN_TTL_SECONDS
    if settings.DEBUG or lifetime >= TOKEN_SECONDS_LEAST:
        return []
    return [
        Error(
            f"CENTRIFUGO_TOKEN_TTL_SECONDS is {lifetime}.",
            hint=f"Set it to at least {TOKEN_SECONDS_LEAST}: a token could expire on its way.",
            id="chat.E051",
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


# As browsers write it in `Origin`: no path, no slash at the end, no default port; or with `*.` in
# front of the host for any one label. Apps have schemes of their own, such as capacitor://localhost.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?:(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _is_origin(word: str) -> bool:
    if word == "*":
        return True
    found = _ORIGIN.fullmatch(word)
    return found is not None and found["port"] != _DEFAULT_PORTS.get(found["scheme"], "")


@register
def check_cors_origins(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """Each word of CORS_ALLOWED_ORIGINS is one that a browser's `Origin` can equal."""
    return [
        Error(
            f"CORS_ALLOWED_ORIGINS contains {word!r}, which is no origin.",
            hint="Write the scheme, the host and a port other than the default one, with nothing "
            "after them: https://app.example.com, or https://*.example.com for each of its "
            "subdomains, or * alone for every origin.",
            id="chat.E040",
        )
        for word in settings.CORS_ALLOWED_ORIGINS
        if not _is_origin(word)
    ]


@register
def check_before_send(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """The hook has an address to ask, a secret to sign with, and says what a failure means."""
    address, secret = settings.CHAT_BEFORE_SEND_URL, settings.CHAT_BEFORE_SEND_SECRET
    on_failure = settings.CHAT_BEFORE_SEND_ON_FAILURE
    found: list[CheckMessage] = []
    if address and not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", address):
        found.append(
            Error(
                "CHAT_BEFORE_SEND_URL is no address.",
                hint="Write it with http:// or https://, a host and a path.",
                id="chat.E081",
            )
        )
    if address and (fault := _describe_hook_secret(secret)):
        found.append(
            Error(
                f"CHAT_BEFORE_SEND_SECRET {fault}.",
                hint="The host verifies with it that a question is this service's. Set it to at "
                "least 24 random bytes, or to whsec_ and such bytes in base64.",
                id="chat.E082",
            )
        )
    if on_failure not in {"allow", "refuse"}:
        found.append(
            Error(
                f"CHAT_BEFORE_SEND_ON_FAILURE is {on_failure!r}.",
                hint="Write allow or refuse.",
                id="chat.E083",
            )
        )
    return found


def _describe_hook_secret(secret: str) -> str | None:
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            return "begins with whsec_ and does not go on in base64"
    return "is shorter than 24 bytes" if len(key) < HOOK_SECRET_BYTES else None
