"""Examining a database that is in use: each chunk is one statement, so one snapshot, and short.

Nothing is held between chunks but the place where the next one begins, so the memory does not grow
with the tables and vacuum is not held back.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
import psycopg

from chat.conf import BIGINT_MAX, EVENT_BYTES_MAX
from chat.queries.findings import Found, Place
from chat.queries.readiness import ReadinessRow, read_readiness
from chat.queries.schema import (
    find_missing_migrations,
    find_wrong_functions,
    find_wrong_schema,
    read_functions,
    read_schema,
)
from chat.sql import Call, Row
from chat.sql.database import run_call

# Rows a chunk reads: a fraction of a second each. An outbox row holds up to 1,000 channels.
ROWS = 50_000
ROOMS = 1_000
OUTBOX_ROWS = 1_000
ROWS_LEAST = 50
"""A chunk that took too long is tried with half as many rows, down to this."""
CHUNK_SECONDS = 10.0

Position = Mapping[str, Any]


class ServerRow(msgspec.Struct, frozen=True):
    """What a new session finds; the settings as `name = value`."""

    is_in_recovery: bool
    is_read_only: bool
    unsafe_settings: list[str]


class CheckRow(msgspec.Struct, frozen=True):
    """One code found in a chunk, or nulls where nothing was; how far the chunk went."""

    code: str | None
    count: int | None
    places: list[Place] | None
    rows: int
    position: Position | None


class UnfinishedError(Exception):
    """The time is over, or a chunk of the fewest rows took too long."""


def check_server() -> Call[ServerRow]:
    """Ask what the promises rest on below the tables."""
    return Call("check_server", ServerRow, {})


def check_installation() -> Call[CheckRow]:
    """Look at the installation's row and at the sequences."""
    return Call("check_installation", CheckRow, {})


def check_outbox(
    position: Position, limit: int, *, late_seconds: float, places: int
) -> Call[CheckRow]:
    """Look at up to `limit` rows of the outbox after the id of `position`."""
    return Call(
        "check_outbox",
        CheckRow,
        {
            "id": position["id"],
            "limit": limit,
            "late_seconds": late_seconds,
            "large_bytes": EVENT_BYTES_MAX,
            "places": places,
        },
    )


def check_rooms(position: Position, limit: int, *, places: int) -> Call[CheckRow]:
    """Look at the counters of up to `limit` rooms after one."""
    return Call(
        "check_rooms",
        CheckRow,
        {"room_id": position["room_id"], "limit": limit, "places": places},
    )


def check_members(position: Position, limit: int, *, last_room: int, places: int) -> Call[CheckRow]:
    """Look at up to `limit` members after one, up to the room `last_room`."""
    return Call(
        "check_members",
        CheckRow,
        {
            "room_id": position["room_id"],
            "user_id": position["user_id"],
            "last_room": last_room,
            "limit": limit,
            "places": places,
        },
    )


def check_messages(
    position: Position, limit: int, *, last_room: int, places: int
) -> Call[CheckRow]:
    """Look at up to `limit` messages after one, up to the room `last_room`."""
    return Call(
        "check_messages",
        CheckRow,
        {
            "room_id": position["room_id"],
            "seq": position["seq"],
            "id": position["id"],
            "last_room": last_room,
            "limit": limit,
            "places": places,
        },
    )


def check_events(position: Position, limit: int, *, last_room: int, places: int) -> Call[CheckRow]:
    """Look at up to `limit` events after one, up to the room `last_room`.

    The position's `seq` is that of the last message told in its room; null where nothing is known.
    """
    return Call(
        "check_events",
        CheckRow,
        {
            "room_id": position["room_id"],
            "version": position["version"],
            "seq": position["seq"],
            "last_room": last_room,
            "limit": limit,
            "places": places,
        },
    )


