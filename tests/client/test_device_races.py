"""Events that arrive during reads are not lost or applied out of order; refusals end a device."""

import asyncio
from itertools import pairwise

import pytest

from client import api as api_module
from client import device as device_module
from client.api import DeviceEndedError
from tests.client.conftest import Follow, start_again
from tests.conformance.clients import Outbox, run
from tests.conformance.servers import RunningServer
from tests.support.actors import Actor


@pytest.fixture
def room_id(host: Actor, alice: Actor, bob: Actor) -> int:
    """Return a room of Alice's and Bob's, at version 2."""
    return host.create_room(alice, bob)


@pytest.mark.parametrize("path", ["/api/rooms/?", "/api/rooms/{}/members/", "/api/rooms/{}/mess"])
def test_events_that_arrive_during_the_first_reads_follow_them(
    follow: Follow, room_id: int, alice: Actor, bob: Actor, host: Actor, path: str
) -> None:
    """Events that arrive between two reads are applied after the reads, in order."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            gate = follower.close_gate(path.format(room_id))
            starting = asyncio.create_task(follower.device.start())
            await gate.reached.wait()
            alice.send(room_id, "one")
            host.post(f"/api/rooms/{room_id}/members/", {"users": [f"{bob.user_id}-2"]})
            alice.send(room_id, "two")
            await follower.notebook.wait_until(lambda: len(follower.notebook.frames) == 3)
            assert follower.notebook.applied == []
            gate.opened.set()
            await starting
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.snapshots == [(room_id, 2)]
            assert follower.notebook.applied_versions == [3, 4, 5]
            assert follower.notebook.fetches == []

    run(scenario())


def test_a_resync_while_another_runs(
    follow: Follow, server: RunningServer, room_id: int, alice: Actor, bob: Actor
) -> None:
    """Events lost during a resync are fetched too, though its list of rooms is too old."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            gate = follower.close_gate("/api/rooms/?")
            starting = asyncio.create_task(follower.device.start())
            await gate.reached.wait()
            server.kill()
            alice.send(room_id, "in between")
            start_again(server)
            await follower.notebook.wait_until(lambda: len(follower.notebook.subscriptions) == 2)
            gate.opened.set()
            await starting
            await follower.wait_for(room_id)
            await follower.check()

    run(scenario())


