"""The outbox is published in order, once per key, and a bad row does not stop the others."""

import asyncio

import pytest

from tests.conformance.clients import (
    Outbox,
    RawClient,
    blocked_deletes,
    counted_deletes,
    new_user,
    run,
)
from tests.conformance.servers import RunningServer


def test_order_of_publications(server: RunningServer, database_url: str) -> None:
    """200 publications of one partition arrive in id order, across batches and transactions."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            await outbox.publish(client.channel, *({"n": n} for n in range(150)))
            for number in range(150, 200):
                await outbox.publish(client.channel, {"n": number})
            for number in range(200):
                push = await client.receive_push()
                assert push["pub"]["data"] == {"n": number}
                assert push["pub"]["offset"] == number + 1
            await outbox.wait_drained()

    run(scenario())


def test_idempotency_key(server: RunningServer, database_url: str) -> None:
    """A key is published once per channel; another channel's equal key is another key."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            other = f"{client.channel}-2"
            await client.subscribe(other)
            await outbox.publish(client.channel, {"n": 1}, key="e:1")
            await outbox.publish(client.channel, {"n": 2}, key="e:1")
            await outbox.publish(other, {"n": 3}, key="e:1")
            await outbox.publish(client.channel, {"n": 4}, key="e:2")
            await outbox.publish(client.channel, {"n": 5}, {"n": 5})
            data = [(await client.receive_data())["n"] for _ in range(5)]
            assert data == [1, 3, 4, 5, 5]

    run(scenario())


def test_broadcast_reaches_every_channel(server: RunningServer, database_url: str) -> None:
    """A broadcast to a thousand channels reaches all of them, also those after an unknown one."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            channels = [f"personal:{new_user()}" for _ in range(998)]
            channels = ["other:x", *channels, client.channel]
            await outbox.write("broadcast", {"channels": channels, "data": {"n": 1}})
            assert await client.receive_data() == {"n": 1}
            await outbox.write("publish", {"channel": client.channel, "data": {"n": 2}})
            assert await client.receive_data() == {"n": 2}

    run(scenario())


@pytest.mark.parametrize(
    "method, payload",
    [
        ("unknown", {"channel": "{own}", "data": {}}),
        ("", {}),
        ("publish", {}),
        ("publish", []),
        ("publish", None),
        ("publish", "text"),
        ("publish", {"channel": "", "data": {}}),
        ("publish", {"channel": "{own}"}),
        ("publish", {"channel": "{own}", "data": None}),
        ("publish", {"channel": "{own}", "data": "text"}),
        ("publish", {"channel": "{own}", "data": [1]}),
        ("publish", {"channel": 5, "data": {}}),
        ("publish", {"channel": "other:x", "data": {}}),
        ("broadcast", {"channels": [], "data": {}}),
        ("broadcast", {"channels": "{own}", "data": {}}),
        ("broadcast", {"channels": ["{own}"], "data": 1}),
        ("unsubscribe", {"user": "nobody", "channel": "other:x"}),
        ("disconnect", {"user": 1}),
    ],
)
def test_bad_row_is_dropped(
    server: RunningServer, database_url: str, method: str, payload: object
) -> None:
    """A row that cannot be published is deleted, and the rows after it are published."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            bad = payload
            if isinstance(payload, dict):
                own = {"{own}": client.channel}
                bad = {
                    name: own.get(value, value) if isinstance(value, str) else value
                    for name, value in payload.items()
                }
            await outbox.write(method, bad)
            await outbox.publish(client.channel, {"n": 1})
            assert await client.receive_data() == {"n": 1}
            await outbox.wait_drained()

    run(scenario())


def test_without_notification(server: RunningServer, database_url: str) -> None:
    """A row whose writer does not notify is found by polling."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            await outbox.connection.execute(
                "INSERT INTO chat_outbox (method, payload, partition, created_at)"
                " SELECT 'publish', json_build_object('channel', %s::text, 'data', '{}'::json),"
                " 1, now()",
                (client.channel,),
            )
            assert await client.receive_data() == {}

    run(scenario())


def test_uncommitted_rows_are_not_published(server: RunningServer, database_url: str) -> None:
    """A row of an open transaction is published after its commit, though later rows came first."""

    async def scenario() -> None:
        async with (
            RawClient.subscribed(server) as client,
            Outbox.open(database_url) as slow,
            Outbox.open(database_url) as quick,
        ):
            async with slow.connection.transaction():
                await slow.publish(client.channel, {"n": 1})
                # A higher id, committed first: an id cursor would skip the lower one for ever.
                await quick.publish(client.channel, {"n": 2})
                assert await client.receive_data() == {"n": 2}
            assert await client.receive_data() == {"n": 1}

    run(scenario())


def test_slow_partition_stops_no_other(server: RunningServer, database_url: str) -> None:
    """While one partition cannot delete its rows, the others go on; afterwards it does too."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            with blocked_deletes(database_url, partition=0):
                await outbox.publish(client.channel, {"n": 1}, partition=0)
                assert await client.receive_data() == {"n": 1}
                await outbox.publish(client.channel, {"n": 2}, partition=0)
                for number in range(3, 10):
                    await outbox.publish(client.channel, {"n": number}, partition=1)
                    assert await client.receive_data() == {"n": number}
            assert await client.receive_data() == {"n": 2}

    run(scenario())


def test_partitions_are_drained_together(server: RunningServer, database_url: str) -> None:
    """Rows of 8 partitions, committed together, cost the gateway 3 transactions at most, not 8."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            with counted_deletes(database_url) as count:
                async with outbox.connection.transaction():
                    for partition in range(8):
                        await outbox.publish(client.channel, {"n": partition}, partition=partition)
                received = {(await client.receive_data())["n"] for _ in range(8)}
                assert received == set(range(8))
                await outbox.wait_drained()
                assert count() <= (3 if server.is_gateway else 8)

    run(scenario())


def test_slow_consumer(server: RunningServer, database_url: str) -> None:
    """A client with more than 4 MiB unread is closed with 3008, and can recover."""

    async def scenario() -> None:
        user = new_user()
        async with (
            RawClient.subscribed(server, user) as slow,
            RawClient.subscribed(server, user) as quick,
            Outbox.open(database_url) as outbox,
        ):
            slow.websocket.transport.pause_reading()
            reader = asyncio.create_task(count_publications(quick, 60))
            await outbox.publish(slow.channel, *({"text": "x" * 200_000} for _ in range(60)))
            await outbox.wait_drained()
            slow.websocket.transport.resume_reading()
            assert await slow.wait_closed() == (3008, "slow")
            assert 0 < len(slow.unread) < 60
            # A slow client does not delay another client, and it loses nothing.
            await reader

    run(scenario())


def test_client_that_reads_late(server: RunningServer, database_url: str) -> None:
    """A client that stops reading for a while, with less than 4 MiB unread, receives everything."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            # 6 MB: more than the kernel buffers, and less than those and 4 MiB together.
            client.websocket.transport.pause_reading()
            await outbox.publish(client.channel, *({"text": "x" * 50_000} for _ in range(120)))
            await outbox.wait_drained()
            client.websocket.transport.resume_reading()
            await count_publications(client, 120)

    run(scenario())


async def count_publications(client: RawClient, expected: int) -> None:
    """Receive publications without a gap."""
    for offset in range(1, expected + 1):
        assert (await client.receive_push())["pub"]["offset"] == offset
