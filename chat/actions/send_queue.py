"""Sends of one process are collected while earlier ones are written, and written together.

A send that finds a call free is written at once: there is no timer, so a lone send waits for
nothing. While all calls are taken, sends collect, and the next call of `send_messages` takes up to
64 of them, an equal share of each room. A room is in one call at a time, so its messages keep their
order.

A room that another session has locked leaves the common calls. It gets a call of its own that waits
for the lock, a lane; while all lanes are taken, it is tried again in the common calls after a short
time. So a locked room never delays another one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from contextvars import Context

from chat.actions.messages import (
    UNLIMITED,
    NewMessage,
    SendLimits,
    SentMessage,
    send_messages,
)
from chat.actions.pending_sends import RETRY_SECONDS, Outcome, PendingSend, RoomOfSends
from chat.errors import ChatError, DatabaseUnavailableError, OverloadedError, RoomBusyError
from chat.metrics import SEND_BATCH, SEND_WAITING, SENDS
from chat.sql.database import ANSWER_SECONDS, Database, Share
from chat.sql.errors import was_too_long

BATCH_MAX = 64
"""Messages in one call."""
QUICK_SECONDS, SLOW_SECONDS = 0.25, 1.0
"""A full call that takes less lets the next ones be larger again; one that takes more makes them
half as large: 64 messages to a room of 100,000 may not fit into one `statement_timeout`."""
OVERTAKING_SECONDS = 0.01
"""How long messages wait for slow calls before one more is made beside them."""
WAITING_MAX = 4000
"""Messages that may wait in all. A database that stores 1,000 a second stores them in time."""
ROOM_WAITING_MAX = 1000
"""Messages that may wait for one room: a locked room must not use up the queue."""
BUSY_SECONDS = 2.0
"""How long a message waits for a room that someone else has locked, in all lanes and tries."""
LANE_SECONDS = 0.9
"""After so long a message gets no lane any more: without the lock a lane ends after `lock_timeout`,
a second. When a lane has ended so, messages of this age are refused, younger ones wait on."""
RETRY_SECONDS_MAX = 0.16
"""After how long, at most, a locked room without a lane is tried again."""
SWEEP_SECONDS = 0.05
"""How often messages beyond their deadline are looked for."""

_OVERLOADED = SENDS.labels("overloaded")

_Batch = list[tuple[RoomOfSends, list[PendingSend]]]


class SendQueue:
    """Sends messages in few calls; each message has an outcome or an error of its own.

    All of it runs on one event loop, and what happens between two `await`s is not interrupted, so
    there are no locks. Each room is in one place at a time: ready, in a call, or busy.
    """

    def __init__(self, database: Database, share: Share, limits: SendLimits) -> None:
        self._database, self._limits = database, limits
        self._loop = asyncio.get_running_loop()
        self._free_flights, self._free_overtaking = share.flights, share.overtaking
        self._free_lanes, self._free_stuck_lanes = share.lanes, share.lanes - 1
        self._rooms: dict[int, RoomOfSends] = {}
        """Every room that has a message here, waiting or in a call."""
        self._ready: deque[RoomOfSends] = deque()
        """Rooms to take from; one that was taken from goes to the end."""
        self._busy: dict[int, RoomOfSends] = {}
        """Rooms that someone else has locked and that have no lane, the first one first."""
        self._in_calls: set[PendingSend] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._overtaking_timer: asyncio.TimerHandle | None = None
        self._is_waking = self._is_closed = False
        self._most = BATCH_MAX
        """How many messages the next call may have."""
        self.waiting = 0
        """How many messages are in no call."""

    async def send(self, message: NewMessage) -> SentMessage:
        """Store the message once, however often it is sent, and return it.

        A caller that is cancelled leaves it unsent if it still waits; if it is being written, it
        may be stored.

        Errors: those of `send_message`; `DatabaseUnavailableError`; `OverloadedError`, at once.
        Each comes within five seconds.
        """
        room = self._rooms.get(message.room_id)
        is_room_full = room is not None and len(room.waiting) >= ROOM_WAITING_MAX
        if is_room_full or self.waiting >= WAITING_MAX:
            _OVERLOADED.inc()
            raise OverloadedError
        if self._is_closed:
            raise DatabaseUnavailableError
        pending = PendingSend(message, self._loop.create_future(), self._loop.time())
        if room is None:
            room = self._rooms[message.room_id] = RoomOfSends(message.room_id)
            self._ready.append(room)
        room.waiting.append(pending)
        self.waiting += 1
        self._wake()
        return await pending.answer

    async def drain(self) -> None:
        """Accept nothing more; return when everything that was accepted has its answer."""
        self._is_closed = True
        while self._rooms:
            self._emptied.clear()
            await self._emptied.wait()
        await asyncio.gather(*self._running)
        if self._sweep_timer:
            self._sweep_timer.cancel()

    # Common calls.

    def _wake(self) -> None:
        """Begin a call after the tasks that are about to run: they may bring more messages."""
        if self._free_flights:
            if not self._is_waking:
                self._is_waking = True
                self._loop.call_soon(self._begin)
        elif self._overtaking_timer is None:
            self._overtaking_timer = self._loop.call_later(OVERTAKING_SECONDS, self._overtake)
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _begin(self) -> None:
        self._is_waking = False
        while self._free_flights and (batch := self._take()):
            self._free_flights -= 1
            self._start(self._fly(batch))

    def _overtake(self) -> None:
        """Begin one more call if a message has waited too long for those that are running."""
        self._overtaking_timer = None
        if not self._ready or not self._free_overtaking:
            return
        waiting = self._ready[0].waiting
        is_late = waiting and waiting[0].since + OVERTAKING_SECONDS <= self._loop.time()
        if is_late and (batch := self._take()):
            self._free_overtaking -= 1
            self._start(self._overtake_with(batch))
        if self._ready:
            self._wake()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        # In a context of its own: otherwise its log lines would have the id of the request that it
        # happened to begin with.
        task = self._loop.create_task(work, context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _fly(self, batch: _Batch) -> None:
        """Write a batch, then what has collected meanwhile, until nothing is ready."""
        while batch:
            await self._fly_once(batch)
            batch = self._take()
        self._free_flights += 1

    async def _overtake_with(self, batch: _Batch) -> None:
        await self._fly_once(batch)
        self._free_overtaking += 1
        # What came meanwhile may be late, and nothing else looks for it.
        if self._ready:
            self._wake()

    async def _fly_once(self, batch: _Batch) -> None:
        outcomes = iter(await self._write([one for _, part in batch for one in part], wait=False))
        for room, part in batch:
            self._land(room, part, outcomes)

    def _take(self) -> _Batch:
        """Take up to 64 messages: an equal share of each room that is ready, in turn."""
        batch: _Batch = []
        left, rooms = self._most, len(self._ready)
        while rooms and left:
            room = self._ready.popleft()
            if part := self._take_from(room, max(1, left // rooms)):
                batch.append((room, part))
                left -= len(part)
            else:
                self._release(room)
            rooms -= 1
        return batch

    def _take_from(self, room: RoomOfSends, most: int) -> list[PendingSend]:
        """Take up to so many messages of a room; those whose sender is gone are dropped."""
        part: list[PendingSend] = []
        waiting = room.waiting
        while waiting and len(part) < most:
            pending = waiting.popleft()
            self.waiting -= 1
            if not pending.answer.done():
                part.append(pending)
        return part

    def _land(
        self, room: RoomOfSends, part: list[PendingSend], outcomes: Iterator[Outcome]
    ) -> None:
        """Answer a room's part of a batch. If the room is locked, the part waits again."""
        busy: list[PendingSend] = []
        for pending in part:
            outcome = next(outcomes)
            if isinstance(outcome, RoomBusyError):
                busy.append(pending)
            else:
                pending.settle(outcome)
        if busy:
            room.waiting.extendleft(reversed(busy))
            self.waiting += len(busy)
            self._park(room)
        else:
            room.is_stuck, room.delay = False, RETRY_SECONDS
            self._release(room)

    def _release(self, room: RoomOfSends) -> None:
        """Let a room be taken from again; forget it if nothing of it waits."""
        if room.waiting:
            self._ready.append(room)
            self._wake()
            return
        del self._rooms[room.id]
        if not self._rooms:
            self._emptied.set()

    async def _write(self, batch: list[PendingSend], *, wait: bool) -> list[Outcome]:
        """Run one call and return an outcome for each message.

        A call that was rolled back because of one message, or because it took too long, is replaced
        by a call for each.
        """
        self._in_calls |= set(batch)
        try:
            return await self._write_together(batch, wait=wait)
        finally:
            self._in_calls -= set(batch)

    async def _write_together(self, batch: list[PendingSend], *, wait: bool) -> list[Outcome]:
        SEND_BATCH.observe(len(batch))
        began = self._loop.time()
        within = max(pending.since for pending in batch) + ANSWER_SECONDS - began
        try:
            call = send_messages(
                [pending.message for pending in batch], wait=wait, limits=self._limits
            )
            outcomes = await self._database.run(call, within=within)
        except ChatError as error:
            if len(batch) == 1 or not was_too_long(error):
                return [type(error)() for _ in batch]
        except Exception as error:  # noqa: BLE001 - it is raised where the message was sent
            if len(batch) == 1:
                return [error]
        else:
            if len(outcomes) == len(batch):
                return [*outcomes]
            return [LookupError(f"{len(outcomes)} outcomes of {len(batch)}") for _ in batch]
        finally:
            if not wait:
                self._adapt(len(batch), self._loop.time() - began)
        return [await self._write_alone(pending, wait=wait) for pending in batch]

    async def _write_alone(self, pending: PendingSend, *, wait: bool) -> Outcome:
        """Write one message of a batch that failed; it is answered before the next is written."""
        (outcome,) = await self._write_together([pending], wait=wait)
        if not isinstance(outcome, RoomBusyError):
            pending.settle(outcome)
        return outcome

    def _adapt(self, size: int, seconds: float) -> None:
        """Let the next calls have fewer messages after a slow one, and more after a quick one."""
        if size > 1 and seconds > SLOW_SECONDS:
            self._most = size // 2
        elif size == self._most < BATCH_MAX and seconds < QUICK_SECONDS:
            self._most = min(2 * self._most, BATCH_MAX)

    # Busy rooms.

    def _park(self, room: RoomOfSends) -> None:
        """Put a room that someone else has locked aside, until it has a lane or is tried again."""
        self._busy[room.id] = room
        room.retry = self._loop.call_later(room.delay, self._try_again, room)
        room.delay = min(2 * room.delay, RETRY_SECONDS_MAX)
        self._open_lanes()

    def _try_again(self, room: RoomOfSends) -> None:
        del self._busy[room.id]
        self._release(room)

    def _open_lanes(self) -> None:
        """Give the free lanes to busy rooms; the last one never to a room that stayed locked."""
        now = self._loop.time()
        for room in list(self._busy.values()):
            if not self._free_lanes:
                break
            is_old = not room.waiting or room.waiting[0].since + LANE_SECONDS <= now
            if is_old or (room.is_stuck and not self._free_stuck_lanes):
                continue
            del self._busy[room.id]
            if room.retry:
                room.retry.cancel()
            self._free_lanes -= 1
            self._free_stuck_lanes -= room.is_stuck
            self._start(self._wait_in_lane(room, was_stuck=room.is_stuck))

    async def _wait_in_lane(self, room: RoomOfSends, *, was_stuck: bool) -> None:
        """Write a room's messages with a call that waits for the lock."""
        part = self._take_from(room, self._most)
        outcomes = await self._write(part, wait=True) if part else []
        self._free_lanes += 1
        self._free_stuck_lanes += was_stuck
        room.is_stuck, room.delay = False, RETRY_SECONDS
        for pending, outcome in zip(part, outcomes, strict=True):
            if isinstance(outcome, RoomBusyError):
                room.is_stuck = True
                pending.refuse_as_busy()
            else:
                pending.settle(outcome)
        if room.is_stuck:
            self._refuse_old(room, LANE_SECONDS)
        if room.is_stuck and room.waiting:
            self._park(room)
        else:
            self._release(room)
        self._open_lanes()

    # Deadlines.

    def _sweep(self) -> None:
        """Refuse what is beyond its deadline, and come again while there is anything."""
        oldest = self._loop.time() - ANSWER_SECONDS
        for room in list(self._rooms.values()):
            if room.id in self._busy:
                self._refuse_old(room, BUSY_SECONDS)
            while room.waiting and room.waiting[0].since <= oldest:
                room.waiting.popleft().settle(DatabaseUnavailableError())
                self.waiting -= 1
        for pending in self._in_calls:
            if pending.since <= oldest:
                pending.settle(DatabaseUnavailableError())
        self._sweep_timer = None
        if self._rooms:
            self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _refuse_old(self, room: RoomOfSends, seconds: float) -> None:
        """Refuse the messages that have waited for a locked room for so long."""
        oldest = self._loop.time() - seconds
        while room.waiting and room.waiting[0].since <= oldest:
            room.waiting.popleft().refuse_as_busy()
            self.waiting -= 1


@asynccontextmanager
async def open_send_queue(
    database: Database, share: Share, limits: SendLimits = UNLIMITED
) -> AsyncIterator[SendQueue]:
    """Offer a queue; at the end everything that it accepted is answered."""
    queue = SendQueue(database, share, limits)
    SEND_WAITING.set_function(lambda: queue.waiting)
    try:
        yield queue
    finally:
        await queue.drain()
