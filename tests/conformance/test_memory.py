"""The gateway's memory has a bound, however much is published; nothing is lost without a sign.

Only the gateway has these bounds: Centrifugo keeps what `history_size` and `history_ttl` allow.
"""

import asyncio
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.gateway.broker import Broker, Position
from embedded.gateway.limits import Limits
from tests.conformance.clients import Outbox, RawClient, new_user, run
from tests.conformance.floods import MEMBERS, queue_sends
from tests.conformance.servers import RunningServer, start_server

MEGABYTE = 1 << 20
HISTORY_BYTES, KEY_BYTES = 32 * MEGABYTE, 8 * MEGABYTE


@pytest.fixture
def narrow_gateway(database_url: str, partitions: int) -> Iterator[RunningServer]:
    """A gateway whose histories together have 32 MiB, and whose keys have eight."""
    bounds = {
        "HISTORY_MAX_BYTES": str(HISTORY_BYTES),
        "IDEMPOTENCY_MAX_BYTES": str(KEY_BYTES),
    }
    running = start_server("gateway", database_url, partitions, bounds)
    yield running
    assert running.stop() == 0


def read_memory(server: RunningServer) -> int:
    """Return the resident memory of a process, in bytes."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_sends_to_everyone_do_not_fill_the_memory(
    narrow_gateway: RunningServer, database_url: str
) -> None:
    """200 sends of 10 KB to 20,000 listeners: no more memory than the bounds and the positions.

    Without the bounds it is 104 MiB after these, not 47, and grows with each send for five minutes.
    """

    async def scenario() -> None:
        async with Outbox.open(database_url) as outbox:
            before = read_memory(narrow_gateway)
            for first in range(0, 200, 20):
                await asyncio.to_thread(queue_sends, database_url, 20, size=10_000, first=first)
                async with asyncio.timeout(20):
                    await outbox.wait_drained()
            grown = read_memory(narrow_gateway) - before
            # A position takes 350 bytes, with its name; the rest is the rows that are being read.
            bound = HISTORY_BYTES + KEY_BYTES + MEMBERS * 600 + 15 * MEGABYTE
            assert grown < bound, f"{grown / MEGABYTE:.0f} MiB"

    run(scenario())


def test_what_was_dropped_is_not_recovered(
    narrow_gateway: RunningServer, database_url: str
) -> None:
    """A client whose history was dropped for others is answered so, and what came later is sent.

    The channel keeps its epoch and its offsets, so the client sees exactly how much is missing.
    """

    async def scenario() -> None:
        user = new_user()
        async with Outbox.open(database_url) as outbox:
            async with RawClient.subscribed(narrow_gateway, user) as client:
                await outbox.publish(client.channel, {"n": 1}, {"n": 2})
                epoch = (await client.receive_push())["pub"]["epoch"]
                assert await client.receive_data() == {"n": 2}
            await outbox.publish(client.channel, {"n": 3})
            for number in range(14):
                # 100 × 25 KB: more than the 32 MiB in all.
                others = ({"text": "x" * 25_000} for _ in range(100))
                await outbox.publish(f"personal:other-{number}", *others)
            await outbox.publish(client.channel, {"n": 4})
            await outbox.wait_drained()
            async with RawClient.connected(narrow_gateway, user) as client:
                result = (await client.subscribe(recover=True, offset=2, epoch=epoch))["subscribe"]
                assert "recovered" not in result
                assert "publications" not in result
                assert (result["offset"], result["epoch"]) == (4, epoch)
                await client.call("unsubscribe", channel=client.channel)
                result = (await client.subscribe(recover=True, offset=3, epoch=epoch))["subscribe"]
                assert result["recovered"]
                assert [pub["data"] for pub in result["publications"]] == [{"n": 4}]

    run(scenario())


def test_the_channels_of_a_row_share_its_bytes() -> None:
    """A publication of 10 KB to 1,000 channels takes 10 KB and some bytes a channel."""
    broker = Broker(Limits())
    names = [f"personal:{n}" for n in range(1000)]
    broker.publish(names, b"{}", "first")
    tracemalloc.start()
    broker.publish(names, b'{"text":"%b"}' % (b"x" * 10_000), "second")
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert taken < 10_000 + 1000 * 60


def test_histories_expire_though_nobody_reads_them() -> None:
    """A sweep frees what is older than `history_ttl`, and positions after `history_meta_ttl`."""
    broker = Broker(Limits(history_ttl=0.0, history_meta_ttl=3600.0, idempotency_ttl=0.0))
    names = [f"personal:{n}" for n in range(1000)]
    tracemalloc.start()
    broker.publish(names, b"{}", "0")
    for _ in broker.forget_expired():
        pass
    before, _ = tracemalloc.get_traced_memory()
    for number in range(1, 50):
        broker.publish(names, b'{"text":"%b"}' % (b"x" * 10_000), str(number))
    for _ in broker.forget_expired():
        pass
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before < 5_000
    assert broker.get_position("personal:7").offset == 50
    assert broker.find_missed("personal:7", Position(49, "")) is None


def test_a_bound_of_nothing_keeps_nothing() -> None:
    """Publications are sent and counted, and none is kept."""
    broker = Broker(Limits(history_max_bytes=0, idempotency_max_bytes=0))
    for number in range(3):
        broker.publish(["personal:a", "personal:b"], b'{"n":%d}' % number, str(number))

    assert broker.get_position("personal:b").offset == 3
    assert broker.find_missed("personal:b", Position(3, "")) == []
    assert broker.find_missed("personal:b", Position(2, "")) is None


def test_the_latest_keys_are_remembered() -> None:
    """Beyond the bound the oldest keys are forgotten; a repeated recent one is published once."""
    broker = Broker(Limits(idempotency_max_bytes=10_000))
    for number in range(200):
        broker.publish(["personal:a"], b'{"n":%d}' % number, str(number))
    broker.publish(["personal:a"], b"{}", "190")
    assert broker.get_position("personal:a").offset == 200

    broker.publish(["personal:a"], b"{}", "3")
    assert broker.get_position("personal:a").offset == 201
