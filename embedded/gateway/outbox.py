"""Draining `chat_outbox`, as Centrifugo's PostgreSQL consumer drains it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor, IsolationLevel

from embedded.gateway.dispatch import Dispatcher
from embedded.gateway.limits import Limits
from embedded.gateway.outgoing import WRITE_AT

# A dead server or network is noticed in seconds, and not after the kernel's two hours.
CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "besedka-gateway",
    # PostgreSQL ends the transaction of a dead gateway, and with it the locks of its partitions.
    # Plans are made while the outbox is empty and must also be right when it is not.
    "options": "-c idle_in_transaction_session_timeout=15s"
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off",
    # The statements are prepared below, by name.
    "prepare_threshold": None,
}
# A stuck transaction keeps its partitions to itself, and the others go on in the next connection.
MAX_CONNECTIONS = 3
# Partitions whose rows come during a transaction wait this long for its end, so that one
# transaction serves many partitions: a transaction costs as much as five rows.
PATIENCE = 0.02
# Other tasks run at least this often, in seconds: a broadcast to thousands of channels takes long.
STEP = 0.001
FIRST_BACKOFF = 0.01
MAX_BACKOFF = 5.0

# The locks are those of a Centrifugo consumer named "outbox", so only one server drains a
# partition. What could be locked is left for `read_rows` in a setting, because a statement sent
# together with another cannot use its result.
PREPARE: LiteralString = """
    PREPARE lock_partitions (integer[]) AS
        SELECT set_config('besedka.locked', coalesce(array_agg(p)::text, '{}'), true)
        FROM unnest($1) AS p
        WHERE pg_try_advisory_xact_lock(hashtext('centrifugo_partition_lock_outbox' || p::text));
    PREPARE read_rows (integer) AS
        SELECT o.id, o.partition, o.method, o.payload::text
        FROM unnest(current_setting('besedka.locked')::integer[]) AS p
        CROSS JOIN LATERAL (
            SELECT * FROM chat_outbox WHERE partition = p ORDER BY id LIMIT $1) AS o
        ORDER BY o.id;
    PREPARE delete_rows (bigint[]) AS DELETE FROM chat_outbox WHERE id = ANY($1);
    PREPARE find_waiting (integer) AS
        SELECT p FROM generate_series(0, $1 - 1) AS p
        WHERE EXISTS (SELECT FROM chat_outbox WHERE partition = p);
