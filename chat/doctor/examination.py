"""Examining a database in use: chunk by chunk, each in one short, read-only snapshot.

Nothing but a key is carried from chunk to chunk, so memory does not grow with the tables, and
vacuum is not held back.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chat.conf import BIGINT_MAX, EVENT_BYTES_MAX
from chat.doctor.catalogue import CHECKS, TABLE_ALTERED, TABLES, Check, Key, Place
from chat.doctor.expected import list_expected

# Rows of a chunk, which take a fraction of a second. An outbox row holds up to 1,000 channels.
ROWS = 50_000
ROOMS = 1_000
OUTBOX_ROWS = 1_000
ROWS_LEAST = 50
"""A chunk that a statement takes too long for is tried again with half its rows, down to this."""
STATEMENT_SECONDS = 10.0

# No write, and one core of the server. A chunk is read through its index, whatever the planner
# believes: after a restore it knows nothing, and would read and sort whole tables.
_SESSION = b"""
    SET default_transaction_read_only = on; SET lock_timeout = '2s';
    SET max_parallel_workers_per_gather = 0; SET jit = off;
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;
    SET enable_incremental_sort = off; SET enable_hashjoin = off; SET enable_mergejoin = off
"""

Findings = dict[Check, list[Place]]


class UnfinishedError(Exception):
    """The time is over, a chunk took too long, or the tables are not those of this code."""


class Examination:
    """A walk through a database, from one room on; `run` gives what is wrong as it finds it.

    `connection`: a session of its own, in autocommit; it is made read-only. `deadline`: the end, on
    the monotonic clock in seconds. `late_seconds`: how old a row of the outbox may be.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        deadline: float,
        late_seconds: float = 30.0,
        first_room: int = 1,
    ) -> None:
        connection.execute(_SESSION)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.prepare_threshold = None  # each statement is planned for its values
        self._connection = connection
        self._deadline = deadline
        self._parameters = list_expected() | {
            "late_seconds": late_seconds,
            "large_bytes": EVENT_BYTES_MAX,
            "greatest": BIGINT_MAX,
        }
        self.checked = dict.fromkeys(TABLES, 0)
        self.next_room = first_room
        """The first room that was not examined to its end."""

    def run(self) -> Iterator[tuple[Check, list[Place]]]:
        """Examine everything, and give what is wrong.

        Errors: `UnfinishedError`; the driver's.
        """
        try:
            for subject in ("server", "schema", "release", "installation"):
                found = self.examine(subject)
                yield from found.items()
                if {"migration_missing", "function_missing"} & {check.code for check in found}:
                    raise UnfinishedError("The tables were not looked at: run `migrate` first.")
            yield from self._walk("outbox", (0,), (BIGINT_MAX,), OUTBOX_ROWS)
            greatest = TABLES["listeners"].greatest
            yield from self._walk("listeners", ("",), (greatest,), ROWS)
            yield from self._walk("rooms", (self.next_room - 1,), (BIGINT_MAX,), ROOMS)
        except psycopg.errors.QueryCanceled:
            raise UnfinishedError("A chunk took too long.") from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            yield TABLE_ALTERED, [{"error": error.diag.message_primary}]
            raise UnfinishedError("The tables were not looked at.") from error

    def _walk(
        self, name: str, after: Key, end: Key, limit: int
    ) -> Iterator[tuple[Check, list[Place]]]:
        """Examine a table chunk by chunk, after one key up to another."""
        while after != end:
            try:
                rows, last = self.find_chunk(name, after, end, limit)
                found = self.examine(name, TABLES[name].bounds(after, last))
            except psycopg.errors.QueryCanceled:
                if limit // 2 < ROWS_LEAST:
                    raise
                limit //= 2
                continue
            self.checked[name] += rows
            yield from found.items()
            if name == "rooms":
                yield from self._walk_rooms(after[0], last[0])
            after = last

    def _walk_rooms(self, after: int, last: int) -> Iterator[tuple[Check, list[Place]]]:
        """Examine what rooms hold: those after one id up to another, whether they exist or not."""
        for name in ("members", "messages", "events"):
            greatest = TABLES[name].greatest
            yield from self._walk(name, (after, greatest), (last, greatest), ROWS)
        self.next_room = last + 1

    def find_chunk(self, name: str, after: Key, end: Key, limit: int) -> tuple[int, Key]:
        """Return how many rows come next, at most `limit`, and the last key of their chunk.

        The last chunk goes up to `end`, so that it holds also what is written meanwhile.
        """
        table = TABLES[name]
        bounds = table.bounds(after, end) | {"skipped": limit - 1}
        select = table.select(", ".join(table.key))
        if rows := self._run(f"{select} OFFSET %(skipped)s LIMIT 1", bounds):
            return limit, tuple(rows[0].values())
        (row,) = self._run(f"SELECT count(*) FROM ({select})", bounds)  # noqa: S608 - names of ours
        return row["count"], end

    def examine(self, subject: str, bounds: dict[str, Any] | None = None) -> Findings:
        """Return what is wrong in one snapshot and also in a second, later one."""
        parameters = self._parameters | (bounds or {})
        found = self._look(CHECKS[subject], parameters)
        return self._look(found, parameters) if found else found

    def _look(self, checks: Iterable[Check], parameters: Mapping[str, Any]) -> Findings:
        with self._connection.transaction():
            found: Findings = {check: self._run(check.sql, parameters) for check in checks}
        return {check: places for check, places in found.items() if places}

    def _run(self, sql: str, parameters: Mapping[str, Any]) -> list[Place]:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise UnfinishedError("The time is over.")
        milliseconds = max(1, int(min(left, STATEMENT_SECONDS) * 1000))
        self._connection.execute(f"SET statement_timeout = {milliseconds}".encode())
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(sql.encode(), parameters).fetchall()