def test_a_room_that_moves_while_the_list_is_read_is_not_dropped(
    follow: Follow,
    room_id: int,
    alice: Actor,
    bob: Actor,
    host: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Moved to the front between two pages, it is on neither; the user still sees it."""
    monkeypatch.setattr(api_module, "PAGE", 1)
    host.create_room(alice, bob, name="before it in the list")

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.stop()
            gate = follower.close_gate("/api/rooms/?")
            starting = asyncio.create_task(follower.device.start())
            await gate.reached.wait()
            alice.send(room_id, "hello")
            gate.opened.set()
            await starting
            await follower.wait_for(room_id)
            await follower.check()
            assert follower.notebook.forgotten == []

    run(scenario())


def test_events_beyond_the_backlog_are_fetched(
    follow: Follow,
    room_id: int,
    alice: Actor,
    bob: Actor,
    host: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the API hangs, memory is bounded: further events are dropped and fetched later."""
    monkeypatch.setattr(device_module, "BACKLOG", 3)
    other_id = host.create_room(alice, bob)

    async def scenario() -> None:
        async with follow(bob) as follower:
            gate = follower.close_gate("/api/rooms/?")
            starting = asyncio.create_task(follower.device.start())
            await gate.reached.wait()
            # The events of the first room are dropped, and the others do not mention it.
            for n in range(8):
                alice.send(room_id if n < 4 else other_id, f"text {n}")
            await follower.notebook.wait_until(lambda: len(follower.notebook.frames) == 8)
            gate.opened.set()
            await starting
            await follower.wait_for(room_id, other_id)
            await follower.check()
            assert sorted(follower.notebook.applied_versions) == [3, 3, 4, 4, 5, 5, 6, 6]
            assert (room_id, 2, 200) in follower.notebook.fetches

    run(scenario())


def test_an_event_published_again_is_applied_once(
    follow: Follow, database_url: str, room_id: int, alice: Actor, bob: Actor
) -> None:
    """After a crash events can come late and twice; no user sees a message twice."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            alice.send(room_id, "one")
            alice.send(room_id, "two")
            await follower.wait_for(room_id)
            again = follower.notebook.frames[:2]
            async with Outbox.open(database_url) as outbox:
                await outbox.publish(f"personal:{bob.user_id}", *again)
            await follower.notebook.wait_until(lambda: len(follower.notebook.frames) == 4)
            alice.send(room_id, "three")
            await follower.wait_for(room_id)
            await follower.check()
            versions = follower.notebook.applied_versions
            assert all(after == before + 1 for before, after in pairwise(versions))

    run(scenario())


async def disconnect(database_url: str, user: Actor, code: int) -> None:
    """Make the realtime server disconnect the user."""
    async with Outbox.open(database_url) as outbox:
        reason = {"code": code, "reason": "the test's"}
        await outbox.write("disconnect", {"user": user.user_id, "disconnect": reason})


def test_a_server_that_refuses_for_good_ends_the_device(
    follow: Follow, database_url: str, room_id: int, bob: Actor
) -> None:
    """A caller that waits gets an error which says that the device has ended, and why."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await disconnect(database_url, bob, 3503)
            with pytest.raises(DeviceEndedError, match="3503 the test's"):
                await follower.device.wait_for_versions({room_id: 99}, within=20)

    run(scenario())


def test_a_refused_token_ends_the_device(
    follow: Follow, database_url: str, room_id: int, bob: Actor
) -> None:
    """A user who is logged out gets an error when a new token is refused, and does not wait."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            follower.http.headers["Authorization"] = "Bearer expired"
            # 3014, "state invalidated": the SDK connects again with new tokens.
            await disconnect(database_url, bob, 3014)
            with pytest.raises(DeviceEndedError, match="unauthorized"):
                await follower.device.wait_for_versions({room_id: 99}, within=20)

    run(scenario())


def test_an_api_that_refuses_ends_the_device(
    follow: Follow, alice: Actor, bob: Actor, host: Actor
) -> None:
    """A user who is logged out does not see an old state as if nothing had changed since."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            follower.http.headers["Authorization"] = "Bearer expired"
            room_id = host.create_room(alice, bob)
            with pytest.raises(DeviceEndedError, match=f"401 for /api/rooms/{room_id}/"):
                await follower.device.wait_for_versions({room_id: 1}, within=20)

    run(scenario())


def test_a_stranger_cannot_start(follow: Follow, bob: Actor) -> None:
    """Without a valid token, start fails at once."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            follower.http.headers["Authorization"] = "Bearer forged"
            with pytest.raises(DeviceEndedError, match="401 for /api/token/connection/"):
                await follower.device.start()

    run(scenario())


def test_a_device_can_start_again(follow: Follow, room_id: int, alice: Actor, bob: Actor) -> None:
    """After a stop and a start it keeps its state, and fetches only what is missing."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            await follower.device.stop()
            alice.send(room_id, "in between")
            await follower.device.start()
            await follower.check()
            assert follower.notebook.fetches == [(room_id, 2, 200)]
            assert follower.notebook.snapshots == [(room_id, 2)]

    run(scenario())


def test_a_caller_that_waits_gets_an_error_when_the_device_stops(
    follow: Follow, bob: Actor
) -> None:
    """One part of an application does not wait for ever when another part logs out."""

    async def scenario() -> None:
        async with follow(bob) as follower:
            await follower.device.start()
            waiting = asyncio.create_task(follower.device.wait_until(lambda: False))
            await asyncio.sleep(0)
            await follower.device.stop()
            with pytest.raises(DeviceEndedError, match="stopped"):
                await waiting

    run(scenario())