"""
# In one message, but each statement has a snapshot of its own. That of the rows must be newer than
# the locks: in an older one, the rows that the previous holder deleted would still be visible.
READ = b"BEGIN; EXECUTE lock_partitions('{%b}'); EXECUTE read_rows(%d)"
DELETE = b"EXECUTE delete_rows('{%b}')"
# One statement for all partitions: an idle gateway runs nothing else.
FIND_WAITING = b"EXECUTE find_waiting(%d)"

T = TypeVar("T")
Row = tuple[bytes, ...]

logger = logging.getLogger(__name__)


class Connections:
    """At most three connections, opened when needed; a broken one is not used again."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[AsyncConnection] = []

    async def open(self) -> AsyncConnection:
        """Open a connection outside the pool."""
        connection = await AsyncConnection.connect(
            self._database_url, autocommit=True, **CONNECT_OPTIONS
        )
        await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        return connection

    @contextlib.asynccontextmanager
    async def borrow(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection, and keep it for the next use unless this one fails."""
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._open_prepared()
            try:
                yield connection
            except BaseException:
                await connection.close()
                raise
            self._idle.append(connection)

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _open_prepared(self) -> AsyncConnection:
        connection = await self.open()
        try:
            await connection.execute(PREPARE)
        except BaseException:
            await connection.close()
            raise
        return connection


class OutboxDrain:
    """Dispatches every committed row at least once, the rows of a partition in id order.

    A row is deleted after it was dispatched, in the transaction that holds the partition's lock.
    After a crash in between it is dispatched again.
    """

    def __init__(self, database_url: str, dispatcher: Dispatcher, limits: Limits) -> None:
        self._connections = Connections(database_url)
        self._dispatcher = dispatcher
        self._limits = limits
        self._partitions = 0
        self._waiting: set[int] = set()
        """Partitions that have rows, as far as is known."""
        self._taken: set[int] = set()
        """Partitions of the transactions that run."""
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Drain until cancelled; while the database cannot be reached, try again."""
        self._partitions = await _retry(self._read_partitions)
        logger.info("draining %d partitions", self._partitions)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_repeat(self._listen))
                tasks.create_task(_repeat(self._poll))
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    if partitions := self._waiting - self._taken:
                        drain = tasks.create_task(self._drain(partitions))
                        await asyncio.wait([drain], timeout=PATIENCE)
        finally:
            await self._connections.close()

    async def _read_partitions(self) -> int:
        async with await self._connections.open() as connection:
            cursor = await connection.execute("SELECT outbox_partitions FROM chat_installation")
            row = await cursor.fetchone()
        if row is None:
            raise psycopg.DataError("chat_installation is empty: the migrations have not run")
        return int(row[0])

    async def _drain(self, partitions: set[int]) -> None:
        self._taken |= partitions
        # Before the read, so that a row that is committed during the read adds it again.
        self._waiting -= partitions
        more = await _retry(functools.partial(self._process, partitions))
        self._taken -= partitions
        self._waiting |= more
        self._changed.set()

    async def _process(self, partitions: set[int]) -> set[int]:
        """Dispatch and delete the oldest rows of partitions; return those that may have more."""
        async with self._connections.borrow() as connection:
            names = b",".join(b"%d" % partition for partition in partitions)
            cursor = await connection.execute(READ % (names, self._limits.select_limit))
            # Another gateway or a Centrifugo drains the partitions that could not be locked; the
            # next poll tries again.
            rows = _last_result(cursor)
            if not rows:
                await connection.execute("COMMIT")
                return set()
            await self._dispatch(rows)
            await connection.execute(DELETE % b",".join(row[0] for row in rows))
            await connection.execute("COMMIT")
        found = Counter(int(row[1]) for row in rows)
        return {name for name, count in found.items() if count == self._limits.select_limit}

    async def _dispatch(self, rows: list[Row]) -> None:
        until = time.monotonic() + STEP
        size = 0
        for _, _, method, payload in rows:
            self._dispatcher.dispatch(method.decode(), payload)
            size += len(payload)
            if size > WRITE_AT or time.monotonic() > until:
                # A client that reads is given the time to: what it has not read is limited.
                await asyncio.sleep(0)
                until = time.monotonic() + STEP
                size = 0

    async def _poll(self) -> None:
        async with self._connections.borrow() as connection:
            cursor = await connection.execute(FIND_WAITING % self._partitions)
            rows = await cursor.fetchall()
        for (partition,) in rows:
            self._wake(partition)
        await asyncio.sleep(self._limits.poll_interval)

    async def _listen(self) -> None:
        async with await self._connections.open() as connection:
            await connection.execute("LISTEN chat_outbox")
            while True:
                # One, and those that came with it.
                async for notification in connection.notifies(stop_after=1):
                    self._wake_named(notification.payload)
                await asyncio.sleep(self._limits.drain_interval)

    def _wake_named(self, payload: str) -> None:
        if payload.isdecimal() and int(payload) < self._partitions:
            self._wake(int(payload))
        else:
            logger.error("notification for an unknown partition")

    def _wake(self, partition: int) -> None:
        self._waiting.add(partition)
        self._changed.set()


def _last_result(cursor: AsyncCursor) -> list[Row]:
    """Return the rows of the last statement as PostgreSQL sent them: nothing is converted twice."""
    while cursor.nextset():
        pass
    result = cursor.pgresult
    if result is None:
        return []
    columns = range(result.nfields)
    return [
        tuple(result.get_value(row, column) or b"" for column in columns)
        for row in range(result.ntuples)
    ]


async def _repeat(step: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _retry(step)


async def _retry(step: Callable[[], Awaitable[T]]) -> T:
    """Repeat until it succeeds, with waits that double up to `MAX_BACKOFF`."""
    backoff = FIRST_BACKOFF
    while True:
        started = time.monotonic()
        try:
            return await step()
        except (psycopg.Error, OSError) as error:
            logger.error("database: %s", str(error).strip() or type(error).__name__)  # noqa: TRY400
        if time.monotonic() - started > MAX_BACKOFF:
            # It worked until now, so this is a new outage.
            backoff = FIRST_BACKOFF
        await asyncio.sleep(backoff)
        backoff = min(backoff * 2, MAX_BACKOFF)
