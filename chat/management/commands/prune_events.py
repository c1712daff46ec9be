"""`manage.py prune_events`: deletes what is too old to be needed.

Events of the log, users who stopped listening, what users did that limits nothing any more, and
revocations of tokens that have expired.
"""

from argparse import ArgumentTypeError

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.actions.events import PRUNE_BATCH, prune_events
from chat.actions.limits import prune_counts
from chat.actions.listeners import PRUNE_BATCH as LISTENERS_BATCH
from chat.actions.listeners import prune_listeners
from chat.actions.revocations import PRUNE_BATCH as REVOCATIONS_BATCH
from chat.actions.revocations import prune_revocations
from chat.conf import load_configuration
from chat.sql.database import run_call_in_django


def parse_days(text: str) -> int:
    """Return a number of days, at least 1."""
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise ArgumentTypeError(f"{text} days: the log is kept for at least one.")
    return int(text)


class Command(BaseCommand):
    """Deletes events older than `CHAT_EVENT_RETENTION_DAYS`, in batches; run it once a day."""

    help = "Delete events that are older than CHAT_EVENT_RETENTION_DAYS from the log."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--days", type=parse_days, help="another age than CHAT_EVENT_RETENTION_DAYS, in days"
        )

    def handle(self, *, days: int | None, **_: object) -> None:
        """Delete batch after batch, each in its own transaction, until no old event is left."""
        age = load_configuration().event_retention_days if days is None else days
        if age < 1:
            raise CommandError(
                f"CHAT_EVENT_RETENTION_DAYS is {age}: the log is kept for at least one."
            )
        total, pruned = 0, PRUNE_BATCH
        while pruned == PRUNE_BATCH:
            pruned = run_call_in_django(prune_events(age))
            total += pruned
        self.stdout.write(f"Pruned {total} events older than {age} days.")
        users, pruned = 0, LISTENERS_BATCH
        while pruned == LISTENERS_BATCH:
            pruned = run_call_in_django(prune_listeners())
            users += pruned
        self.stdout.write(f"Pruned {users} users who stopped listening.")
        self._prune_counts()
        self._prune_revocations()

    def _prune_counts(self) -> None:
        """Go through all users who did something that is limited."""
        total, last = 0, ""
        while True:
            found = run_call_in_django(prune_counts(last))
            total += found.pruned
            if found.last_user_id is None:
                break
            last = found.last_user_id
        self.stdout.write(f"Pruned {total} counts of users that limit nothing any more.")

    def _prune_revocations(self) -> None:
        """Delete the revocations of which all tokens have expired; tokens may be valid for ever."""
        seconds = load_configuration().revocations_kept_seconds
        if seconds is None:
            return
        total, pruned = 0, REVOCATIONS_BATCH
        while pruned == REVOCATIONS_BATCH:
            pruned = run_call_in_django(prune_revocations(seconds))
            total += pruned
        self.stdout.write(f"Pruned {total} revocations of tokens that have expired.")
