"""A device holds what the service has, after any interruption."""

import asyncio
import signal

import httpx
import pytest

from chat.actions.messages import NewMessage, delete_message, send_messages
from chat.actions.rooms import create_room, rename_room
from chat.sql.database import run_call
from client.reducer import Reducer
from tests.client.conftest import Follow, send_unheard, start_again
from tests.conformance.clients import Outbox, run
from tests.conformance.servers import SECRET, RunningServer
from tests.conftest import Connection
from tests.support.actors import Actor
from tests.support.outcomes import name_outcome
from tests.support.processes import start_api

OVERRUN = 110
"""More events than Centrifugo keeps of a channel."""


@pytest.fixture
def room_id(host: Actor, alice: Actor, bob: Actor) -> int:
    """Return a room of Alice's and Bob's, at version 2."""
    return host.create_room(alice, bob)


def send_many(connection: Connection, user: Actor, room_id: int, count: int) -> None:
    """Send messages in one transaction."""
    messages = [NewMessage(room_id, user.user_id, f"{n}", f"text {n}") for n in range(count)]
    sent = run_call(connection, send_messages(messages))
    assert {name_outcome(one) for one in sent} == {"sent"}


def go_back(connection: Connection, room_id: int) -> None:
    """Set the room back to version 3, its first message, as a restored backup would."""
    connection.execute("DELETE FROM chat_event WHERE room_id = %s AND version > 3", [room_id])
    connection.execute("DELETE FROM chat_message WHERE room_id = %s AND seq > 1", [room_id])
    connection.execute(
        "UPDATE chat_room r SET version = 3, last_seq = 1, bumped_at = m.created_at, bump_id = m.id"
        " FROM chat_message m WHERE r.id = %s AND m.room_id = r.id",
        [room_id],
    )


async def wait_drained(database_url: str) -> None:
    """Wait until everything that was written is published."""
    async with Outbox.open(database_url) as outbox:
        await outbox.wait_drained()


@pytest.mark.slow
def test_at_the_first_start_everything_is_held(
    follow: Follow, connection: Connection, alice: Actor
) -> None:
    """The device reads all pages of rooms, members and messages, as the API shows them."""
    crowd = [f"{alice.user_id}-{n}" for n in range(203)]
    for n in range(203):
        run_call(connection, create_room(f"room {n}", [alice.user_id]))
    created = run_call(connection, create_room("large", [alice.user_id, *crowd]))
    send_many(connection, alice, created.room.id, 250)

    async def scenario() -> None:
        async with follow(alice, reducer=Reducer(alice.user_id, keep=220)) as follower:
            await follower.device.start()
            assert len(follower.reducer.versions()) == 204
            await follower.check()
            assert follower.notebook.applied == []

    run(scenario())


def test_events_keep_it_up_to_date(
    follow: Follow, connection: Connection, room_id: int, alice: Actor, bob: Actor, host: Actor
) -> None:
    """Every change of a room is shown without a further request."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            message = alice.send(room_id, "hello").json()
            alice.send(room_id, "again")
            run_call(connection, delete_message(message["id"]))
            run_call(connection, rename_room(room_id, "renamed"))
            host.post(f"/api/rooms/{room_id}/members/", {"users": [f"{bob.user_id}-2"]})
            alice.post(f"/api/rooms/{room_id}/leave/")
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.applied_versions == [3, 4, 5, 6, 7, 8]
            assert follower.notebook.fetches == []
            assert follower.notebook.snapshots == [(room_id, 2)]

    run(scenario())


def test_a_room_appears_when_the_user_is_added(
    follow: Follow, alice: Actor, bob: Actor, host: Actor
) -> None:
    """The first event of a room makes the device read it."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            room_id = host.create_room(alice, bob)
            await follower.wait_for(room_id)
            alice.send(room_id, "hello")
            await follower.wait_for(room_id)
            await follower.check()

    run(scenario())


def test_a_room_disappears_when_the_user_is_removed(
    follow: Follow, database_url: str, room_id: int, alice: Actor, bob: Actor, host: Actor
) -> None:
    """The last event of a room removes it, and a repeated event does not bring it back."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            alice.send(room_id, "hello")
            host.delete(f"/api/rooms/{room_id}/members/{bob.user_id}/")
            async with asyncio.timeout(20):
                await follower.device.wait_until(lambda: not follower.reducer.versions())
            assert follower.notebook.fetches == []
            async with Outbox.open(database_url) as outbox:
                await outbox.publish(f"personal:{bob.user_id}", follower.notebook.frames[0])
            await follower.notebook.wait_until(lambda: len(follower.notebook.frames) == 3)
            await follower.device.wait_until(lambda: follower.device.is_settled)
            await follower.check()
            assert follower.notebook.forgotten == [room_id]

    run(scenario())


def test_a_gap_is_fetched(
    follow: Follow, connection: Connection, room_id: int, alice: Actor
) -> None:
    """An event did not arrive: when the next one does, the device fetches both."""

    async def scenario() -> None:
        async with follow(alice) as follower:
            await follower.device.start()
            send_unheard(connection, room_id, alice)
            alice.send(room_id, "heard")
            await follower.wait_for(room_id)
            await follower.check()
            assert len(follower.notebook.frames) == 1
            assert follower.notebook.fetches == [(room_id, 2, 200)]
            assert follower.notebook.applied_versions == [3, 4]

    run(scenario())


def test_a_short_absence_is_recovered(
    follow: Follow, room_id: int, alice: Actor, bob: Actor
) -> None:
    """What Centrifugo still has is replayed, without a request to the API."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            alice.send(room_id, "a position to recover from")
            await follower.wait_for(room_id)
            await follower.device.pause()
            assert not follower.device.is_settled
            for n in range(5):
                alice.send(room_id, f"text {n}")
            await follower.device.resume()
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.subscriptions == [(False, False), (True, True)]
            assert follower.notebook.fetches == []

    run(scenario())


