"""Runs calls: the API's pool of connections, and any open connection for everyone else."""

import asyncio
import contextlib
import select
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from django.db import Error as DjangoError
from django.db import connections, transaction
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from chat.conf import compose_conninfo
from chat.sql import Call, Result
from chat.sql.bulkhead import Bulkhead
from chat.sql.errors import ROLLED_BACK, find_meaning
from chat.sql.server import describe_old_server
from chat.sql.severing import severed_at

# How long a request may take in all, in seconds: to get a connection and the answer. A database
# that is silent, frozen or behind a dead network is answered with 503 by then; no request hangs.
ANSWER_SECONDS = 4.5
# How much of that may be the wait for a connection.
POOL_TIMEOUT_SECONDS = 2.0
# A statement can wait for a lock twice, for its place in the queue and for the holder, so this is
# half of the two seconds that a request may wait for a room.
LOCK_TIMEOUT_MS = 1000
# PostgreSQL stops a statement that takes longer, and answers. Together with the longest wait for a
# connection this stays below the deadline above, which is for a silent server only.
STATEMENT_TIMEOUT_MS = 2400
# How often a transaction that PostgreSQL rolled back (a deadlock, a serialization failure) is run
# again. Nothing of it was done, so any call may be.
ROLLED_BACK_TRIES = 3
# How often a call that may be repeated is run again on another connection: when all sessions are
# ended at once, the next one may be about to end too.
LOST_TRIES = 4
# Common calls of the send queue at once. With more of them each call has fewer messages and costs
# as much: with 32 senders, one to four calls cost 0.034, 0.044, 0.056 and 0.066 ms a message.
FLIGHTS_MAX = 2
# Further ones, while those are slow.
OVERTAKING_MAX = 2
# Calls of the send queue at once that wait for a locked room.
LANES_MAX = 2

_SESSION_SETTINGS: Mapping[str, str | int] = {
    "lock_timeout": LOCK_TIMEOUT_MS,
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": 10_000,
    # A session keeps its plans, those of the checks of foreign keys too. If they were made while a
    # table was empty, they would read all of it until PostgreSQL has analyzed it again.
    "enable_seqscan": "off",
    # Planning for the values of each call takes up to three times as long as running the statement.
    # tests/gates holds these plans to their indexes.
    "plan_cache_mode": "force_generic_plan",
    # A lone change is notified of in its own transaction: see functions/events.sql.
    "besedka.notify": "lone",
}


