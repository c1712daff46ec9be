"""A stopping process loses no request, however close to the end it arrives."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from uvicorn import Config
from uvicorn.server import ServerState

from app import draining
from app.draining import LAST_CALL_SECONDS, DrainingProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Scenario = Callable[[socket.socket], Awaitable[None]]


async def answer(_: Any, __: Any, send: Any) -> None:
    """Answer every request with an empty body."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Stall(asyncio.Protocol):
    """Does something in that phase of the loop in which other connections are not read."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def data_received(self, _: bytes) -> None:
        """Run the action."""
        self.action()


async def read_all(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    found = b""
    while part := await asyncio.get_running_loop().sock_recv(client, 4096):
        found += part
    return found


async def stop_with(scenario: Scenario) -> bytes:
    """Return what an idle client receives from a stopping server."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[DrainingProtocol] = loop.create_future()
    config = Config(answer, log_config=None, access_log=False)
    config.load()

    def accept() -> DrainingProtocol:
        protocol = DrainingProtocol(config, ServerState(), {}, loop)
        loop.call_soon(accepted.set_result, protocol)
        return protocol

    server = await loop.create_server(accept, "127.0.0.1", 0)
    try:
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, server.sockets[0].getsockname())
            (await accepted).shutdown()
            async with asyncio.timeout(10):
                await scenario(client)
                return await read_all(client)
    finally:
        server.close()


async def send_while_it_does_not_read(client: socket.socket) -> None:
    """Send when the last moment passes in the middle of a round of the loop."""
    here, there = socket.socketpair()

    def send_and_stall() -> None:
        client.send(REQUEST)
        time.sleep(2 * (LAST_CALL_SECONDS - 0.8))

    stall = Stall(send_and_stall)
    other, _ = await asyncio.get_running_loop().create_connection(lambda: stall, sock=there)
    await asyncio.sleep(0.8)
    here.send(b"now")
    await asyncio.sleep(0.1)
    other.close()
    here.close()


async def send_in_two_parts(client: socket.socket) -> None:
    """Send the second part of the head after the last moment."""
    client.send(REQUEST[:10])
    await asyncio.sleep(LAST_CALL_SECONDS + 0.2)
    client.send(REQUEST[10:])


async def send_a_part(client: socket.socket) -> None:
    """Begin a request and never finish it."""
    client.send(REQUEST[:10])


@pytest.mark.parametrize("scenario", [send_while_it_does_not_read, send_in_two_parts])
def test_a_request_at_the_last_moment_is_answered(scenario: Scenario) -> None:
    """What has reached the process when it closes idle connections is not lost."""
    found = uvloop.run(stop_with(scenario))

    assert found.startswith(b"HTTP/1.1 204")
    assert b"connection: close" in found


def test_half_a_request_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never finishes its request is waited for only so long."""
    monkeypatch.setattr(draining, "HEAD_SECONDS", 0.3)
    began = time.monotonic()

    assert uvloop.run(stop_with(send_a_part)) == b""

    assert LAST_CALL_SECONDS < time.monotonic() - began < LAST_CALL_SECONDS + 2
