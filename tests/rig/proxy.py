"""A TCP listener that forwards to a server and can fail in every way a network does.

It carries whatever is sent over TCP: HTTP, WebSocket, PostgreSQL's protocol. A side that closes its
half is passed on as that, a side that resets as a reset.

    async with FaultProxy.start(("127.0.0.1", 8000)) as proxy:
        proxy.swallow_responses(count=1)

    with FaultProxy.in_thread(find_postgres_socket(database_url)) as proxy:
        url = through(database_url, proxy)

One mode holds at a time and each call replaces the one before, for open and new connections alike.
Modes may be switched from any thread.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

from tests.rig.streams import BOTH, Counts, Kind, Link, Mode, Side

Target = tuple[str, int] | Path


class FaultProxy:
    """A listener on `host:port`; it forwards until a mode says otherwise."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.host, self.port = "", 0
        self.counts = Counts()
        self.mode = Mode()
        self.links: set[Link] = set()
        self._used = 0
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, target: Target, *, host: str = "127.0.0.1", port: int = 0
    ) -> AsyncIterator["FaultProxy"]:
        """Listen until the block ends; then no connection, socket or task is left.

        `target` is an address or the path of a Unix socket; it need not be there yet. Port 0 lets
        the system choose.
        """
        proxy = cls(target)
        with socket.create_server((host, port), backlog=1024) as listener:
            listener.setblocking(False)
            proxy.host, proxy.port = listener.getsockname()
            # An asyncio server loses what it has accepted but not yet set up when it is closed.
            proxy.loop.add_reader(listener, proxy._accept, listener)
            try:
                yield proxy
            finally:
                proxy.loop.remove_reader(listener)
                links = list(proxy.links)
                for link in links:
                    link.end()
                await asyncio.gather(*(link.task for link in links))

    @classmethod
    @contextlib.contextmanager
    def in_thread(
        cls, target: Target, *, host: str = "127.0.0.1", port: int = 0
    ) -> Iterator["FaultProxy"]:
        """Do as `start` does, on a thread of its own, for tests that block."""
        started: Future[tuple[FaultProxy, asyncio.Event]] = Future()

        async def serve() -> None:
            stopped = asyncio.Event()
            async with cls.start(target, host=host, port=port) as proxy:
                started.set_result((proxy, stopped))
                await stopped.wait()

        def work() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:
                if started.done():
                    raise
                started.set_exception(error)

        thread = threading.Thread(target=work, name="fault proxy")
        thread.start()
        try:
            proxy, stopped = started.result()
            try:
                yield proxy
            finally:
                proxy.loop.call_soon_threadsafe(stopped.set)
        finally:
            thread.join()

    def pass_through(self) -> None:
        """Forward again; what a half-open time has held back arrives now."""
        self._switch(Mode())

    def delay(self, seconds: float, jitter: float = 0, seed: int = 0) -> None:
        """Deliver everything `seconds` ± `jitter` late, each way and in order."""
        self._switch(Mode(kind=Kind.DELAY, seconds=seconds, jitter=jitter, random=Random(seed)))

    def refuse(self) -> None:
        """Reset each new connection; open ones live on.

        The client's connect succeeds first: only a closed port could refuse that.
        """
        self._switch(Mode(kind=Kind.REFUSE))

    def half_open(self, *sides: Side) -> None:
        """Stop reading from one side or, by default, both: bytes pile up and nobody is told.

        Nothing is lost: `pass_through` delivers it all, as the end of a short partition does.
        """
        self._switch(Mode(kind=Kind.HALF_OPEN, sides=sides or BOTH))

    def black_hole(self) -> None:
        """Discard what is sent, answer nothing, close nothing; who leaves is not missed.

        A connection that lost anything stays in the hole when the mode changes, as no network
        hands on a stream with bytes missing: only `reset` ends it.
        """
        self._switch(Mode(kind=Kind.BLACK_HOLE))

    def cut_after(self, count: int, *, reset: bool = False, connections: int | None = None) -> None:
        """End each connection when its client has been given `count` more bytes.

        It is closed, or reset; at 0 the first byte of an answer ends it, undelivered.
        `connections` limits how many.
        """
        self._switch(Mode(kind=Kind.CUT, after=count, reset=reset, limit=connections))

    def swallow_responses(
        self, count: int | None = None, probability: float = 1, seed: int = 0
    ) -> None:
        """Let the request through, drop the answer and reset the client's connection.

        An answer is what the server says first after the client spoke: each is swallowed with this
        probability, until `count` were. The server's connection is closed once it has begun.
        """
        self._switch(
            Mode(kind=Kind.SWALLOW, limit=count, probability=probability, random=Random(seed))
        )

    def reset(self) -> None:
        """Reset all open connections now, those in a black hole too; the mode stays."""

        def reset_all() -> None:
            for link in list(self.links):
                self.counts.reset += 1
                link.end()

        self._on_loop(reset_all)

    def use_up(self) -> None:
        """Count one use of a limited mode; after the last everything passes."""
        self._used += 1
        if self._used == self.mode.limit:
            self._apply(Mode())

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            accepted, _ = listener.accept()
            self.counts.connections += 1
            self.links.add(Link(self, accepted))

    def _switch(self, mode: Mode) -> None:
        self._on_loop(lambda: self._apply(mode))

    def _apply(self, mode: Mode) -> None:
        self.mode, self._used = mode, 0
        for link in list(self.links):
            link.adapt()

    def _on_loop(self, action: Callable[[], None]) -> None:
        """Run it where the connections live, and return when it is done."""
        if threading.get_ident() == self._thread:
            action()
            return

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self.loop).result()


def find_postgres_socket(database_url: str) -> Path:
    """Return the path of the socket of a PostgreSQL whose URL names a folder as its host."""
    options = parse_qs(urlsplit(database_url).query)
    return Path(options["host"][0]) / f".s.PGSQL.{options.get('port', ['5432'])[0]}"


def through(database_url: str, proxy: FaultProxy) -> str:
    """Return the URL of the same database by way of a proxy to its socket."""
    parts = urlsplit(database_url)
    where = f"{parts.username}@{proxy.host}:{proxy.port}"
    return parts._replace(netloc=where, query="sslmode=disable").geturl()