def _is_silent(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether an idle connection has nothing to read, as it should.

    Data that a server sends unasked is nearly always the end of the session. This check costs a
    system call; a test query would cost a round trip.
    """
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


class Database:
    """The API's way to PostgreSQL: each call is one statement, one transaction, one round trip."""

    refusal: str | None = None
    """Why the server that was found last cannot be used; the pool opens no connection to it."""

    def __init__(
        self,
        pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]],
        notify: Callable[[], None] | None,
    ) -> None:
        self._pool = pool
        self._notify = notify
        # Two of five connections are never taken by calls that wait for a lock.
        self._bulkhead = Bulkhead(places=(pool.max_size + 1) // 2)

    async def require_version(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Raise `NotSupportedError` where the server is older than the functions need."""
        # The server named its version when it accepted the connection: this asks it nothing.
        self.refusal = describe_old_server(connection.info.server_version)
        if self.refusal is not None:
            raise psycopg.NotSupportedError(self.refusal)

    async def run(self, call: Call[Result], *, within: float = ANSWER_SECONDS) -> Result:
        """Run the call and return its result within so many seconds, or raise.

        It is run again where that is safe: after a deadlock always, because nothing was done; after
        a lost connection if the call is repeatable. So no request fails after a restart of
        PostgreSQL, although each pooled connection fails once.

        Errors: those of the call; `RoomBusyError`, `DatabaseUnavailableError`.
        """
        deadline = asyncio.get_running_loop().time() + within
        if call.lock is None:
            return await self._run_and_read(call, deadline)
        async with self._bulkhead.enter(call.lock):
            return await self._run_and_read(call, deadline)

    async def _run_and_read(self, call: Call[Result], deadline: float) -> Result:
        rows: list[Any] = []
        try:
            rows = await self._run_until_done(call, deadline)
        except psycopg.Error as error:
            meaning = find_meaning(error)
            if meaning is None:
                raise
            raise meaning from error
        finally:
            # Also after an error: if the connection was lost, the commit may have been made.
            if call.publishes and self._notify is not None and not call.is_notified(rows):
                self._notify()
        return call.read(rows)

    def read_statistics(self) -> dict[str, int]:
        """Return the pool's counters as psycopg_pool names them."""
        return self._pool.get_stats()

    async def _run_until_done(self, call: Call[Any], deadline: float) -> list[Any]:
        rolled_back = lost = 0
        while True:
            try:
                return await self._run(call, deadline)
            except ROLLED_BACK:
                rolled_back += 1
                if rolled_back == ROLLED_BACK_TRIES or not _has_time(deadline):
                    raise
            except psycopg.OperationalError as error:
                lost += 1
                is_safe = call.is_repeatable and _is_connection_lost(error)
                if not is_safe or lost == LOST_TRIES or not _has_time(deadline):
                    raise

    async def _run(self, call: Call[Any], deadline: float) -> list[Any]:
        connection = await self._take_connection(deadline)
        try:
            with severed_at(deadline, connection):
                async with connection.cursor(row_factory=class_row(call.row)) as cursor:
                    await cursor.execute(call.statement.encode(), call.parameters)
                    return await cursor.fetchall()
        finally:
            await self._pool.putconn(connection)

    async def _take_connection(self, deadline: float) -> psycopg.AsyncConnection[Any]:
        """Return a connection that was alive a moment ago; connections that ended are discarded."""
        now = asyncio.get_running_loop().time()
        # At most half of the time: a connection taken at the end would be severed at once.
        patience = now + min(POOL_TIMEOUT_SECONDS, (deadline - now) / 2)
        while True:
            left = patience - asyncio.get_running_loop().time()
            connection = await self._pool.getconn(timeout=max(left, 0))
            if _is_silent(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)


def _has_time(deadline: float) -> bool:
    return asyncio.get_running_loop().time() < deadline


def _is_connection_lost(error: psycopg.OperationalError) -> bool:
    """Whether the server or the network ended the session, so that a new one may do better."""
    if isinstance(error, (PoolTimeout, TooManyRequests, psycopg.errors.QueryCanceled)):
        return False
    # No SQLSTATE: the socket broke. 08: connection exceptions. 57: terminated, shut down.
    return error.sqlstate is None or error.sqlstate[:2] in {"08", "57"}


@dataclass(frozen=True, slots=True)
class Share:
    """What a send queue has of a process's connections."""

    flights: int
    """Common calls that may run at once."""
    overtaking: int
    """Further ones, while those are slow."""
    lanes: int
    """Calls that may wait for a locked room at once."""
    own: int
    """Connections that are the queue's alone, so that slow reads never hold up a send."""


def share_connections(pool_size: int) -> Share:
    """Return the queue's share of so many connections: at most six, and about half.

    Fewer than four connections are too few to be divided, or for a lane: a call that waits for a
    lock would hold up all others.
    """
    if pool_size < 4:
        return Share(flights=1, overtaking=0, lanes=0, own=0)
    own = min(pool_size // 2, FLIGHTS_MAX + OVERTAKING_MAX + LANES_MAX)
    lanes = min(LANES_MAX, own // 2)
    flights = min(FLIGHTS_MAX, own - lanes)
    return Share(flights, own - lanes - flights, lanes, own)


@asynccontextmanager
async def open_database(
    url: str,
    pool_size: int,
    session_settings: Mapping[str, str | int] | None = None,
    notify: Callable[[], None] | None = None,
    *,
    application_name: str = "besedka-api",
) -> AsyncIterator[Database]:
    """Offer a `Database` on a pool of up to `pool_size` connections.

    session_settings: settings of PostgreSQL for its sessions, besides those here. notify: is called
    after each call that can have queued events. application_name: of the sessions; those that
    answer requests have the default.

    The pool fills in the background: a service that starts before its database is not ready, and
    becomes ready by itself.
    """
    pool = AsyncConnectionPool(
        compose_conninfo(url, application_name, **_SESSION_SETTINGS, **(session_settings or {})),
        min_size=min(2, pool_size),
        max_size=pool_size,
        timeout=POOL_TIMEOUT_SECONDS,
        max_waiting=pool_size * 50,
        reconnect_timeout=30,
        open=False,
        configure=lambda connection: database.require_version(connection),  # noqa: PLW0108 - made below
        name="api",
        # Threshold 0: a statement is prepared when it is first run.
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )
    database = Database(pool, notify)
    await pool.open(wait=False)
    try:
        yield database
    finally:
        # Bounded: a connection stuck in a dead network must not hold the process.
        await asyncio.wait_for(pool.close(), timeout=5)


def run_call_in_django(call: Call[Result], using: str = "default") -> Result:
    """Run the call on Django's connection, inside the `atomic` block that may be open.

    Once that is committed, realtime is notified of the events that were queued.
    """
    connection = connections[using]
    connection.ensure_connection()
    result = run_call(connection.connection, call)
    if call.publishes:
        # Outside a transaction the call is committed by now, and this runs at once.
        transaction.on_commit(partial(_notify_in_django, using), using=using)
    return result


def _notify_in_django(using: str) -> None:
    # What was done is committed. If this fails, realtime finds the events at its next poll.
    with contextlib.suppress(DjangoError), connections[using].cursor() as cursor:
        cursor.execute("SELECT chat.notify_outbox()")


def run_call(connection: psycopg.Connection[Any], call: Call[Result]) -> Result:
    """Run the call on an open connection, inside the transaction that may be open there.

    For the host's own code, which calls `chat.notify_outbox()` after its commit. Errors: those of
    the call, and the driver's.
    """
    with connection.cursor(row_factory=class_row(call.row)) as cursor:
        return call.read(cursor.execute(call.statement.encode(), call.parameters).fetchall())
