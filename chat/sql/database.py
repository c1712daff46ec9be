"""Runs calls: the API's pool of connections, and any open connection for everyone else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from django.db import connections
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from chat.errors import ChatError, DatabaseUnavailableError, RoomBusyError
from chat.sql import Call, Row

# How long a request may wait, in seconds: for a connection, and in milliseconds for a lock and for
# one statement. A request that cannot be served in time answers 503 instead of hanging.
POOL_TIMEOUT_SECONDS = 3.0
CONNECT_TIMEOUT_SECONDS = 3
# A statement can wait for a lock twice, for its place in the queue and for the holder, so this is
# half of the two seconds that a request may wait for a room.
LOCK_TIMEOUT_MS = 1000
STATEMENT_TIMEOUT_MS = 5000

_SESSION_OPTIONS = (
    f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS} "
    "-c default_transaction_isolation=read\\ committed "
    "-c idle_in_transaction_session_timeout=10000"
)


def _as_chat_error(error: psycopg.Error) -> ChatError | None:
    """Return what a driver error means to a caller, or None for a defect of ours."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return RoomBusyError()
    if isinstance(
        error,
        (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction, PoolTimeout),
    ):
        # Refused, terminated, timed out, disk full, read-only: nothing a caller could mend.
        return DatabaseUnavailableError()
    return None


class _UnsentError(psycopg.OperationalError):
    """The connection was dead before anything was sent on it."""


async def _require_alive(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raise `_UnsentError` for a dead connection, while trying again is still safe."""
    try:
        await AsyncConnectionPool.check_connection(connection)
    except psycopg.OperationalError as error:
        raise _UnsentError(str(error)) from error


class Database:
    """The API's way to PostgreSQL: each call is one statement, one transaction, one round trip."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def fetch_all(self, call: Call[Row]) -> list[Row]:
        """Run the call and return its rows.

        A call that may be repeated is run once more when its connection turned out to be dead:
        after a restart of PostgreSQL each pooled connection fails once, and no request should.

        Errors: `RoomBusyError`, `DatabaseUnavailableError`.
        """
        try:
            return await self._run_again_if_lost(call)
        except psycopg.Error as error:
            meaning = _as_chat_error(error)
            if meaning is None:
                raise
            raise meaning from error

    async def fetch_one(self, call: Call[Row]) -> Row:
        """Run a call that has exactly one row and return it."""
        (row,) = await self.fetch_all(call)
        return row

    def read_statistics(self) -> dict[str, int]:
        """Return the pool's counters as psycopg_pool names them."""
        return self._pool.get_stats()

    async def _run_again_if_lost(self, call: Call[Row]) -> list[Row]:
        try:
            return await self._run(call)
        except psycopg.OperationalError as error:
            is_safe = call.is_repeatable or isinstance(error, _UnsentError)
            if not is_safe or not self._is_connection_lost(error):
                raise
            await self._pool.check()
            return await self._run(call)

    async def _run(self, call: Call[Row]) -> list[Row]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(call.row)) as cursor,
        ):
            if not call.is_repeatable:
                await _require_alive(connection)
            # None leaves it to psycopg, which prepares what is run often.
            prepare = None if call.is_prepared else False
            await cursor.execute(call.statement.encode(), call.parameters, prepare=prepare)
            return await cursor.fetchall()

    @staticmethod
    def _is_connection_lost(error: psycopg.OperationalError) -> bool:
        """Whether the server or the network ended the session, so that a new one may do better."""
        if isinstance(error, (PoolTimeout, psycopg.errors.QueryCanceled)):
            return False
        # No SQLSTATE: the socket broke. 08: connection exceptions. 57: terminated, shut down.
        return error.sqlstate is None or error.sqlstate[:2] in {"08", "57"}


@asynccontextmanager
async def open_database(url: str, pool_size: int) -> AsyncIterator[Database]:
    """Offer a `Database` on a pool of up to `pool_size` connections.

    The pool fills in the background: a service that starts before its database comes up as not
    ready, and becomes ready by itself.
    """
    pool = AsyncConnectionPool(
        url,
        min_size=min(2, pool_size),
        max_size=pool_size,
        timeout=POOL_TIMEOUT_SECONDS,
        max_waiting=pool_size * 50,
        reconnect_timeout=30,
        open=False,
        name="api",
        kwargs={
            "autocommit": True,
            "application_name": "besedka-api",
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": _SESSION_OPTIONS,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            # Keepalives are not sent while an answer to sent data is awaited.
            "tcp_user_timeout": 10_000,
        },
    )
    await pool.open(wait=False)
    try:
        yield Database(pool)
    finally:
        # Bounded: a connection stuck in a dead network must not hold the process.
        await asyncio.wait_for(pool.close(), timeout=5)


def run_call_in_django(call: Call[Row], using: str = "default") -> list[Row]:
    """Run the call on Django's connection, inside the `atomic` block that may be open."""
    connection = connections[using]
    connection.ensure_connection()
    return run_call(connection.connection, call)


def run_call(connection: psycopg.Connection[Any], call: Call[Row]) -> list[Row]:
    """Run the call on an open connection, inside whatever transaction is open there.

    For the admin, commands and the host's own code. Errors are the driver's.
    """
    with connection.cursor(row_factory=class_row(call.row)) as cursor:
        return cursor.execute(call.statement.encode(), call.parameters).fetchall()
