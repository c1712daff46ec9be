"""How many connections a user may have, and how the ends of connections are counted."""

import asyncio
import contextlib
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.conformance.clients import Outbox, RawClient, connection_token, new_user, run
from tests.conformance.servers import RunningServer, start_server

LIMIT = 3
COUNTERS = {
    "gateway": "besedka_gateway_disconnects_total",
    "centrifugo": "centrifugo_client_num_server_disconnects",
}


@pytest.fixture(scope="module")
def narrow_server(kind: str, database_url: str, partitions: int) -> Iterator[RunningServer]:
    """A server that takes three connections of a user, and waits for a pong for half a second."""
    changes = {
        "USER_CONNECTION_LIMIT": str(LIMIT),
        "PING_INTERVAL": "1s",
        "PONG_TIMEOUT": "500ms",
    }
    running = start_server(kind, database_url, partitions, changes)
    yield running
    assert running.stop() == 0


def read_disconnects(server: RunningServer) -> Counter[int]:
    """Return how many connections the server says that it has ended, by code."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    found = re.findall(rf'^{COUNTERS[server.kind]}{{code="(\d+)"}} (\d+)$', metrics, re.MULTILINE)
    return Counter({int(code): int(count) for code, count in found})


async def open_refused(server: RunningServer, user: str) -> tuple[int, str]:
    """Connect as a user, and return how the server ends the connection."""
    async with RawClient.open(server, user) as client:
        await client.send({"id": 1, "connect": {"token": connection_token(user)}})
        return await client.wait_closed()


def test_a_user_has_so_many_connections(narrow_server: RunningServer) -> None:
    """One more is closed with 3504; the others stay, other users connect, and an end makes room."""

    async def scenario() -> None:
        user = new_user()
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(RawClient.connected(narrow_server, user))
                for _ in range(LIMIT - 1)
            ]
            async with RawClient.connected(narrow_server, user):
                assert await open_refused(narrow_server, user) == (3504, "connection limit")
                async with RawClient.connected(narrow_server):
                    pass
            for client in clients:
                assert "error" in await client.call("rpc")
            await wait_for_room(narrow_server, user)

    run(scenario())


async def wait_for_room(server: RunningServer, user: str) -> None:
    """Require that the user can connect soon: the server notices an end a moment later."""
    async with asyncio.timeout(5):
        while True:
            async with RawClient.open(server, user) as client:
                await client.send({"id": 1, "connect": {"token": connection_token(user)}})
                with contextlib.suppress(Exception):
                    if "connect" in await client.receive():
                        return


def test_ends_are_counted_by_code(narrow_server: RunningServer) -> None:
    """A client that answers no ping, and one that is refused, are each in the metrics once."""

    async def scenario() -> None:
        before = read_disconnects(narrow_server)
        user = new_user()
        async with contextlib.AsyncExitStack() as stack:
            deaf = await stack.enter_async_context(RawClient.connected(narrow_server, user))
            for _ in range(LIMIT - 1):
                await stack.enter_async_context(RawClient.connected(narrow_server, user))
            assert (await open_refused(narrow_server, user))[0] == 3504
            assert (await deaf.wait_closed())[0] == 3012
        found = read_disconnects(narrow_server) - before
        assert found[3504] == 1
        # Clients that went by themselves, of this test and the one before, are not counted.
        assert 3000 not in read_disconnects(narrow_server)
        assert found[3012] >= 1

    run(scenario())


def test_slow_clients_are_counted(server: RunningServer, database_url: str) -> None:
    """A client that does not read is cut off with 3008, and an operator sees it in the metrics."""

    async def scenario() -> None:
        before = read_disconnects(server)
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            client.websocket.transport.pause_reading()
            text = "x" * 30_000
            # The kernel takes some megabytes, the server's queue four.
            while (read_disconnects(server) - before)[3008] == 0:
                await outbox.publish(client.channel, *({"text": text} for _ in range(100)))
                await outbox.wait_drained()
            client.websocket.transport.abort()
        assert read_disconnects(server) - before == {3008: 1}

    run(scenario())
