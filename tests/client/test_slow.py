"""A device that is cut off as slow, because what it missed does not fit the server's queue."""

from collections.abc import Iterator

import psycopg
import pytest

from chat.actions.messages import NewMessage, send_messages
from chat.sql.database import run_call
from tests.client.conftest import Follow
from tests.client.test_device import wait_drained
from tests.conformance.clients import run
from tests.conformance.servers import RunningServer, start_server
from tests.conftest import Connection
from tests.support.actors import Actor
from tests.support.outcomes import name_outcome

QUEUE = 20_000
"""Bytes. The missed events below are more than twice as many, and fit the channel's history."""


@pytest.fixture(scope="module")
def server(kind: str, database_url: str) -> Iterator[RunningServer]:
    """A realtime server with a small queue for each client."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT outbox_partitions FROM chat_installation").fetchone()
    assert row is not None
    running = start_server(kind, database_url, int(row[0]), {"QUEUE_MAX_SIZE": str(QUEUE)})
    yield running
    running.stop()


def send_long(connection: Connection, sender: Actor, room_id: int) -> None:
    """Send 40 messages, together longer than the queue."""
    messages = [NewMessage(room_id, sender.user_id, f"{n}", f"{n} ".ljust(1000)) for n in range(40)]
    sent = run_call(connection, send_messages(messages))
    assert {name_outcome(one) for one in sent} == {"sent"}


@pytest.mark.slow
def test_a_device_that_cannot_recover_reads_its_rooms_instead(
    follow: Follow,
    server: RunningServer,
    connection: Connection,
    database_url: str,
    alice: Actor,
    bob: Actor,
    host: Actor,
) -> None:
    """Cut off as slow, it drops its position and reads its rooms; later events arrive as ever."""
    room_id = host.create_room(alice, bob)

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.pause()
            send_long(connection, alice, room_id)
            await wait_drained(database_url)
            subscribed = len(follower.notebook.subscriptions)

            await follower.device.resume()
            await follower.wait_for(room_id)
            await follower.check()
            # Centrifugo sends and counts at the same time, so it may have sent all of it first.
            if (
                server.is_gateway
                or (True, True) not in follower.notebook.subscriptions[subscribed:]
            ):
                assert follower.notebook.subscriptions[subscribed:] == [(False, False)]

            alice.send(room_id, "later")
            await follower.wait_for(room_id)
            await follower.check()
            await follower.device.pause()
            alice.send(room_id, "one more")
            await follower.device.resume()
            await follower.wait_for(room_id)
            assert follower.notebook.subscriptions[-1] == (True, True)

    run(scenario())
