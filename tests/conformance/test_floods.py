"""A flood into a very large room, and the rooms beside it."""

import asyncio
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.conformance.clients import Outbox, RawClient, run
from tests.conformance.floods import queue_sends
from tests.conformance.servers import RunningServer, start_server

SENDS = 40


@pytest.fixture
def flooded_server(kind: str, database_url: str, partitions: int) -> Iterator[RunningServer]:
    """A server of the test's own; what is left of the flood is deleted."""
    running = start_server(kind, database_url, partitions)
    yield running
    assert running.stop() == 0
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM chat_outbox")


async def count_rows(outbox: Outbox, partition: int) -> int:
    """Return how many rows of a partition wait."""
    cursor = await outbox.connection.execute(
        "SELECT count(*) FROM chat_outbox WHERE partition = %s", [partition]
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def find_partition(outbox: Outbox, room: int, members: int) -> int:
    """Return the partition of a room of so many members."""
    cursor = await outbox.connection.execute(
        "SELECT chat.partition_of(%s, %s, outbox_partitions) FROM chat_installation",
        [room, members],
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.slow
def test_a_flood_into_a_large_room_delays_no_small_room(
    flooded_server: RunningServer, database_url: str
) -> None:
    """While 40 sends to 20,000 listeners are published, events of every small room arrive.

    They arrive with most of the flood still waiting, so they did not wait for it.
    """

    async def scenario() -> None:
        async with (
            RawClient.subscribed(flooded_server) as client,
            Outbox.open(database_url) as outbox,
        ):
            flooded = await find_partition(outbox, 1, 20_000)
            await asyncio.to_thread(queue_sends, database_url, SENDS, size=700)
            await outbox.connection.execute("SELECT pg_notify('chat_outbox', %s)", [str(flooded)])
            whole = await count_rows(outbox, flooded)
            delays = []
            for room in range(1, 9):
                began = time.monotonic()
                partition = await find_partition(outbox, room, 1000)
                await outbox.publish(client.channel, {"room": room}, partition=partition)
                assert await client.receive_data() == {"room": room}
                delays.append(time.monotonic() - began)
            left = await count_rows(outbox, flooded)
            assert left > whole / 2, f"{left} of {whole} rows are left; delays {delays}"

    run(scenario())
