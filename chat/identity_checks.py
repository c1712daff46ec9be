"""System checks: a service that would verify tokens in an unsafe or impossible way does not start.

What can be judged of one variable alone, `app.settings` refuses when it reads it.
"""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from chat.conf import DEVELOPMENT_CENTRIFUGO_SECRET, DEVELOPMENT_SECRET_KEY

SECRET_BYTES_LEAST = 32
DEVELOPMENT_SECRETS = frozenset({DEVELOPMENT_SECRET_KEY, DEVELOPMENT_CENTRIFUGO_SECRET})
# The same one, and the name that it had in releases before.
_VERIFIERS_BY_KEYS = {
    "app.identity.jwt_verifier.JwtVerifier",
    "app.authentication.SharedSecretVerifier",
}
# A request waits for it, and each is answered within five seconds.
VERIFY_SECONDS_MOST = 4


def _asks_the_host() -> bool:
    """Return whether the host is asked about each token, so that no key of the settings counts."""
    return str(settings.TOKEN_VERIFIER).endswith(".RemoteVerifier")


def verifies_by_secret() -> bool:
    """Return whether tokens signed with JWT_SECRET may be accepted.

    Of a verifier of the host's own nobody knows.
    """
    return not _asks_the_host() and any(name.startswith("HS") for name in settings.JWT_ALGORITHMS)


