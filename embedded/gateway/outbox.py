"""Draining `chat_outbox`, as Centrifugo's PostgreSQL consumer drains it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import psycopg

from embedded.gateway.dispatch import Dispatcher
from embedded.gateway.limits import Limits
from embedded.gateway.link import Link, Row
from embedded.gateway.outgoing import WRITE_AT

# A stuck transaction keeps its partitions to itself, and the others go on in the next connection.
MAX_CONNECTIONS = 3
# Partitions whose rows come during a transaction wait this long for its end, so that one
# transaction serves many partitions: a transaction costs as much as five rows.
PATIENCE = 0.005
# Other tasks run at least this often, in seconds: a broadcast to thousands of channels takes long.
STEP = 0.001
FIRST_BACKOFF = 0.01
MAX_BACKOFF = 5.0

# The locks are those of a Centrifugo consumer named "outbox", so only one server drains a
# partition. What could be locked is left for `read_rows` in a setting, because a statement sent
# together with another cannot use its result.
PREPARE = b"""
    PREPARE lock_partitions (integer[]) AS
        SELECT set_config('besedka.locked', coalesce(array_agg(p)::text, '{}'), true)
        FROM unnest($1) AS p
        WHERE pg_try_advisory_xact_lock(hashtext('centrifugo_partition_lock_outbox' || p::text));
    PREPARE read_rows (integer) AS
        SELECT o.id, o.partition, o.method, o.payload::text
        FROM unnest(current_setting('besedka.locked')::integer[]) AS p
        CROSS JOIN LATERAL (
            SELECT * FROM chat_outbox WHERE partition = p ORDER BY id LIMIT $1) AS o
        ORDER BY p, o.id;
    PREPARE delete_rows (bigint[]) AS DELETE FROM chat_outbox WHERE id = ANY($1);
    PREPARE find_waiting (integer) AS
        SELECT p FROM generate_series(0, $1 - 1) AS p
        WHERE EXISTS (SELECT FROM chat_outbox WHERE partition = p);
"""
# In one message, but each statement has a snapshot of its own. That of the rows must be newer than
# the locks: in an older one, the rows that the previous holder deleted would still be visible.
READ = (
    b"BEGIN ISOLATION LEVEL READ COMMITTED; EXECUTE lock_partitions('{%b}'); EXECUTE read_rows(%d)"
)
DELETE = b"EXECUTE delete_rows('{%b}')"
# One statement for all partitions: an idle gateway runs nothing else.
FIND_WAITING = b"EXECUTE find_waiting(%d)"

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Connections:
    """At most three connections, opened when needed; a broken one is not used again."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[Link] = []

    @contextlib.asynccontextmanager
    async def borrow(self) -> AsyncIterator[Link]:
        """Give a connection, and keep it for the next use unless this one fails."""
        async with self._free:
            link = self._idle.pop() if self._idle else await self._open()
            try:
                yield link
            except BaseException:
                await link.close()
                raise
            self._idle.append(link)

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _open(self) -> Link:
        link = await Link.connect(self._database_url)
        try:
            await link.execute(PREPARE)
        except BaseException:
            await link.close()
            raise
        return link


class OutboxDrain:
    """Dispatches every committed row at least once, the rows of a partition in id order.

    A row is deleted after it was dispatched, in the transaction that holds the partition's lock.
    After a crash in between it is dispatched again.
    """

    def __init__(self, database_url: str, dispatcher: Dispatcher, limits: Limits) -> None:
        self._database_url = database_url
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
                        drains = [
                            tasks.create_task(self._drain(group))
                            for group in self._divide(partitions)
                        ]
                        await asyncio.wait(drains, timeout=PATIENCE)
        finally:
            await self._connections.close()

    def _divide(self, partitions: set[int]) -> list[set[int]]:
        """Put the partitions of large rooms, the last quarter, into a transaction of their own."""
        first_large = self._partitions - self._partitions // 4
        large = {partition for partition in partitions if partition >= first_large}
        return [group for group in (partitions - large, large) if group]

    async def _read_partitions(self) -> int:
        async with Link.open(self._database_url) as link:
            rows = await link.execute(b"SELECT outbox_partitions FROM chat_installation")
        if not rows:
            raise psycopg.DataError("chat_installation is empty: the migrations have not run")
        return int(rows[0][0])

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
        async with self._connections.borrow() as link:
            names = b",".join(b"%d" % partition for partition in partitions)
            # Another gateway or a Centrifugo drains the partitions that could not be locked; the
            # next poll tries again.
            rows = await link.execute(READ % (names, self._limits.select_limit))
            if rows:
                await self._dispatch(rows)
                await link.execute(DELETE % b",".join(row[0] for row in rows))
            # By itself: a gateway that is killed while its deletion waits must not commit it.
            await link.execute(b"COMMIT")
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
        async with self._connections.borrow() as link:
            rows = await link.execute(FIND_WAITING % self._partitions)
        for (partition,) in rows:
            self._wake(int(partition))
        await asyncio.sleep(self._limits.poll_interval)

    async def _listen(self) -> None:
        async with Link.open(self._database_url) as link:
            await link.execute(b"LISTEN chat_outbox")
            while True:
                for payload in await link.wait_notified():
                    self._wake_named(payload)
                await asyncio.sleep(self._limits.drain_interval)

    def _wake_named(self, payload: bytes) -> None:
        if payload.isdigit() and int(payload) < self._partitions:
            self._wake(int(payload))
        else:
            logger.error("notification for an unknown partition")

    def _wake(self, partition: int) -> None:
        self._waiting.add(partition)
        self._changed.set()


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
