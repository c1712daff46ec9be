"""Notifies realtime of queued events, after the commit and on a connection of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog

from chat.conf import compose_conninfo
from chat.sql.severing import sever, severed_at

# From a change to the notification that it shares with others, in seconds. Realtime then drains the
# events of several calls together. A lone change is notified of by its own commit.
SHARED_SECONDS = 0.01
# Rows that are younger may be on their way; the next notification finds those that are not.
YOUNG_SECONDS = 0.005
NOTIFY = b"SELECT chat.notify_waiting(%d)" % (YOUNG_SECONDS * 1000)
log = structlog.get_logger(__name__)

# Between attempts to connect. Meanwhile events are sent with the delay of realtime's poll.
RETRY_SECONDS = 1.0
# How long one notification may take. After that its connection is given up.
NOTIFY_SECONDS = 5.0
# How long the last notification of a process may take.
END_SECONDS = 1.0


class Notifier:
    """Notifies realtime soon after each change that was committed.

    All changes of a hundredth of a second share one, however many there are, and nothing waits for
    it. Where it fails, the poll of realtime finds the events, at most `partition_poll_interval`
    later.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._due = asyncio.Event()
        self._changed_at = 0.0
        self._ending = asyncio.Event()
        self._is_failing = False

    def notify(self) -> None:
        """Notify soon: a transaction has ended that may have queued events."""
        self._changed_at = asyncio.get_running_loop().time()
        self._due.set()

    async def run(self) -> None:
        """Notify until `end` is called, and then once more."""
        while not self._ending.is_set() or self._due.is_set():
            await self._due.wait()
            await asyncio.sleep(SHARED_SECONDS)
            if asyncio.get_running_loop().time() >= self._changed_at + YOUNG_SECONDS:
                self._due.clear()
            try:
                await self._notify()
            except Exception as error:  # noqa: BLE001 - any error; without this all later events are late
                self._warn(error)
                await self._close()
                if await self._is_ending_within(RETRY_SECONDS):
                    break
                self._due.set()
            else:
                self._is_failing = False
        await self._close()

    def _warn(self, error: Exception) -> None:
        """Log the first failure of several: until it works again, events are late."""
        if not self._is_failing:
            log.warning("notification_failed", error=str(error) or type(error).__name__)
        self._is_failing = True

    async def end(self, running: asyncio.Task[None]) -> None:
        """Let `run` end. Where the database does not answer, its last notification is dropped."""
        self._ending.set()
        self._due.set()
        _, unfinished = await asyncio.wait([running], timeout=END_SECONDS)
        if unfinished:
            if self._connection is not None:
                sever(self._connection)
            running.cancel()
            await asyncio.wait([running], timeout=END_SECONDS)

    async def _notify(self) -> None:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True, prepare_threshold=0
            )
        deadline = asyncio.get_running_loop().time() + NOTIFY_SECONDS
        with severed_at(deadline, self._connection):
            await self._connection.execute(NOTIFY)

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _is_ending_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def open_notifier(url: str) -> AsyncIterator[Notifier]:
    """Offer a `Notifier`; at the end what is due is sent."""
    notifier = Notifier(compose_conninfo(url, "besedka-notifier"))
    running = asyncio.create_task(notifier.run())
    try:
        yield notifier
    finally:
        await notifier.end(running)
