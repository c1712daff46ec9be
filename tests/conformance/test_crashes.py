"""Crashes, shutdowns and outages: nothing committed is lost."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.clients import Outbox, RawClient, blocked_deletes, new_user, run
from tests.conformance.servers import ROOT, SECRET, RunningServer, restart, start_server

StartServer = Callable[[], RunningServer]


@pytest.fixture
def start(kind: str, database_url: str, partitions: int) -> Iterator[StartServer]:
    """Start servers that the test may end in any way."""
    with contextlib.ExitStack() as running:

        def start_one() -> RunningServer:
            server = start_server(kind, database_url, partitions)
            running.callback(server.kill)
            return server

        yield start_one


async def drop_connections(outbox: Outbox) -> int:
    """End the servers' database connections as a restart of PostgreSQL would."""
    cursor = await outbox.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name IN ('besedka-gateway', 'centrifugo')"
    )
    return len(await cursor.fetchall())


def test_kill_between_publishing_and_deleting(start: StartServer, database_url: str) -> None:
    """A server killed after publishing and before deleting publishes again: nothing is lost."""

    async def scenario() -> None:
        server = start()
        user = new_user()
        async with Outbox.open(database_url) as outbox:
            with blocked_deletes(database_url, partition=2):
                async with RawClient.subscribed(server, user) as client:
                    await outbox.publish(client.channel, {"n": 1}, partition=2)
                    assert await client.receive_data() == {"n": 1}
                    server.kill()
                assert await outbox.count() == 1
            again = restart(server)
            try:
                await outbox.wait_drained()
                async with RawClient.connected(again, user) as client:
                    result = (await client.subscribe(recover=True))["subscribe"]
                    assert [pub["data"] for pub in result["publications"]] == [{"n": 1}]
            finally:
                again.kill()

    run(scenario())


def test_rows_written_during_an_outage(start: StartServer, database_url: str) -> None:
    """What is committed while no server runs is published, in order, when one starts."""

    async def scenario() -> None:
        user = new_user()
        async with Outbox.open(database_url) as outbox:
            await outbox.publish(f"personal:{user}", *({"n": n} for n in range(90)), partition=3)
            server = start()
            await outbox.wait_drained()
            async with RawClient.connected(server, user) as client:
                result = (await client.subscribe(recover=True))["subscribe"]
                assert [pub["data"]["n"] for pub in result["publications"]] == list(range(90))

    run(scenario())


def test_two_servers_keep_order(start: StartServer, database_url: str) -> None:
    """Two servers on one outbox publish each row once, and each publishes in order."""

    async def scenario() -> None:
        user = new_user()
        channel = f"personal:{user}"
        servers = start(), start()
        async with Outbox.open(database_url) as outbox:
            for number in range(60):
                await outbox.publish(channel, {"n": number}, partition=4)
            await outbox.wait_drained()
        seen = []
        for server in servers:
            async with RawClient.connected(server, user) as client:
                result = (await client.subscribe(recover=True))["subscribe"]
                numbers = [pub["data"]["n"] for pub in result.get("publications", [])]
                assert numbers == sorted(numbers)
                seen += numbers
        assert sorted(seen) == list(range(60))

    run(scenario())


def test_database_connections_are_lost(start: StartServer, database_url: str) -> None:
    """When PostgreSQL closes the server's connections, clients stay and publishing goes on."""

    async def scenario() -> None:
        async with Outbox.open(database_url) as outbox:
            server = start()
            async with RawClient.subscribed(server) as client:
                dropped = 0
                for number in range(4):
                    # After a lost deletion a row is published again; its key hides that.
                    await outbox.publish(client.channel, {"n": number}, key=f"e:{number}")
                    dropped += await drop_connections(outbox)
                    assert await client.receive_data() == {"n": number}
            await outbox.wait_drained()
            assert dropped > 0

    run(scenario())


def test_shutdown(start: StartServer) -> None:
    """SIGTERM closes clients with 3001, so that they connect again; the exit status is 0."""

    async def scenario() -> None:
        server = start()
        async with (
            RawClient.subscribed(server) as client,
            RawClient.open(server) as unconnected,
            RawClient.subscribed(server) as deaf,
        ):
            deaf.websocket.transport.pause_reading()
            started = time.monotonic()
            server.process.terminate()
            assert await client.wait_closed() == (3001, "shutdown")
            code, _ = await unconnected.wait_closed()
            # Centrifugo knows only clients that have sent `connect`.
            assert code == 3001 or not server.is_gateway
            assert server.process.wait(timeout=10) == 0
            # Centrifugo waits five seconds for a client that does not read.
            assert time.monotonic() - started < 3 or not server.is_gateway
            deaf.websocket.transport.abort()

    run(scenario())


def run_gateway(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the gateway with an environment that it must refuse."""
    return subprocess.run(
        [sys.executable, "-m", "embedded.gateway"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


def test_gateway_says_that_the_port_is_in_use() -> None:
    """A taken port is one sentence and exit status 1, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_gateway(
            DATABASE_URL="postgresql:///x", CENTRIFUGO_TOKEN_SECRET=SECRET, REALTIME_PORT=port
        )
    assert ended.returncode == 1
    expected = f"The gateway cannot listen on 127.0.0.1:{port}: the port is in use"
    assert ended.stderr.startswith(expected)
    assert ended.stderr.count("\n") == 1


def test_gateway_says_what_it_needs() -> None:
    """Missing configuration is one sentence and exit status 1."""
    ended = run_gateway(DATABASE_URL="postgresql:///x")
    assert (ended.returncode, ended.stderr) == (
        1,
        "The gateway needs CENTRIFUGO_TOKEN_SECRET.\n",
    )


def test_gateway_serves_without_a_database(tmp_path: os.PathLike[str]) -> None:
    """While the database is down, clients can still connect and subscribe."""
    server = start_server("gateway", f"postgresql:///x?host={tmp_path}", partitions=8)

    async def scenario() -> None:
        async with RawClient.subscribed(server):
            pass

    try:
        run(scenario())
    finally:
        assert server.stop() == 0
