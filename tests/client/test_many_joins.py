"""Many users join a large room at once, and nobody who listens has to read anything."""

from collections.abc import Callable

import httpx
import pytest

from tests.client.conftest import Follow, Follower, send_unheard
from tests.conformance.clients import run
from tests.conftest import Connection
from tests.support.actors import Actor

pytestmark = pytest.mark.slow
Fill = Callable[[int], int]


@pytest.fixture
def fill(connection: Connection, alice: Actor, bob: Actor) -> Fill:
    """Make a room of Alice, Bob and so many others, of whom nobody listens."""

    def make(count: int) -> int:
        (row,) = connection.execute(
            "SELECT (room ->> 'id')::bigint AS id FROM chat.create_room('large', %s)",
            [[alice.user_id, bob.user_id]],
        )
        connection.execute(
            "INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)"
            " SELECT %(room)s, 'idle-' || n, 'personal:idle-' || n, 3, now()"
            " FROM generate_series(1, %(count)s) n",
            {"room": row["id"], "count": count},
        )
        connection.execute(
            "UPDATE chat_room SET member_count = member_count + %s WHERE id = %s",
            [count, row["id"]],
        )
        return int(row["id"])

    return make


def note_requests(follower: Follower) -> list[str]:
    """Return the paths that a device requests from now on."""
    paths: list[str] = []

    async def note(request: httpx.Request) -> None:
        paths.append(request.url.path)

    follower.http.event_hooks = {"request": [note]}
    return paths


def test_a_thousand_join_a_room_of_20000_and_nobody_reads(
    follow: Follow, fill: Fill, alice: Actor, bob: Actor, host: Actor
) -> None:
    """Each listener applies one event, without a request, until somebody looks at the members."""
    room_id = fill(20_000)
    newcomers = [f"new-{alice.user_id}-{n}" for n in range(1000)]

    async def scenario() -> None:
        async with follow(alice) as follower, follow(bob) as other:
            await follower.device.start()
            await other.device.start()
            requests, others = note_requests(follower), note_requests(other)

            added = host.post(f"/api/rooms/{room_id}/members/", {"users": newcomers})

            assert added.json()["added"] == newcomers
            for device in (follower.device, other.device):
                await device.wait_for_versions({room_id: 1002}, within=60)
            assert (requests, others) == ([], [])
            (shown,) = follower.reducer.state()["rooms"]
            assert (shown["version"], shown["member_count"]) == (1002, 21_002)

            await follower.device.read_members(room_id)
            assert set(requests) == {f"/api/rooms/{room_id}/members/"}
            await follower.device.read_members(room_id)
            assert len(requests) == 106
            follower.http.event_hooks = {}
            await follower.check()

    run(scenario())


def test_who_missed_an_event_before_the_joins_still_repairs(
    follow: Follow, fill: Fill, connection: Connection, alice: Actor, host: Actor
) -> None:
    """A gap before the first of the joins is read from the log, with the joins."""
    room_id = fill(150)
    newcomers = [f"new-{alice.user_id}-{n}" for n in range(150)]

    async def scenario() -> None:
        async with follow(alice) as follower:
            await follower.device.start()
            send_unheard(connection, room_id, alice)
            host.post(f"/api/rooms/{room_id}/members/", {"users": newcomers})
            await follower.device.wait_for_versions({room_id: 153}, within=60)

            assert follower.notebook.fetches == [(room_id, 2, 200)]
            assert not follower.reducer.lacks_members(room_id)
            await follower.check()

    run(scenario())


def test_who_is_added_with_many_others_reads_the_room(
    follow: Follow, fill: Fill, charlie: Actor, host: Actor
) -> None:
    """A newcomer's first event is the last one of the call, whoever's it is; then all is held."""
    room_id = fill(150)
    newcomers = [charlie.user_id, *(f"new-{charlie.user_id}-{n}" for n in range(150))]

    async def scenario() -> None:
        async with follow(charlie) as follower:
            await follower.device.start()
            host.post(f"/api/rooms/{room_id}/members/", {"users": newcomers})
            await follower.device.wait_for_versions({room_id: 153}, within=60)

            await follower.check()

    run(scenario())


def test_a_room_is_created_with_many_members(follow: Follow, alice: Actor, host: Actor) -> None:
    """Those who were given when a room was created receive one event, and read the room."""
    crowd = [alice.user_id, *(f"new-{alice.user_id}-{n}" for n in range(199))]

    async def scenario() -> None:
        async with follow(alice) as follower:
            await follower.device.start()
            created = host.post("/api/rooms/", {"name": "all at once", "members": crowd}).json()
            await follower.device.wait_for_versions({created["id"]: 200}, within=60)

            bodies = [event["body"] for event in follower.notebook.frames]
            assert [body["first_version"] for body in bodies] == [1]
            await follower.check()

    run(scenario())
