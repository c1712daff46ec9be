"""`manage.py migrate`, so that it can run while the service does.

A change of a table waits for the transactions that read it, and each later request waits behind the
change: one slow report would stop all sends until it ends. So each wait is short, and is repeated
(docs/decisions/0007).
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState

from chat.conf import KEEPALIVES

LOCK_TIMEOUT_MS = 500
"""How long sends may wait behind a migration that waits for a table."""
PAUSE_SECONDS = 1.0, 2.0
TRIES = 200
"""With the pauses between them, at least five minutes."""
# Any constant will do, if each `migrate` uses the same one.
_MIGRATE_LOCK = 7_331_002
# A migration whose machine vanished would hold its tables until PostgreSQL notices: by
# default after two hours, and no message would be sent until then.
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
    """A migration that is one transaction waits for its tables for a short time, many times."""

    def apply_migration(
        self, state: ProjectState, migration: Migration, *arguments: Any, **named: Any
    ) -> ProjectState:
        """Apply a migration; while a table is in use, roll back and try again later."""
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
        """Make the change in one of many tries.

        A migration that is not a transaction (it builds an index concurrently) takes no lock that a
        send would wait for. So it may wait for old transactions until they end.
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
            # The requests that waited behind it go first.
            time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - it only spreads
        raise AssertionError("the last try raises")


def _require_supported(using: str) -> None:
    """Raise `CommandError` for a server that is too old."""
    try:
        connections[using].ensure_connection()
    except NotSupportedError as error:
        raise CommandError(f"{error} Nothing was changed.") from None


# Django's command takes its executor from this name; it has no setting for it.
migrate.MigrationExecutor = PatientExecutor  # type: ignore[attr-defined]


class Command(migrate.Command):
    """Django's `migrate`, one at a time, while the service goes on."""

    def check(self, *arguments: Any, **options: Any) -> None:
        """Run Django's checks, of which some ask the server for its version."""
        for using in options.get("databases") or ():
            _require_supported(using)
        super().check(*arguments, **options)

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Migrate while no other `migrate` does, then install the functions.

        A server that is too old is refused before anything is written.
        """
        _require_supported(options.get("database") or DEFAULT_DB_ALIAS)
        with self._alone(options.get("database") or DEFAULT_DB_ALIAS):
            super().handle(*arguments, **options)

    @contextmanager
    def _alone(self, using: str) -> Iterator[None]:
        """Hold the migration lock of the database.

        It asks for the lock each second and does not wait inside a statement: that would hold a
        snapshot, and the first `migrate` would wait for its end when it builds an index.
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
