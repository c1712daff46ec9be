"""Each fault of the proxy is what it says."""

import asyncio
import time

import pytest

from tests.conformance.clients import run
from tests.rig.echo import MOMENT, MUCH, ask, assert_silent, connect_through, serve_behind_proxy
from tests.rig.proxy import FaultProxy


def test_delays_hold_back_each_way_and_keep_the_order() -> None:
    """An answer takes two delays; jitter keeps the order; after a delay nothing is held back."""

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, _), connect_through(proxy) as client:
            proxy.delay(0.1, jitter=0.05, seed=7)
            begin = time.monotonic()
            assert await ask(client) == b">hello\n"
            assert 0.1 <= time.monotonic() - begin < 1

            proxy.delay(0.01, jitter=0.01, seed=7)
            lines = [f"{n}\n".encode() for n in range(100)]
            for line in lines:
                client[1].write(line)
                await asyncio.sleep(0)
            assert [await client[0].readline() for _ in lines] == [b">" + line for line in lines]

            proxy.delay(60)
            client[1].write(b"late\n")
            await assert_silent(client)
            proxy.pass_through()
            assert await client[0].readline() == b">late\n"

    run(scenario())


def test_reset_ends_both_sides_of_all_connections() -> None:
    """Every open connection is reset on both sides, and the next one works."""

    async def scenario() -> None:
        async with (
            serve_behind_proxy() as (proxy, server),
            connect_through(proxy) as one,
            connect_through(proxy) as two,
        ):
            await ask(one)
            await ask(two)
            proxy.reset()
            for client in (one, two):
                with pytest.raises(ConnectionResetError):
                    await client[0].read(1)
                assert await server.ends.get() == "reset"
            async with connect_through(proxy) as third:
                assert await ask(third) == b">hello\n"
            assert (proxy.counts.connections, proxy.counts.reset) == (3, 2)

    run(scenario())


def test_refusing_resets_the_new_and_keeps_the_old() -> None:
    """A new client is reset before the server sees it; an open connection still works."""

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, server), connect_through(proxy) as old:
            await ask(old)
            proxy.refuse()
            async with connect_through(proxy) as new:
                with pytest.raises(ConnectionResetError):
                    await new[0].read(1)
            assert await ask(old) == b">hello\n"
            assert len(server.writers) == 1
            proxy.pass_through()
            async with connect_through(proxy) as new:
                assert await ask(new) == b">hello\n"

    run(scenario())


def test_half_open_connections_hang_and_then_lose_nothing() -> None:
    """The sender blocks when the buffers are full; afterwards everything arrives."""

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, server), connect_through(proxy) as old:
            await ask(old)
            proxy.half_open()
            async with connect_through(proxy) as new:
                said = b"x" * MUCH + b"\n"
                for client in (old, new):
                    client[1].write(said)
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(MOMENT):
                            await client[1].drain()
                    await assert_silent(client)
                assert server.received.qsize() == 1
                proxy.pass_through()
                for client in (old, new):
                    assert await client[0].readline() == b">" + said

    run(scenario())


@pytest.mark.parametrize(("unread_side", "received"), [("client", 0), ("server", 1)])
def test_one_side_alone_can_hang(unread_side: str, received: int) -> None:
    """Not reading the client, the proxy holds the request back; not the server, the answer."""

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, server), connect_through(proxy) as client:
            await ask(client)
            await server.received.get()
            proxy.half_open("client" if unread_side == "client" else "server")
            client[1].write(b"again\n")
            await assert_silent(client)
            assert server.received.qsize() == received
            proxy.pass_through()
            assert await client[0].readline() == b">again\n"

    run(scenario())


def test_a_black_hole_accepts_everything_and_answers_nothing() -> None:
    """Senders never block, nobody is answered, and the server does not see a client leave."""

    async def scenario() -> None:
        async with (
            serve_behind_proxy() as (proxy, server),
            connect_through(proxy) as old,
            connect_through(proxy) as idle,
        ):
            await ask(old)
            await ask(idle)
            proxy.black_hole()
            async with connect_through(proxy) as new:
                for client in (old, new):
                    client[1].write(b"x" * MUCH + b"\n")
                    await client[1].drain()
                    await assert_silent(client)
                assert (server.received.qsize(), len(server.writers)) == (2, 2)
                proxy.pass_through()
                assert await ask(idle) == b">hello\n"
                for client in (old, new):
                    client[1].write(b"again\n")
                    await assert_silent(client)
            old[1].close()
            async with connect_through(proxy) as later:
                assert await ask(later) == b">hello\n"
                assert (server.received.qsize(), server.ends.qsize()) == (4, 0)
            await server.ends.get()
            proxy.reset()
            assert [await server.ends.get() for _ in range(2)] == ["reset", "reset"]

    run(scenario())


@pytest.mark.parametrize("by_reset", [False, True])
def test_a_connection_is_cut_after_that_many_bytes_of_the_answer(by_reset: bool) -> None:  # noqa: FBT001
    """Exactly that many bytes arrive, then the connection ends; other connections stay."""

    async def scenario() -> None:
        async with (
            serve_behind_proxy() as (proxy, _),
            connect_through(proxy) as (reader, writer),
            connect_through(proxy) as other,
        ):
            await ask((reader, writer))
            proxy.cut_after(10, reset=by_reset, connections=1)
            assert await ask((reader, writer), b"12345\n") == b">12345\n"
            writer.write(b"67890\n")
            assert await reader.readexactly(3) == b">67"
            if by_reset:
                with pytest.raises(ConnectionResetError):
                    await reader.read(1)
            else:
                assert await reader.read(1) == b""
            assert await ask(other, b"1234567890\n") == b">1234567890\n"
            assert proxy.counts.cut == 1

    run(scenario())


def test_a_swallowed_answer_resets_a_client_whose_request_was_done() -> None:
    """The server gets the request, its client a reset, and the next request is answered.

    What a server sends without a request is no answer and passes.
    """

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, server), connect_through(proxy) as client:
            await ask(client)
            proxy.swallow_responses(count=1)
            server.writers[0].write(b"news\n")
            assert await client[0].readline() == b"news\n"
            client[1].write(b"do it\n")
            with pytest.raises(ConnectionResetError):
                await client[0].read(1)
            assert [await server.received.get() for _ in range(2)] == [b"hello\n", b"do it\n"]
            assert await server.ends.get() == "closed"
            async with connect_through(proxy) as next_one:
                assert await ask(next_one) == b">hello\n"
            assert proxy.counts.swallowed == 1

    run(scenario())


def test_equal_seeds_swallow_the_same_answers() -> None:
    """About the given share of the answers is swallowed; an equal seed chooses the same ones."""

    async def swallowed(proxy: FaultProxy) -> list[bool]:
        proxy.swallow_responses(probability=0.3, seed=11)
        fates = []
        for _ in range(100):
            async with connect_through(proxy) as client:
                try:
                    fates.append(await ask(client) != b">hello\n")
                except ConnectionResetError:
                    fates.append(True)
        return fates

    async def scenario() -> None:
        async with serve_behind_proxy() as (proxy, _):
            first = await swallowed(proxy)
            assert 15 < sum(first) < 45
            assert await swallowed(proxy) == first

    run(scenario())