@register
def check_identity(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """Each algorithm has its key, each issuer its keys, and each address is safe to ask."""
    return [
        *_check_one_way(),
        *_check_algorithms(),
        *_check_issuers(),
        *_check_addresses(),
        *_check_service_claim(),
        *_check_numbers(),
    ]


@register("security")
def check_former_secret(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """With DEBUG off, JWT_SECRET_BEFORE is as good a secret as JWT_SECRET."""
    value: str = settings.JWT_SECRET_BEFORE
    if settings.DEBUG or not value:
        return []
    found: list[CheckMessage] = []
    if value in DEVELOPMENT_SECRETS or len(value.encode()) < SECRET_BYTES_LEAST:
        found.append(
            Error(
                "JWT_SECRET_BEFORE is a published development default, or shorter than "
                f"{SECRET_BYTES_LEAST} bytes.",
                hint="Unset JWT_SECRET_BEFORE: anyone could sign tokens with it.",
                id="chat.E024",
            )
        )
    if value == settings.CENTRIFUGO_TOKEN_SECRET:
        found.append(
            Error(
                "JWT_SECRET_BEFORE equals CENTRIFUGO_TOKEN_SECRET, so a token made for Centrifugo "
                "would be accepted by the API.",
                hint="Unset JWT_SECRET_BEFORE, or change CENTRIFUGO_TOKEN_SECRET.",
                id="chat.E025",
            )
        )
    return found


@register("security")
def check_audience(**_: Any) -> Sequence[CheckMessage]:  # noqa: ANN401 - Django's signature
    """With DEBUG off, tokens that a provider issues for other services are not accepted unseen."""
    if settings.DEBUG or settings.JWT_AUDIENCE or not settings.JWT_JWKS_URL:
        return []
    return [
        Warning(
            "JWT_AUDIENCE is not set, so each token of the identity provider is accepted, also "
            "one for another application.",
            hint="Set JWT_AUDIENCE, and JWT_AUDIENCE_CLAIM where the token has no `aud`; "
            "docs/integrating.md has both for each provider.",
            id="chat.W020",
        )
    ]


def _check_one_way() -> Iterator[CheckMessage]:
    given = [
        name
        for name in ("AUTH_VERIFY_URL", "JWT_PUBLIC_KEY", "JWT_JWKS_URL")
        if getattr(settings, name)
    ]
    if len(given) > 1:
        yield Error(
            f"{' and '.join(given)} are set, and each says how a token is verified.",
            hint="Set one of them.",
            id="chat.E023",
        )
    if settings.AUTH_VERIFY_URL and settings.TOKEN_VERIFIER in _VERIFIERS_BY_KEYS:
        yield Error(
            "AUTH_VERIFY_URL is set, and TOKEN_VERIFIER names a verifier that does not ask there.",
            hint="Unset TOKEN_VERIFIER, or AUTH_VERIFY_URL.",
            id="chat.E027",
        )
    if _asks_the_host() and not settings.AUTH_VERIFY_URL:
        yield Error(
            "TOKEN_VERIFIER asks the host, and AUTH_VERIFY_URL is not set.",
            hint="Set AUTH_VERIFY_URL to the address at which the host verifies a token.",
            id="chat.E027",
        )


def _check_algorithms() -> Iterator[CheckMessage]:
    by_key = [name for name in settings.JWT_ALGORITHMS if not name.startswith("HS")]
    has_keys = bool(settings.JWT_PUBLIC_KEY or settings.JWT_JWKS_URL)
    if by_key and not has_keys:
        yield Error(
            f"JWT_ALGORITHMS has {by_key[0]}, and there is no key for it.",
            hint="Set JWT_PUBLIC_KEY, JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL.",
            id="chat.E020",
        )
    if has_keys and not by_key:
        yield Error(
            "JWT_ALGORITHMS has no algorithm for JWT_PUBLIC_KEY or JWT_JWKS_URL.",
            hint="Add the provider's, usually RS256, or unset JWT_ALGORITHMS.",
            id="chat.E020",
        )


def _check_issuers() -> Iterator[CheckMessage]:
    addresses, issuers = len(settings.JWT_JWKS_URL), len(settings.JWT_ISSUER)
    if addresses > max(issuers, 1):
        yield Error(
            f"JWT_JWKS_URL has {addresses} addresses and JWT_ISSUER {issuers} issuers.",
            hint="Name the issuer of each address in JWT_ISSUER, in the same order: the keys of "
            "one issuer must not sign tokens of another.",
            id="chat.E021",
        )
    elif 0 < addresses < issuers and not verifies_by_secret():
        yield Error(
            f"JWT_ISSUER has {issuers} issuers and JWT_JWKS_URL {addresses} addresses, so no token "
            "of the last issuer can be verified.",
            hint="Give the address of each issuer's keys in JWT_JWKS_URL, in the same order; two "
            "issuers may have the same address.",
            id="chat.E021",
        )


def _check_addresses() -> Iterator[CheckMessage]:
    addresses = [("JWT_JWKS_URL", address) for address in settings.JWT_JWKS_URL]
    if settings.AUTH_VERIFY_URL:
        addresses.append(("AUTH_VERIFY_URL", settings.AUTH_VERIFY_URL))
    for name, address in addresses:
        if (fact := _describe_unsafe(address)) is not None:
            yield Error(
                f"{name} has an address that {fact}.",
                hint=f"Set {name} to an address that begins with https://.",
                id="chat.E022",
            )


def _describe_unsafe(address: str) -> str | None:
    """Return why an address must not be asked, or None. http:// is for development and loopback."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "cannot be read"
    if not host or parts.scheme not in {"http", "https"}:
        return "is none of https://"
    if parts.username is not None or parts.password is not None:
        return "has a password in it, which would be written to the log"
    if parts.scheme == "http" and not settings.DEBUG and not _is_loopback(host):
        return "is not encrypted, so anyone on the way could answer in its place"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_service_claim() -> Iterator[CheckMessage]:
    if bool(settings.JWT_SERVICE_CLAIM) != bool(settings.JWT_SERVICE_VALUE):
        yield Error(
            "One of JWT_SERVICE_CLAIM and JWT_SERVICE_VALUE is set, and the other is not.",
            hint="Set both: the claim, and the value that gives the rights of the service.",
            id="chat.E026",
        )


def _check_numbers() -> Iterator[CheckMessage]:
    for name, least, most in (
        ("JWT_MAX_LIFETIME_SECONDS", 0, 10**9),
        ("AUTH_VERIFY_TIMEOUT_SECONDS", 1, VERIFY_SECONDS_MOST),
        ("AUTH_VERIFY_CACHE_SECONDS", 0, 86_400),
    ):
        value: int = getattr(settings, name)
        if not least <= value <= most:
            yield Error(
                f"{name} is {value}.",
                hint=f"Set {name} to a number from {least} to {most}.",
                id="chat.E028",
            )
