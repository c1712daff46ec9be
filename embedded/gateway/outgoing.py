"""The messages that wait to be sent to one client."""

from __future__ import annotations

import asyncio
from collections import deque

from embedded.gateway.limits import Limits


class OutgoingQueue:
    """Sends messages in the order in which they were added, up to a limit of waiting bytes.

    As soon as `is_full`, the session disconnects the client as slow.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def is_full(self) -> bool:
        """More bytes wait than the limit allows."""
        return self._size > self._limits.queue_max_size

    def put(self, message: bytes) -> None:
        """Append a message."""
        self._messages.append(message)
        self._size += len(message)
        self._changed.set()

    def close(self, *, discard: bool) -> None:
        """Let the writer finish: after the waiting messages, or at once."""
        if discard:
            self._messages.clear()
            self._size = 0
        self._closed = True
        self._changed.set()

    async def next_frame(self) -> bytes | None:
        """Return the next messages as one frame, or None if closed and empty."""
        while not self._messages:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        count = min(len(self._messages), self._limits.messages_in_frame)
        messages = [self._messages.popleft() for _ in range(count)]
        self._size -= sum(map(len, messages))
        return b"\n".join(messages)
