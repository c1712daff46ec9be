"""`manage.py token`: a JWT as the host would sign it."""

import argparse
import re
import time

import jwt
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.identity_checks import verifies_by_secret
from chat.realtime.channels import describe_invalid_user_id

_DURATION = re.compile(r"(?P<number>[1-9][0-9]*)(?P<unit>[smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> int:
    """Return the seconds of `90`, `90s`, `15m`, `1h` or `2d`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write 90s, 15m, 1h or 2d")
    return int(match["number"]) * _SECONDS[match["unit"]]


def parse_subject(text: str) -> str:
    """Return the user id, or say why it is not valid."""
    if (reason := describe_invalid_user_id(text)) is not None:
        raise argparse.ArgumentTypeError(reason)
    return text


class Command(BaseCommand):
    """Prints a token that the API accepts, signed with `JWT_SECRET`."""

    help = "Print a JWT for the API, as the host would sign it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--sub", required=True, type=parse_subject, help="the user id")
        parser.add_argument(
            "--service", action="store_true", help="give it the rights of the host's service"
        )
        parser.add_argument(
            "--ttl", type=parse_duration, default="1h", help="how long it is valid: 15m, 1h, 2d"
        )

    def handle(self, *, sub: str, service: bool, ttl: int, **_: object) -> None:
        """Print only the token."""
        if not verifies_by_secret() or "HS256" not in settings.JWT_ALGORITHMS:
            raise CommandError(
                "Tokens of JWT_SECRET are not accepted: they are verified with JWT_PUBLIC_KEY, "
                "JWT_JWKS_URL, AUTH_VERIFY_URL or other JWT_ALGORITHMS than HS256. Get one where "
                "your tokens are signed."
            )
        longest = settings.JWT_MAX_LIFETIME_SECONDS
        if longest and ttl > longest:
            self.stderr.write(f"It is valid for {longest} seconds: see JWT_MAX_LIFETIME_SECONDS.")
            ttl = longest
        now = int(time.time())
        claims: dict[str, object] = {settings.JWT_USER_CLAIM: sub, "iat": now, "exp": now + ttl}
        if settings.JWT_ISSUER:
            claims["iss"] = settings.JWT_ISSUER[0]
        if settings.JWT_AUDIENCE:
            claims[settings.JWT_AUDIENCE_CLAIM[0]] = settings.JWT_AUDIENCE[0]
        if service and settings.JWT_SERVICE_CLAIM:
            claims[settings.JWT_SERVICE_CLAIM[0]] = settings.JWT_SERVICE_VALUE
        elif service:
            claims["role"] = "service"
        self.stdout.write(jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256"))