class Examination:
    """A walk through a database; `run` gives what is wrong as it finds it.

    `connection`: a session of its own, in autocommit; it is made read-only. `deadline`: the end, on
    the monotonic clock in seconds. `late_seconds`: how old a row of the outbox may be.
    `places`: how many places a chunk names for each code.

    Errors: `UnfinishedError`; the driver's.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        *,
        deadline: float,
        late_seconds: float,
        places: int,
    ) -> None:
        self._connection = connection
        self._deadline = deadline
        self._late_seconds = late_seconds
        self._places = places
        self.checked = dict.fromkeys(("outbox", "rooms", "members", "messages", "events"), 0)
        self.is_sound = True
        """Whether the tables and functions are there that the rest of the walk needs."""
        self.next_room = 0
        """The first room that was not examined to its end."""
        # Plans for the values at hand, one core of the server, and for certain no write.
        connection.prepare_threshold = None
        connection.execute(
            "SET default_transaction_read_only = on; SET max_parallel_workers_per_gather = 0;"
            "SET jit = off; SET lock_timeout = '2s'"
        )
        # Each chunk goes through its index in order, whatever the planner believes of the tables:
        # after a restore it knows nothing, and would read and sort a whole room for each chunk.
        connection.execute(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;"
            "SET enable_incremental_sort = off"
        )

    def check_foundations(self) -> Iterator[Found]:
        """Look at the server, the migrations, the functions and the schema."""
        (server,) = self._run(check_server())
        if server.is_in_recovery:
            yield Found("database_in_recovery", 1, [])
        if server.is_read_only:
            yield Found("database_read_only", 1, [])
        if unsafe := server.unsafe_settings:
            yield Found("setting_unsafe", len(unsafe), [{"setting": text} for text in unsafe])
        lost, wrong = self._find_stale()
        if lost or wrong:
            # Seen once more, so a release that was being installed meanwhile is no finding.
            lost, wrong = self._find_stale()
        yield from lost
        yield from wrong
        self.is_sound = not lost and all(found.code != "function_missing" for found in wrong)
        yield from find_wrong_schema(self._run(read_schema()))

    def _find_stale(self) -> tuple[list[Found], list[Found]]:
        """Return the migrations and the functions that are not as this code has them."""
        try:
            (readiness,) = self._run(read_readiness())
        except psycopg.errors.UndefinedTable as error:
            if "django_migrations" not in str(error):
                raise
            # Nothing was ever migrated.
            readiness = ReadinessRow([], fingerprint=None, outbox_age=None, is_writable=True)
        functions = self._run(read_functions())
        return (
            list(find_missing_migrations(readiness.migrations)),
            list(find_wrong_functions(functions, readiness.fingerprint)),
        )

    def check_queue(self) -> Iterator[Found]:
        """Look at the installation's row, the sequences and the whole outbox."""
        yield from _read_found(self._look(lambda _: check_installation(), ROWS_LEAST)[0])
        yield from self._walk(
            "outbox",
            partial(check_outbox, late_seconds=self._late_seconds, places=self._places),
            {"id": 0},
            OUTBOX_ROWS,
        )

    def check_rooms(self, first_room: int) -> Iterator[Found]:
        """Look at the rooms from an id on with what they hold, one stretch of them after the other.

        `next_room` rises with each stretch.
        """
        room_id, limit = first_room - 1, ROOMS
        while room_id < BIGINT_MAX:
            build = partial(check_rooms, {"room_id": room_id}, places=self._places)
            rows, limit = self._look(build, limit)
            yield from _read_found(rows)
            position = rows[0].position or {}
            # After the last room: what may refer to rooms that are not there.
            last_room = position.get("room_id") or BIGINT_MAX
            self.checked["rooms"] += rows[0].rows
            yield from self._check_contents(room_id, last_room)
            room_id = last_room
            self.next_room = room_id + 1

    def _check_contents(self, after_room: int, last_room: int) -> Iterator[Found]:
        bounds: dict[str, Any] = {"last_room": last_room, "places": self._places}
        end_of_room = {"room_id": after_room, "seq": BIGINT_MAX, "id": 0}
        yield from self._walk(
            "members",
            partial(check_members, **bounds),
            # No user id is empty, so all of the next room's are greater.
            {"room_id": after_room + 1, "user_id": ""},
            ROWS,
        )
        yield from self._walk("messages", partial(check_messages, **bounds), end_of_room, ROWS)
        yield from self._walk(
            "events",
            partial(check_events, **bounds),
            {"room_id": after_room, "version": BIGINT_MAX, "seq": None},
            ROWS,
        )

    def _walk(
        self,
        name: str,
        build: Callable[[Position, int], Call[CheckRow]],
        position: Position,
        limit: int,
    ) -> Iterator[Found]:
        """Look at a table chunk by chunk, each beginning where the one before ended."""
        is_full = True
        while is_full:
            rows, limit = self._look(partial(build, position), limit)
            yield from _read_found(rows)
            self.checked[name] += rows[0].rows
            is_full = rows[0].rows == limit
            position = rows[0].position or position

    def _look(
        self, build: Callable[[int], Call[CheckRow]], limit: int
    ) -> tuple[list[CheckRow], int]:
        """Look at a chunk, and once more where something was wrong; return it and its limit.

        The second look is of a later snapshot: what it does not see again is not reported.
        """
        while True:
            try:
                rows = self._run(build(limit))
                if any(row.code for row in rows):
                    rows = self._run(build(limit))
            except psycopg.errors.QueryCanceled:
                if limit // 2 < ROWS_LEAST or self._is_over():
                    why = "The time is over." if self._is_over() else "A chunk took too long."
                    raise UnfinishedError(why) from None
                limit //= 2
            else:
                return rows, limit

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline

    def _run(self, call: Call[Row]) -> list[Row]:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise UnfinishedError("The time is over.")
        milliseconds = max(1, int(min(left, CHUNK_SECONDS) * 1000))
        self._connection.execute(f"SET statement_timeout = {milliseconds}".encode())
        return run_call(self._connection, call)


def _read_found(rows: list[CheckRow]) -> Iterator[Found]:
    for row in rows:
        if row.code is not None:
            yield Found(row.code, row.count or 0, row.places or [])
