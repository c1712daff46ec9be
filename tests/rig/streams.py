"""One connection through the fault proxy, byte by byte."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from tests.rig.proxy import FaultProxy

Side = Literal["client", "server"]
BOTH: tuple[Side, Side] = ("client", "server")
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER of 0 seconds: closing sends RST


class Kind(Enum):
    """What happens to the bytes of a connection."""

    PASS = auto()
    DELAY = auto()
    REFUSE = auto()
    HALF_OPEN = auto()
    BLACK_HOLE = auto()
    CUT = auto()
    SWALLOW = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A kind of fault with its parameters; each kind uses some of them."""

    kind: Kind = Kind.PASS
    seconds: float = 0
    jitter: float = 0
    sides: tuple[Side, ...] = ()
    after: int = 0
    reset: bool = False
    limit: int | None = None
    probability: float = 1
    random: Random = field(default_factory=lambda: Random(0))


@dataclass(slots=True)
class Counts:
    """What happened to connections since the start."""

    connections: int = 0
    """Accepted connections, including the refused ones."""
    swallowed: int = 0
    cut: int = 0
    reset: int = 0
    """By `reset()` and `refuse()`."""


RECEIVE_BYTES = 256 * 1024
"""What the kernel may hold of a side that is not read. Left to itself it holds up to 32 MB, and the
sender does not notice that nothing is read."""


