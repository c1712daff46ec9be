"""Without a fault the proxy changes nothing, and it leaves nothing behind."""

import asyncio
import contextlib
import os
import secrets
from pathlib import Path

import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.conformance.clients import run
from tests.rig.echo import MOMENT, MUCH, Server, ask, connect_through, reset, serve_behind_proxy
from tests.rig.proxy import FaultProxy, find_postgres_socket, through


def test_everything_passes_both_ways_and_each_way_ends_on_its_own() -> None:
    """A client that has closed its half still gets the whole answer."""

    async def scenario() -> None:
        async with (
            serve_behind_proxy() as (proxy, server),
            connect_through(proxy) as (reader, writer),
        ):
            sent = secrets.token_hex(MUCH // 2).encode() + b"\n"
            writer.write(sent)
            writer.write_eof()
            assert await reader.read(-1) == b">" + sent
            assert await server.ends.get() == "closed"
            assert proxy.counts.connections == 1
            await asyncio.gather(*(link.task for link in proxy.links))

    run(scenario())


def test_a_side_that_does_not_read_blocks_the_writer() -> None:
    """The proxy stores no more than a buffer or two, so a slow reader blocks the other side."""

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, server), connect_through(proxy) as client:
            await ask(client)
            transport = client[1].transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            server.writers[0].write(b"x" * 2 * MUCH)  # two pairs are on the way
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(MOMENT):
                    await server.writers[0].drain()
            transport.resume_reading()
            assert await client[0].readexactly(2 * MUCH) == b"x" * 2 * MUCH

    run(scenario())


def test_a_reset_passes_as_a_reset() -> None:
    """When one side resets, the other side sees a reset and not an end."""

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, server):
            for resets in ("server", "client"):
                async with connect_through(proxy) as client:
                    await ask(client)
                    writer = server.writers[-1] if resets == "server" else client[1]
                    reset(writer)
                    if resets == "server":
                        with pytest.raises(ConnectionResetError):
                            await client[0].read(1)
                    assert await server.ends.get() == ("reset" if resets == "client" else "closed")

    run(scenario())


def test_without_a_server_the_client_is_reset() -> None:
    """Without its server the proxy goes on, and resets each new connection."""

    async def scenario() -> None:
        async with Server() as gone:
            address = gone.address
        async with FaultProxy.start(address) as proxy, connect_through(proxy) as client:
            with pytest.raises(ConnectionResetError):
                await client[0].read(1)

    run(scenario())


def test_nothing_is_left_when_the_proxy_ends() -> None:
    """In any mode, no socket and no task is left, and its port is closed."""

    async def scenario() -> None:
        async with Server() as server:
            for mode in ("pass_through", "half_open", "black_hole", "refuse"):
                tasks, files = asyncio.all_tasks(), open_files()
                async with FaultProxy.start(server.address) as proxy:
                    clients = [await asyncio.open_connection(*server.address) for _ in range(2)]
                    clients += [await asyncio.open_connection(proxy.host, proxy.port)]
                    await ask(clients[2])
                    getattr(proxy, mode)()
                    clients += [await asyncio.open_connection(proxy.host, proxy.port)]
                    clients[2][1].write(b"more\n")
                for _, writer in clients:
                    writer.transport.abort()
                    with contextlib.suppress(ConnectionError):
                        await writer.wait_closed()
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(proxy.host, proxy.port)
                for _ in range(server.ends.qsize(), len(server.writers)):
                    await server.ends.get()
                await asyncio.sleep(0)
                assert (asyncio.all_tasks() - tasks, open_files()) == (set(), files)

    run(scenario())


def open_files() -> int:
    """Count this process's descriptors."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208


def test_websocket_traffic_passes() -> None:
    """Messages of any size pass both ways, and the closing handshake with its code."""

    async def repeat(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)
        assert connection.close_code == 4001

    async def scenario() -> None:
        async with serve(repeat, "127.0.0.1", 0) as server:
            host, port = next(iter(server.sockets)).getsockname()
            async with FaultProxy.start((host, port)) as proxy:
                client = await connect(f"ws://{proxy.host}:{proxy.port}")
                messages = ["x" * size for size in (0, 1, 200, 70_000, 900_000)]
                for message in messages:
                    await client.send(message)
                assert [await client.recv() for _ in messages] == messages
                await client.close(code=4001)

    run(scenario())


def test_a_commit_whose_answer_is_swallowed_is_done(database_url: str) -> None:
    """PostgreSQL's protocol passes from TCP to its socket; a lost COMMIT answer leaves the row."""
    with (
        FaultProxy.in_thread(find_postgres_socket(database_url)) as proxy,
        psycopg.connect(database_url, autocommit=True) as direct,
    ):
        direct.execute("CREATE TABLE swallowed AS SELECT 1 AS n WHERE false")
        connection = psycopg.connect(through(database_url, proxy))
        connection.execute("INSERT INTO swallowed SELECT n FROM generate_series(1, 1000) n")
        assert len(connection.execute("SELECT * FROM swallowed").fetchall()) == 1000
        proxy.swallow_responses(count=1)
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        connection.close()
        assert direct.execute("SELECT count(*) FROM swallowed").fetchone() == (1000,)
        with psycopg.connect(through(database_url, proxy)) as connection:
            assert connection.execute("SELECT count(*) FROM swallowed").fetchone() == (1000,)
        assert proxy.counts.swallowed == 1
