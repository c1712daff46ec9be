"""What the send queue keeps: messages that wait for their outcome, and the rooms they are for."""

import asyncio
from collections import deque

from chat.actions.messages import NewMessage, SentMessage
from chat.errors import RoomBusyError
from chat.metrics import SENDS

RETRY_SECONDS = 0.01
"""When a locked room without a lane is tried again; then after twice as long, and so on."""

Outcome = SentMessage | Exception
_REFUSED_AS_BUSY = SENDS.labels("busy")


class PendingSend:
    """A message, when it came, and the future that its sender waits for."""

    __slots__ = ("answer", "message", "since")

    def __init__(
        self, message: NewMessage, answer: "asyncio.Future[SentMessage]", since: float
    ) -> None:
        self.message, self.answer, self.since = message, answer, since

    def settle(self, outcome: Outcome) -> None:
        """Give the outcome to the sender, unless the sender is gone or has one."""
        if self.answer.done():
            return
        if isinstance(outcome, SentMessage):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)

    def refuse_as_busy(self) -> None:
        """Tell the sender that the room stayed locked."""
        if not self.answer.done():
            _REFUSED_AS_BUSY.inc()
            self.answer.set_exception(RoomBusyError())


class RoomOfSends:
    """The messages that wait for one room, in the order in which they came."""

    __slots__ = ("delay", "id", "is_stuck", "retry", "waiting")

    def __init__(self, room_id: int) -> None:
        self.id = room_id
        self.waiting: deque[PendingSend] = deque()
        self.is_stuck = False
        """Whether its last lane ended without the lock."""
        self.delay = RETRY_SECONDS
        self.retry: asyncio.TimerHandle | None = None
        """Runs out when it is tried again; set while it is busy."""
