"""Draining `chat_outbox`, as Centrifugo's PostgreSQL consumer drains it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, IsolationLevel

from embedded.gateway.dispatch import Dispatcher
from embedded.gateway.limits import Limits

# A dead server or network is noticed in seconds, and not after the kernel's two hours.
CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "besedka-gateway",
    # PostgreSQL ends the transaction of a dead gateway, and with it the partition's lock.
    "options": "-c idle_in_transaction_session_timeout=15s",
}
# The partitions share them: a laptop does not need one connection per partition.
MAX_CONNECTIONS = 3
FIRST_BACKOFF = 0.01
MAX_BACKOFF = 5.0

# The lock of a Centrifugo consumer named "outbox", so only one of them drains a partition.
LOCK: LiteralString = """
    SELECT pg_try_advisory_xact_lock(
        hashtext('centrifugo_partition_lock_outbox' || %s::integer::text))
"""
SELECT: LiteralString = """
    SELECT id, method, payload::text FROM chat_outbox
    WHERE partition = %s ORDER BY id LIMIT %s
"""
DELETE: LiteralString = "DELETE FROM chat_outbox WHERE id = ANY(%s)"
# One statement for all partitions: an idle gateway runs nothing else.
FIND_WAITING: LiteralString = """
    SELECT partition FROM generate_series(0, %s::integer - 1) AS partition
    WHERE EXISTS (SELECT FROM chat_outbox WHERE chat_outbox.partition = partition.partition)
"""

T = TypeVar("T")

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
            connection = self._idle.pop() if self._idle else await self.open()
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


class OutboxDrain:
    """Dispatches every committed row at least once, the rows of a partition in id order.

    A row is deleted after it was dispatched, in the transaction that holds the partition's lock.
    After a crash in between it is dispatched again.
    """

    def __init__(self, database_url: str, dispatcher: Dispatcher, limits: Limits) -> None:
        self._connections = Connections(database_url)
        self._dispatcher = dispatcher
        self._limits = limits
        self._waiting: list[asyncio.Event] = []

    async def run(self) -> None:
        """Drain until cancelled; while the database cannot be reached, try again."""
        partitions = await _retry(self._read_partitions)
        self._waiting = [asyncio.Event() for _ in range(partitions)]
        logger.info("draining %d partitions", partitions)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_repeat(self._listen))
                tasks.create_task(_repeat(self._poll))
                for partition in range(partitions):
                    tasks.create_task(self._drain(partition))
        finally:
            await self._connections.close()

    async def _read_partitions(self) -> int:
        async with self._connections.borrow() as connection:
            cursor = await connection.execute("SELECT outbox_partitions FROM chat_installation")
            row = await cursor.fetchone()
        if row is None:
            raise psycopg.DataError("chat_installation is empty: the migrations have not run")
        return int(row[0])

    async def _drain(self, partition: int) -> None:
        process = functools.partial(self._process_once, partition)
        while True:
            await self._waiting[partition].wait()
            # Before the read, so that a row that is committed during the read sets it again.
            self._waiting[partition].clear()
            while await _retry(process) == self._limits.select_limit:
                pass

    async def _process_once(self, partition: int) -> int:
        """Dispatch and delete the oldest rows; return how many."""
        async with self._connections.borrow() as connection, connection.transaction():
            cursor = await connection.execute(LOCK, (partition,))
            lock = await cursor.fetchone()
            if lock is None or not lock[0]:
                # Another gateway or a Centrifugo drains this partition; the next poll tries again.
                return 0
            # A separate statement: its snapshot must be newer than the lock. In an older one, the
            # rows that the previous holder deleted would still be visible.
            cursor = await connection.execute(SELECT, (partition, self._limits.select_limit))
            rows = await cursor.fetchall()
            for _, method, payload in rows:
                self._dispatcher.dispatch(method, payload.encode())
                # A broadcast to a thousand channels takes long: let other tasks run in between.
                await asyncio.sleep(0)
            if rows:
                await connection.execute(DELETE, ([row[0] for row in rows],))
        return len(rows)

    async def _poll(self) -> None:
        async with self._connections.borrow() as connection:
            cursor = await connection.execute(FIND_WAITING, (len(self._waiting),))
            rows = await cursor.fetchall()
        for (partition,) in rows:
            self._waiting[partition].set()
        await asyncio.sleep(self._limits.poll_interval)

    async def _listen(self) -> None:
        async with await self._connections.open() as connection:
            await connection.execute("LISTEN chat_outbox")
            async for notification in connection.notifies():
                self._wake(notification.payload)

    def _wake(self, payload: str) -> None:
        if payload.isdecimal() and int(payload) < len(self._waiting):
            self._waiting[int(payload)].set()
        else:
            logger.error("notification for an unknown partition")


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
