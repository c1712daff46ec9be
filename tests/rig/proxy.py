"""A TCP proxy that can fail in every way in which a network does.

It forwards any protocol over TCP: HTTP, WebSocket, PostgreSQL's. When one side closes its half of a
connection, so does the proxy towards the other; when one side resets, the proxy resets the other.

    async with FaultProxy.start(("127.0.0.1", 8000)) as proxy:
        proxy.swallow_responses(count=1)

    with FaultProxy.in_thread(find_postgres_socket(database_url)) as proxy:
        url = through(database_url, proxy)

One mode is active at a time. Each call replaces the mode, for open and new connections. Modes may
be switched from any thread.
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
    """A listener on `host:port`; it forwards everything until a mode is set."""

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
        """Listen until the block ends; afterwards no connection, socket or task is left.

        `target` is an address or the path of a Unix socket; nothing has to listen there yet. With
        port 0 the system chooses one.
        """
        proxy = cls(target)
        with socket.create_server((host, port), backlog=1024) as listener:
            listener.setblocking(False)
            proxy.host, proxy.port = listener.getsockname()
            # A closed asyncio server loses connections that it has accepted and not yet set up.
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
        """Do as `start` does, in a thread of its own, for tests that block."""
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
        """Forward again; what `half_open` has held back is delivered now."""
        self._switch(Mode())

    def delay(self, seconds: float, jitter: float = 0, seed: int = 0) -> None:
        """Deliver everything `seconds` ± `jitter` later, each way and in order."""
        self._switch(Mode(kind=Kind.DELAY, seconds=seconds, jitter=jitter, random=Random(seed)))

    def refuse(self) -> None:
        """Reset each new connection; open ones stay.

        The client's connect still succeeds: only a closed port could refuse it.
        """
        self._switch(Mode(kind=Kind.REFUSE))

    def half_open(self, *sides: Side) -> None:
        """Stop reading from one side or, by default, both; no connection is closed.

        Nothing is lost: `pass_through` delivers it all, as at the end of a short partition.
        """
        self._switch(Mode(kind=Kind.HALF_OPEN, sides=sides or BOTH))

    def black_hole(self) -> None:
        """Discard what is sent, answer nothing, close nothing, even when one side closes.

        A connection that lost bytes stays in the black hole when the mode changes, because no
        network delivers a stream with bytes missing: only `reset` ends it.
        """
        self._switch(Mode(kind=Kind.BLACK_HOLE))

    def cut_after(self, count: int, *, reset: bool = False, connections: int | None = None) -> None:
        """End each connection when its client has received `count` more bytes.

        It is closed, or reset. With 0 it ends at the first byte of an answer, which is not
        delivered. `connections` limits how many are ended.
        """
        self._switch(Mode(kind=Kind.CUT, after=count, reset=reset, limit=connections))

    def swallow_responses(
        self, count: int | None = None, probability: float = 1, seed: int = 0
    ) -> None:
        """Forward the request, drop the answer and reset the client's connection.

        An answer is what the server sends first after the client sent something. Each is dropped
        with this probability, until `count` were. The server's connection is closed as soon as the
        server has begun to answer.
        """
        self._switch(
            Mode(kind=Kind.SWALLOW, limit=count, probability=probability, random=Random(seed))
        )

    def reset(self) -> None:
        """Reset all open connections now, also those in a black hole; the mode stays."""

        def reset_all() -> None:
            for link in list(self.links):
                self.counts.reset += 1
                link.end()

        self._on_loop(reset_all)

    def use_up(self) -> None:
        """Count one use of a limited mode; after the last one the proxy forwards again."""
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
        """Run an action on the loop of the connections, and return when it is done."""
        if threading.get_ident() == self._thread:
            action()
            return

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self.loop).result()


def find_postgres_socket(database_url: str) -> Path:
    """Return the path of the socket of a PostgreSQL whose URL has a folder as its host."""
    options = parse_qs(urlsplit(database_url).query)
    return Path(options["host"][0]) / f".s.PGSQL.{options.get('port', ['5432'])[0]}"


def through(database_url: str, proxy: FaultProxy) -> str:
    """Return the URL of the same database through a proxy to its socket."""
    parts = urlsplit(database_url)
    where = f"{parts.username}@{proxy.host}:{proxy.port}"
    return parts._replace(netloc=where, query="sslmode=disable").geturl()
