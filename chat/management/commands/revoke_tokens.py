"""`manage.py revoke_tokens`: refuses the tokens that a user holds."""

import argparse
from datetime import datetime

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from chat.actions.revocations import revoke_tokens
from chat.errors import InvalidInputError
from chat.management.commands.token import parse_subject
from chat.sql.database import run_call_in_django
from chat.visible import make_visible


def parse_time(text: str) -> datetime:
    """Return a time with its offset from UTC."""
    try:
        parsed = parse_datetime(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: write it as 2026-01-31T09:30:00Z"
        )
    return parsed


class Command(BaseCommand):
    """Refuses the user's tokens of before a time, and ends the user's connections to Centrifugo."""

    help = "Refuse the tokens that a user holds: the user has to log in again at the host."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("user", type=parse_subject, help="the user id, as in the claim sub")
        parser.add_argument(
            "--not-before",
            type=parse_time,
            help="refuse the tokens that were issued before this time; default now",
        )

    def handle(self, *, user: str, not_before: datetime | None, **_: object) -> None:
        """Print from when on the user's tokens are accepted."""
        try:
            revoked = run_call_in_django(revoke_tokens(user, not_before))
        except InvalidInputError as error:
            raise CommandError(f"Nothing was changed: {error}") from error
        shown = make_visible(user)
        fact = "are refused" if revoked.is_new else "were refused already; nothing was changed"
        self.stdout.write(f"Tokens of {shown} issued before {revoked.not_before} {fact}.")
