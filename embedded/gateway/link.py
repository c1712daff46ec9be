"""Connections to PostgreSQL whose statements and results stay bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

# A dead server or network is noticed in seconds, and not after the kernel's two hours.
CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "besedka-gateway",
    "client_encoding": "utf8",
    # PostgreSQL ends the transaction of a dead gateway, and with it the locks of its partitions.
    # Plans are made while the outbox is empty and must also be right when it is not.
    "options": "-c idle_in_transaction_session_timeout=15s"
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off",
}

LOOK_SECONDS = 0.25
"""How often a connection looks for what it was not notified of: uvloop stops watching a socket that
was reset, as when a session ends without reading a statement, and does not say so."""

Row = tuple[bytes, ...]


class Link:
    """Runs one statement after another, and collects notifications.

    psycopg connects. Its cursors serve any statement; for the few of a drain they cost four times
    as much as this.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._socket = self._pgconn.socket
        self._loop = asyncio.get_running_loop()
        self._results: list[PGresult] = []
        self._waiter: asyncio.Future[None] | None = None
        self._error: psycopg.Error | None = None
        self._notifications: list[bytes] = []
        self._notified = asyncio.Event()
        self._is_reading = True
        self._loop.add_reader(self._socket, self._read)
        self._look_timer = self._loop.call_later(LOOK_SECONDS, self._look)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, database_url: str) -> AsyncIterator[Self]:
        """Connect, and close at the end of the block."""
        link = await cls.connect(database_url)
        try:
            yield link
        finally:
            await link.close()

    @classmethod
    async def connect(cls, database_url: str) -> Self:
        """Connect; the caller closes. Raises psycopg.Error."""
        connection = await AsyncConnection.connect(database_url, autocommit=True, **CONNECT_OPTIONS)
        return cls(connection)

    async def close(self) -> None:
        """Close; PostgreSQL rolls back what is open."""
        self._stop_reading()
        await self._connection.close()

    async def execute(self, statements: bytes) -> list[Row]:
        """Run statements in one round trip and return the rows of the last one.

        Raises psycopg.Error; then the connection must be closed.
        """
        self._check()
        self._results = []
        self._waiter = self._loop.create_future()
        self._pgconn.send_query(statements)
        while self._pgconn.flush():  # noqa: ASYNC110 - rare: the server has not read the start yet
            await asyncio.sleep(0)
        try:
            await self._waiter
        finally:
            self._waiter = None
        for result in self._results:
            if result.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
                raise psycopg.errors.error_from_result(result)
        return _rows(self._results[-1])

    async def wait_notified(self) -> list[bytes]:
        """Return the payloads of the notifications that have come, at least one."""
        await self._notified.wait()
        self._check()
        self._notified.clear()
        notifications, self._notifications = self._notifications, []
        return notifications

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        """Take what the server sent."""
        try:
            self._pgconn.consume_input()
            while self._waiter is not None and not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    self._end(None)
                    break
                self._results.append(result)
            while notification := self._pgconn.notifies():
                self._notifications.append(notification.extra)
                self._notified.set()
        except psycopg.Error as error:
            self._stop_reading()
            self._error = error
            self._notified.set()
            self._end(error)

    def _look(self) -> None:
        self._look_timer = self._loop.call_later(LOOK_SECONDS, self._look)
        self._read()

    def _stop_reading(self) -> None:
        # Once: libpq closes the socket of a lost connection, and another may have its number then.
        if self._is_reading:
            self._is_reading = False
            self._look_timer.cancel()
            self._loop.remove_reader(self._socket)

    def _end(self, error: psycopg.Error | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def _rows(result: PGresult) -> list[Row]:
    columns = range(result.nfields)
    return [
        tuple([result.get_value(row, column) or b"" for column in columns])
        for row in range(result.ntuples)
    ]
