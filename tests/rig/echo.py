"""A server that echoes, and clients that connect to it through the fault proxy."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Self

import pytest

from tests.rig.proxy import FaultProxy

MOMENT = 0.2
"""Seconds in which an answer that must not come would have come."""
MUCH = 16_000_000
"""Bytes: more than the buffers of one socket pair hold, by default 4 MiB out and 6 MiB in."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A server that answers each line with a `>` and the line, and notes how connections end."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._listener
        host, port = self._listener.sockets[0].getsockname()
        return host, port

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(
            self._answer_lines, "127.0.0.1", 0, limit=2 * MUCH
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener
        self._listener.close()
        for writer in self.writers:
            if not writer.is_closing():
                writer.transport.abort()
        await asyncio.gather(*self._connections)
        await self._listener.wait_closed()

    async def _answer_lines(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        self.writers.append(writer)
        end = "closed"
        try:
            while line := await reader.readline():
                self.received.put_nowait(line)
                writer.write(b">" + line)
                await writer.drain()
        except ConnectionError:
            end = "reset"
        self.ends.put_nowait(end)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serve_behind_proxy() -> AsyncIterator[tuple[FaultProxy, Server]]:
    """Run a server with a proxy before it."""
    async with Server() as server, FaultProxy.start(server.address) as proxy:
        yield proxy, server


@contextlib.asynccontextmanager
async def connect_through(proxy: FaultProxy) -> AsyncIterator[Connection]:
    """Connect through the proxy."""
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port, limit=2 * MUCH)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(client: Connection, line: bytes = b"hello\n") -> bytes:
    """Send a line and return the answer."""
    client[1].write(line)
    return await client[0].readline()


async def assert_silent(client: Connection) -> None:
    """Fail if an answer or the end of the connection arrives within a moment."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(MOMENT):
            await client[0].read(1)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST."""
    plain = writer.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
    writer.transport.abort()