def test_events_of_a_long_absence_are_read_from_the_log(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    bob: Actor,
) -> None:
    """Events that the channel's history no longer has are fetched page by page, none twice."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.pause()
            send_many(connection, alice, room_id, 450)
            await wait_drained(database_url)
            await follower.device.resume()
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.subscriptions == [(False, False), (False, True)]
            assert follower.notebook.fetches == [(room_id, v, 200) for v in (2, 202, 402)]
            assert follower.notebook.applied_versions == list(range(3, 453))
            assert follower.notebook.snapshots == [(room_id, 2)]

    run(scenario())


@pytest.mark.parametrize("missed", [0, OVERRUN])
def test_a_user_removed_and_added_again_sees_the_current_room(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    bob: Actor,
    host: Actor,
    missed: int,
) -> None:
    """Changes while the user was no member are shown, after a recovery and after a fetch."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.pause()
            host.delete(f"/api/rooms/{room_id}/members/{bob.user_id}/")
            alice.send(room_id, "while Bob was no member")
            host.post(f"/api/rooms/{room_id}/members/", {"users": [bob.user_id]})
            send_many(connection, alice, room_id, missed or 1)
            await wait_drained(database_url)
            await follower.device.resume()
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.forgotten == [room_id]
            assert follower.notebook.applied[0]["type"] == "user_left"

    run(scenario())


def test_a_user_removed_during_a_long_absence_holds_nothing(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    bob: Actor,
    host: Actor,
) -> None:
    """The event is lost, but the room is missing in the list, and its log answers 404."""
    other_id = host.create_room(alice, bob)

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.pause()
            host.delete(f"/api/rooms/{room_id}/members/{bob.user_id}/")
            send_many(connection, alice, other_id, OVERRUN)
            await wait_drained(database_url)
            await follower.device.resume()
            async with asyncio.timeout(20):
                await follower.device.wait_until(
                    lambda: list(follower.reducer.versions()) == [other_id]
                )
            await follower.wait_for(other_id)
            await follower.check()
            assert (room_id, 2, 404) in follower.notebook.fetches

    run(scenario())


def test_a_realtime_server_may_lose_its_history(
    follow: Follow, server: RunningServer, room_id: int, alice: Actor, bob: Actor
) -> None:
    """After a crash of the realtime server the device connects again and fetches what it missed."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            alice.send(room_id, "before")
            await follower.wait_for(room_id)
            server.kill()
            alice.send(room_id, "in between")
            start_again(server)
            await follower.wait_for(room_id)
            alice.send(room_id, "after")
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.applied_versions == [3, 4, 5]
            assert follower.notebook.snapshots == [(room_id, 2)]

    run(scenario())


def test_a_room_with_a_pruned_log_is_read_again(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    bob: Actor,
) -> None:
    """If the log no longer has the events (410), the room is read, and later events apply."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.pause()
            send_many(connection, alice, room_id, OVERRUN)
            await wait_drained(database_url)
            connection.execute(
                "DELETE FROM chat_event WHERE room_id = %s AND version < 50", [room_id]
            )
            await follower.device.resume()
            await follower.wait_for(room_id)
            alice.send(room_id, "on it goes")
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.fetches == [(room_id, 2, 410)]
            assert follower.notebook.applied_versions == [OVERRUN + 3]

    run(scenario())


def test_a_room_that_went_back_is_read_again(
    follow: Follow, connection: Connection, room_id: int, alice: Actor, bob: Actor
) -> None:
    """After a restored backup the version is smaller; messages that were lost are not shown."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            for n in range(3):
                alice.send(room_id, f"text {n}")
            await follower.wait_for(room_id)
            await follower.device.stop()
            go_back(connection, room_id)
            await follower.device.start()
            await follower.check()
            assert follower.reducer.versions() == {room_id: 3}

    run(scenario())


@pytest.mark.slow
def test_requests_are_repeated_until_the_api_answers(
    follow: Follow,
    connection: Connection,
    database_url: str,
    room_id: int,
    alice: Actor,
    bob: Actor,
) -> None:
    """A fetch from an API that is frozen is repeated until it answers, and nothing is lost."""

    async def scenario() -> None:
        with start_api(database_url, CENTRIFUGO_TOKEN_SECRET=SECRET) as (url, process):
            async with follow(bob, seconds=0.3) as follower:
                await follower.device.start()
                await follower.device.pause()
                send_many(connection, alice, room_id, OVERRUN)
                await wait_drained(database_url)
                follower.http.base_url = httpx.URL(url)
                (await follower.http.get("/health/ready", timeout=20)).raise_for_status()
                process.send_signal(signal.SIGSTOP)
                await follower.device.resume()
                attempts = [await follower.unanswered.get() for _ in range(3)]
                alice.send(room_id, "meanwhile")
                process.send_signal(signal.SIGCONT)
                await follower.wait_for(room_id)
                await follower.check()
                assert len(attempts) == 3
                assert follower.notebook.applied_versions == list(range(3, OVERRUN + 4))

    run(scenario())
