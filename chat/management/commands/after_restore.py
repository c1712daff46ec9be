"""`manage.py after_restore`: run it after a backup was restored, before the service starts."""

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from chat.actions.installation import accept_identity, start_over
from chat.sql.database import run_call_in_django

QUESTION = """\
The database will start over: the event log and the outbox are emptied, and every client reads its
rooms again. Messages, members and rooms stay as they are. Stop the API and Centrifugo first.
Continue? [y/N] """


class Command(BaseCommand):
    """Makes every client read its rooms again, also one that is ahead of a restored database."""

    help = "Start over in a database that was restored from a backup, or promoted with losses."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--no-input", action="store_true", help="do not ask")
        parser.add_argument(
            "--nothing-lost",
            action="store_true",
            help="the move lost nothing (pg_upgrade, a switchover): only record it",
        )

    def handle(self, *, no_input: bool, nothing_lost: bool, **_: Any) -> None:
        """Start a new epoch, or record the identity; both are one transaction."""
        connection.ensure_connection()  # `manage.py` says in one line that there is no database
        if not (nothing_lost or no_input or _ask()):
            raise CommandError("Nothing was changed.")
        try:
            self._accept_identity() if nothing_lost else self._start_over()
        except (DatabaseError, psycopg.Error) as error:
            why = " ".join(str(error).split())
            raise CommandError(f"Nothing was changed. The database says: {why}") from error

    def _accept_identity(self) -> None:
        identity = run_call_in_django(accept_identity())
        if identity is None:
            raise CommandError("chat_installation has no row; `manage.py doctor` says what to do.")
        self.stdout.write(f"Recorded: this database is {identity}. Nothing else changed.")

    def _start_over(self) -> None:
        beginning = run_call_in_django(start_over())
        self.stdout.write(f"{beginning.rooms} rooms start over in epoch {beginning.epoch}.")
        self.stdout.write(
            "Empty Centrifugo's Redis, if it has one. Then start Centrifugo and the API."
        )


def _ask() -> bool:
    try:
        return input(QUESTION).strip().lower() in {"y", "yes"}
    except EOFError:
        raise CommandError("There is no terminal: use --no-input. Nothing was changed.") from None
