"""`manage.py after_restore`: what to run once a backup was restored, before anything serves."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.actions.installation import begin_anew, keep_on
from chat.sql.database import run_call_in_django

QUESTION = """\
The database will begin anew: the event log and the outbox are emptied, and every client reads its
rooms again. Messages, members and rooms stay as they are. Stop the API and Centrifugo first.
Continue? [y/N] """


class Command(BaseCommand):
    """Makes clients that are ahead of a restored database converge to it, whatever they hold."""

    help = "Begin anew in a database that was restored from a backup, or promoted with losses."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--no-input", action="store_true", help="do not ask")
        parser.add_argument(
            "--nothing-lost",
            action="store_true",
            help="the move lost nothing (pg_upgrade, a switchover): only take note of it",
        )

    def handle(self, *, no_input: bool, nothing_lost: bool, **_: Any) -> None:
        """Begin anew, or take note; either is one transaction."""
        if nothing_lost:
            (kept,) = run_call_in_django(keep_on())
            self.stdout.write(f"Noted: this database is {kept.identity}. Nothing else changed.")
            return
        if not no_input and input(QUESTION).strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was changed.")
        (anew,) = run_call_in_django(begin_anew())
        self.stdout.write(f"{anew.rooms} rooms begin anew in epoch {anew.epoch}.")
        self.stdout.write("Start Centrifugo and the API. A Redis of Centrifugo's: empty it before.")