class End(asyncio.Protocol):
    """The proxy's socket towards one side of a connection."""

    def __init__(self, link: "Link", side: Side) -> None:
        self.link, self.side = link, side
        self.transport: asyncio.Transport | None = None
        self.is_over = False  # this side has closed its half
        self.is_told = False  # the proxy has closed its half towards this side
        self.is_choked = False  # the other side accepts no more for now
        self.gone: asyncio.Future[None] = link.proxy.loop.create_future()
        self._late: deque[tuple[float, bytes | None]] = deque()
        """What this side sent and the other gets later, with the time; None closes its half."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def other(self) -> "End":
        """The other side of the connection."""
        return self.link.server if self.side == "client" else self.link.client

    @property
    def is_there(self) -> bool:
        """Whether this side can still be written to."""
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; nothing is read from the client before the server is connected."""
        self.transport = cast("asyncio.Transport", transport)
        with contextlib.suppress(OSError):  # it is gone, and its socket reports that
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES
            )
        self.adapt()
        self.other.adapt()
        if self.link.is_ended:
            self.reset()

    def data_received(self, data: bytes) -> None:
        """Forward bytes, unless the mode forbids it."""
        link, kind = self.link, self.link.proxy.mode.kind
        if link.is_in_hole():
            link.is_lost = True
        elif self.side == "client":
            link.is_asked = True
            self.pass_on(data)
        elif not self.other.is_there:
            return  # it was cut off a moment ago
        elif kind is Kind.CUT:
            link.cut(data)
        elif kind is not Kind.SWALLOW or not link.swallow():
            link.is_asked = False
            self.pass_on(data)

    def eof_received(self) -> bool:
        """Pass the end of this direction on, and keep the other direction open."""
        self.is_over = True
        if self.link.is_in_hole():
            self.link.is_lost = True
        else:
            self.pass_on(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side in the same way, unless the connection is in a black hole."""
        self.gone.set_result(None)
        self._late.clear()
        if self._timer:
            self._timer.cancel()
        if self.link.is_in_hole() and not self.link.is_ended:
            self.link.is_lost = True
        elif exc:
            self.other.reset()
        elif self.other.transport:
            self.other.transport.close()

    def pause_writing(self) -> None:
        """Stop reading from the other side while this one does not read."""
        self.other.is_choked = True
        self.other.adapt()

    def resume_writing(self) -> None:
        """Read from the other side again."""
        self.other.is_choked = False
        self.other.adapt()

    def pass_on(self, data: bytes | None) -> None:
        """Forward bytes to the other side, now or later, in order; None ends the direction."""
        mode = self.link.proxy.mode
        if mode.kind is not Kind.DELAY and not self._late:
            self.other.take(data)
            return
        late_by = mode.seconds + mode.random.uniform(-mode.jitter, mode.jitter)
        self._late.append((self.link.proxy.loop.time() + late_by, data))
        self._deliver()

    def take(self, data: bytes | None) -> None:
        """Write to this side what the other sent."""
        if self.transport is None or self.transport.is_closing():
            return
        if data is not None:
            self.transport.write(data)
            return
        self.is_told = True
        with contextlib.suppress(OSError):  # it is gone, and its socket reports that
            self.transport.write_eof()
        if self.other.is_told and self.other.transport:
            self.transport.close()
            self.other.transport.close()

    def adapt(self) -> None:
        """Read from this side or pause, depending on the mode and the other side."""
        mode = self.link.proxy.mode
        if self._late and mode.kind is Kind.BLACK_HOLE:
            self.link.is_lost = True
            self._late.clear()
        self._deliver()
        if self.transport is None or self.transport.is_closing() or self.is_over:
            return
        is_held = mode.kind is Kind.HALF_OPEN and self.side in mode.sides
        is_held = is_held or self.is_choked or self.other.transport is None
        if is_held and not self.link.is_in_hole():
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def reset(self) -> None:
        """Close with a RST; a Unix socket has none and is only closed."""
        if self.transport is None or self.gone.done():
            return
        with contextlib.suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, ABORT
            )
        self.transport.abort()

    def _deliver(self) -> None:
        """Deliver what is due, and set a timer for the rest; without a delay all is due."""
        proxy = self.link.proxy
        now = proxy.loop.time() if proxy.mode.kind is Kind.DELAY else float("inf")
        while self._late and self._late[0][0] <= now:
            self.other.take(self._late.popleft()[1])
        if self._timer:
            self._timer.cancel()
        self._timer = proxy.loop.call_at(self._late[0][0], self._deliver) if self._late else None


class Link:
    """A client's connection together with the one to the server."""

    def __init__(self, proxy: "FaultProxy", accepted: socket.socket) -> None:
        self.proxy = proxy
        self.client, self.server = End(self, "client"), End(self, "server")
        self.left = proxy.mode.after  # bytes until the cut
        self.is_asked = False  # the client has sent something since the server last did
        self.is_lost = False  # bytes were lost in a black hole
        self.is_ended = False
        self.task = proxy.loop.create_task(self._live(accepted))
        self._reaching: asyncio.Task[None] | None = None

    def is_in_hole(self) -> bool:
        """Say whether nothing passes, now or ever again."""
        return self.is_lost or self.proxy.mode.kind is Kind.BLACK_HOLE

    def adapt(self) -> None:
        """Follow a new mode."""
        self.left = self.proxy.mode.after
        self.client.adapt()
        self.server.adapt()

    def cut(self, data: bytes) -> None:
        """Deliver the bytes that the client may still have, then end the connection."""
        self.is_asked = False
        proxy, given = self.proxy, data[: self.left]
        self.left -= len(given)
        self.client.take(given)
        if self.left:
            return
        proxy.counts.cut += 1
        if proxy.mode.reset:
            self.client.reset()
        elif self.client.transport:
            self.client.transport.close()
        proxy.use_up()

    def swallow(self) -> bool:
        """Drop what the server sends, if it is an answer and chosen by chance."""
        mode = self.proxy.mode
        if not self.is_asked or mode.random.random() >= mode.probability:
            return False
        self.proxy.counts.swallowed += 1
        self.client.reset()  # which closes the server's
        self.proxy.use_up()
        return True

    def end(self) -> None:
        """Reset both sides now, in any state."""
        self.is_ended = True
        if self._reaching:
            self._reaching.cancel()
        self.client.reset()
        self.server.reset()

    async def _live(self, accepted: socket.socket) -> None:
        """Connect both sides and return when both are gone."""
        await self.proxy.loop.connect_accepted_socket(lambda: self.client, accepted)
        if self.proxy.mode.kind is Kind.REFUSE:
            self.proxy.counts.reset += 1
            self.client.reset()
        elif self.proxy.mode.kind is Kind.BLACK_HOLE:
            self.is_lost = True
        elif self.client.is_there:
            self._reaching = self.proxy.loop.create_task(self._reach_server())
            await asyncio.wait([self._reaching])
            if self._reaching.cancelled() or self._reaching.exception():
                self.client.reset()
        await self.client.gone
        if self.server.transport:
            await self.server.gone
        self.proxy.links.discard(self)

    async def _reach_server(self) -> None:
        loop, target = self.proxy.loop, self.proxy.target
        if isinstance(target, Path):
            await loop.create_unix_connection(lambda: self.server, str(target))
        else:
            await loop.create_connection(lambda: self.server, *target)
