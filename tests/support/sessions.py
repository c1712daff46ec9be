"""Sessions of PostgreSQL that a test can leave waiting, and how it knows that they wait."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import dict_row

from chat.sql import Call
from chat.sql.database import run_call

PATIENCE = 15.0
"""Seconds after which a test gives up: far beyond anything that works."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Session:
    """One session with a thread of its own: what is started may wait while the test goes on."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        self._thread = ThreadPoolExecutor(max_workers=1)

    def start(self, call: Call[Result]) -> Future[Result]:
        """Begin a call and return at once."""
        return self._thread.submit(run_call, self.connection, call)

    def run(self, call: Call[Result]) -> Result:
        """Run a call to its end."""
        return self.start(call).result(PATIENCE)

    def execute(self, statement: LiteralString, parameters: Sequence[object] = ()) -> None:
        """Run a statement that has no rows to give."""
        self._thread.submit(self.connection.execute, statement, parameters).result(PATIENCE)

    def begin(self) -> None:
        """Open a transaction: from now on what this session locks stays locked."""
        self.execute("BEGIN")

    def lock_room(self, room_id: int) -> None:
        """Open a transaction and lock a room as every writer does."""
        self.begin()
        self.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room_id])

    def commit(self) -> None:
        """End the transaction, and let go of its locks."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, and let go of its locks."""
        self.execute("ROLLBACK")

    def close(self) -> None:
        """End the session, whatever it waits for."""
        self.connection.cancel_safe()
        self._thread.shutdown(wait=True)
        self.connection.close()


def wait_until_waiting(observer: psycopg.Connection[dict[str, Any]], count: int = 1) -> None:
    """Return as soon as this many sessions of the database wait for a lock."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        (row,) = observer.execute(
            "SELECT count(*) AS waiting FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if row["waiting"] >= count:
            return
        time.sleep(0.002)
    raise TimeoutError(f"Fewer than {count} sessions ever waited for a lock.")


def run_at_once(action: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Run the action for each item in a thread of its own, all from one moment on."""
    start = Barrier(len(items))

    def run(item: Item) -> Result:
        start.wait(PATIENCE)
        return action(item)

    with ThreadPoolExecutor(max_workers=len(items)) as threads:
        return list(threads.map(run, items))
