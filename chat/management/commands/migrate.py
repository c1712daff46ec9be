"""`manage.py migrate`, so that it can run while the service does.

A change of a table waits for everyone who reads it, and everyone who comes later waits behind it:
one slow report would stop all sends for as long as it takes. So the wait is short, and repeated.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from chat.conf import KEEPALIVES

LOCK_TIMEOUT_MS = 500
"""How long sends may stand behind a migration that waits for a table."""
PAUSE_SECONDS = 1.0, 2.0
TRIES = 200
"""With the pauses between them, five minutes and more."""
# Any constant: it only has to be the same for everyone who migrates.
_MIGRATE_LOCK = 7_331_002
# A migration whose machine vanished would hold its tables for as long as PostgreSQL believes in the
# connection: by default two hours, and no message would be sent for as long.
_SESSION_SETTINGS = {
    **{f"tcp_{name}": str(seconds) for name, seconds in KEEPALIVES.items()},
    "idle_in_transaction_session_timeout": "60s",
}


def _take_lock(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [_MIGRATE_LOCK])
    (is_taken,) = cursor.fetchone()
    return bool(is_taken)


@contextmanager
def _session(connection: BaseDatabaseWrapper, settings: Mapping[str, str]) -> Iterator[None]:
    """Run the block with these settings of the session; afterwards they are as before it began."""
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute(f"SET {name} = '{value}'")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for name in settings:
                cursor.execute(f"RESET {name}")


class PatientExecutor(MigrationExecutor):
    """Each migration that is one transaction waits briefly for its tables, many times."""

    def apply_migration(
        self, state: ProjectState, migration: Migration, *arguments: Any, **named: Any
    ) -> ProjectState:
        """Apply a migration; where a table is in use for too long, roll back and try again."""
        apply = super().apply_migration
        return self._insist(migration, lambda: apply(state.clone(), migration, *arguments, **named))

    def unapply_migration(
        self, state: ProjectState, migration: Migration, *arguments: Any, **named: Any
    ) -> ProjectState:
        """Take a migration back in the same way."""
        unapply = super().unapply_migration
        return self._insist(
            migration, lambda: unapply(state.clone(), migration, *arguments, **named)
        )

    def _insist(self, migration: Migration, change: Callable[[], ProjectState]) -> ProjectState:
        """Make a change in one of many tries.

        One that is no transaction (an index that is built beside the writers) takes no lock that
        a send would wait for, and may wait for old transactions as long as they last.
        """
        if not migration.atomic:
            return change()
        for attempt in range(1, TRIES + 1):
            try:
                with _session(self.connection, {"lock_timeout": str(LOCK_TIMEOUT_MS)}):
                    return change()
            except OperationalError as error:
                is_late = isinstance(error.__cause__, psycopg.errors.LockNotAvailable)
                if not is_late or attempt == TRIES:
                    raise
            print(" a table is in use; again …", end="", flush=True)
            # Whoever stood behind it goes first.
            time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - it only spreads
        raise AssertionError("the last try raises")


# The command makes its executor by this name, and has no other place to hand one in.
migrate.MigrationExecutor = PatientExecutor  # type: ignore[attr-defined]


class Command(migrate.Command):
    """Django's `migrate`, one at a time, and without stopping who is being served."""

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Migrate while no other `migrate` does, then install the functions."""
        with self._alone(options.get("database") or DEFAULT_DB_ALIAS):
            super().handle(*arguments, **options)

    @contextmanager
    def _alone(self, using: str) -> Iterator[None]:
        """Hold the migration lock of the database.

        It is asked for again and again, not waited for: a session that waits inside a statement
        holds a snapshot, for whose end the building of an index would wait in turn.
        """
        connection = connections[using]
        with _session(connection, _SESSION_SETTINGS), connection.cursor() as cursor:
            while not _take_lock(cursor):
                self.stdout.write("Another `migrate` is at work; waiting for it.")
                time.sleep(1)
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATE_LOCK])
