"""The messages that wait to be sent to one client."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from embedded.gateway.limits import Limits

# A queue that reaches this size is written without waiting for the end of the loop's step.
WRITE_AT = 64 * 1024


class Socket(Protocol):
    """The part of a WebSocket connection that the queue writes to."""

    @property
    def is_writable(self) -> bool:
        """Whether it is open and the client keeps up with reading."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be sent."""

    def write(self, data: bytes) -> None:
        """Write encoded frames without waiting."""


class OutgoingQueue:
    """Sends messages in the order in which they were added, up to a limit of waiting bytes.

    All messages of one step of the event loop are written by one call. While the client does not
    read, they wait here; as soon as `put` returns False, the session disconnects it as slow.
    """

    def __init__(self, limits: Limits, socket: Socket) -> None:
        self._limits = limits
        self._socket = socket
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._closed = False
        self.finished = asyncio.Event()
        """Set when the queue is closed and empty."""

    def put(self, message: bytes) -> bool:
        """Append a message; False if more bytes wait now than the limit allows."""
        self._messages.append(message)
        self._size += len(message)
        if self._size > WRITE_AT:
            self.write()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.write)
        return self._size <= self._limits.queue_max_size

    def close(self, *, discard: bool) -> None:
        """Finish after the waiting messages, or at once."""
        self._closed = True
        if discard:
            self._messages.clear()
            self._size = 0
        self.write()

    def write(self) -> None:
        """Write what waits, as far as the client reads it; called again when it reads on."""
        self._scheduled = False
        if self._socket.is_lost:
            self._messages.clear()
            self._size = 0
        while self._messages and self._socket.is_writable:
            self._socket.write(b"".join(self._take_frames()))
        if self._closed and not self._messages:
            self.finished.set()

    def _take_frames(self) -> list[bytes]:
        frames: list[bytes] = []
        size = 0
        while self._messages and size < WRITE_AT:
            count = min(len(self._messages), self._limits.messages_in_frame)
            payload = b"\n".join([self._messages.popleft() for _ in range(count)])
            self._size -= len(payload) - count + 1
            size += len(payload)
            frames += (_text_header(len(payload)), payload)
        return frames


def _text_header(length: int) -> bytes:
    """Return the header of an unmasked text frame (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
