"""Calls that wait for a lock leave connections for everyone else.

A call that changes a room waits for the room's lock, at most for `lock_timeout`. Without a bound, a
few such calls for one locked room take all connections, and every read waits for them.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager

from chat.errors import RoomBusyError

WAITING_SECONDS = 2.0
"""How long a call waits here at most, before it runs and may wait for the lock itself."""
STUCK_SECONDS = 0.9
"""Where a call has not got the lock, those that have waited for so long are refused with it."""
REMEMBERED_SECONDS = 5.0
"""How long a lock without calls is remembered as one that stayed locked."""


class _Queue:
    """The calls for one lock: one runs, the others wait in the order in which they came."""

    __slots__ = ("calls", "is_stuck", "turn")

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.calls = 0
        self.is_stuck = False
        """Whether the last call did not get the lock."""


class Bulkhead:
    """Lets one call for each lock run at a time, and few calls that need a lock in all.

    Calls for locks that stay locked have all places but one. A call that waits here uses no
    connection.
    """

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._stuck_places = asyncio.Semaphore(max(1, places - 1))
        self._queues: dict[Hashable, _Queue] = {}

    @asynccontextmanager
    async def enter(self, lock: Hashable) -> AsyncIterator[None]:
        """Run the block when it is its turn.

        Errors: `RoomBusyError` if others wait for this lock for too long; nothing was run.
        """
        queue = self._queues.setdefault(lock, _Queue())
        queue.calls += 1
        try:
            async with AsyncExitStack() as places:
                await self._wait_for_turn(queue, places)
                try:
                    yield
                except RoomBusyError:
                    queue.is_stuck = True
                    raise
                queue.is_stuck = False
        finally:
            queue.calls -= 1
            if queue.is_stuck:
                loop = asyncio.get_running_loop()
                loop.call_later(REMEMBERED_SECONDS, self._forget, lock, queue)
            else:
                self._forget(lock, queue)

    def _forget(self, lock: Hashable, queue: _Queue) -> None:
        if not queue.calls and self._queues.get(lock) is queue:
            del self._queues[lock]

    async def _wait_for_turn(self, queue: _Queue, places: AsyncExitStack) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout_at(began + WAITING_SECONDS):
                await places.enter_async_context(queue.turn)
                if queue.is_stuck:
                    if clock() - began > STUCK_SECONDS:
                        raise RoomBusyError
                    await places.enter_async_context(self._stuck_places)
                await places.enter_async_context(self._places)
        except TimeoutError:
            raise RoomBusyError from None
