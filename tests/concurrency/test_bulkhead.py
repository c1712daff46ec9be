"""A room that someone else has locked: whatever waits for it delays nothing else."""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from chat.actions.members import join_room
from chat.actions.rooms import create_room
from chat.errors import RoomBusyError
from chat.queries.rooms import get_room
from chat.sql.database import open_database
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.sessions import Session, wait_until_waiting

P50_SECONDS = 0.05
TIMES = 40


def _lock(session: Session, rooms: Sequence[int]) -> None:
    session.begin()
    for room in rooms:
        session.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room])


def _time(ask: Callable[[], httpx.Response]) -> float:
    began = time.monotonic()
    answer = ask()
    assert answer.status_code in {200, 201}, answer.text
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("senders", [12, 40])
def test_whatever_waits_for_a_locked_room_delays_nobody_else(
    cast: Cast,
    host: Actor,
    first: Session,
    connection: Connection,
    senders: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Sends, joins, leaves, additions and removals, again and again, beside everyone else's.

    Half of the others' sends, reads and joins take less than 50 ms, and each call for the locked
    room is told that the room is busy, never that the service is.
    """
    crowd = [cast.user(f"sender{n}") for n in range(senders)]
    bob, carol, late = cast.user("bob"), cast.user("carol"), cast.user("late")
    locked, free, open_room = host.create_room(*crowd), host.create_room(bob), host.create_room()
    path = f"/api/rooms/{locked}"
    for actor in (bob, carol):
        assert actor.get("/api/rooms/").status_code == 200
    _lock(first, [locked])
    is_over = threading.Event()

    calls: list[Callable[[], httpx.Response]] = [
        lambda sender=sender: sender.send(locked, "hello") for sender in crowd
    ]
    for n in range(3):
        calls += [
            lambda: late.post(f"{path}/join/"),
            lambda leaver=crowd[n]: leaver.post(f"{path}/leave/"),
            lambda n=n: host.post(f"{path}/members/", {"users": [f"new{n}"]}),
            lambda n=n: host.delete(f"{path}/members/{crowd[-n].user_id}/"),
        ]

    def call_again(call: Callable[[], httpx.Response]) -> list[httpx.Response]:
        answers = []
        while not is_over.is_set():
            answers.append(call())
        return answers

    with ThreadPoolExecutor(max_workers=len(calls)) as threads:
        waiting = [threads.submit(call_again, call) for call in calls]
        wait_until_waiting(connection, 2)
        took = {
            "send": [_time(lambda: bob.send(free, "hello")) for _ in range(TIMES)],
            "read": [_time(lambda: bob.get(f"/api/rooms/{free}/")) for _ in range(TIMES)],
            "list": [_time(lambda: bob.get("/api/rooms/")) for _ in range(TIMES)],
            "join": [
                _time(lambda n=n: carol.post(f"/api/rooms/{open_room}/{n}/"))
                for _ in range(TIMES // 2)
                for n in ("join", "leave")
            ],
        }
        is_over.set()
        answers = [answer for each in waiting for answer in each.result()]
    first.rollback()

    medians = {name: statistics.median(times) for name, times in took.items()}
    for name, times in took.items():
        record_property(name, f"p50 {1000 * medians[name]:.0f} ms, most {1000 * max(times):.0f} ms")
    assert {name: median for name, median in medians.items() if median > P50_SECONDS} == {}
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (503, "room_busy")
    }
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    (room,) = connection.execute("SELECT version FROM chat_room WHERE id = %s", [locked])
    assert room == {"version": senders}


@pytest.mark.slow
def test_more_locked_rooms_than_connections_delay_no_read(
    place: Place, first: Session, database_url: str
) -> None:
    """Twelve joins wait for twelve locked rooms; of five connections two are left for reads.

    Those for whom there is no connection are told so within two seconds and a half.
    """
    free, rooms = place.room("alice"), [place.room() for _ in range(12)]
    alice = place.user("alice")

    async def join(number: int, room: int) -> tuple[str, float]:
        began = time.monotonic()
        try:
            await database.run(join_room(room, place.user(f"joiner{number}")))
        except RoomBusyError as error:
            return error.code, time.monotonic() - began
        return "joined", time.monotonic() - began

    async def scenario() -> tuple[list[float], list[tuple[str, float]]]:
        joining = [asyncio.create_task(join(n, room)) for n, room in enumerate(rooms)]
        await asyncio.sleep(0)
        reads = []
        while not all(task.done() for task in joining):
            began = time.monotonic()
            await database.run(get_room(alice, free))
            reads.append(time.monotonic() - began)
        return reads, await asyncio.gather(*joining)

    async def with_database() -> tuple[list[float], list[tuple[str, float]]]:
        nonlocal database
        async with open_database(database_url, 5) as database:
            await database.run(get_room(alice, free))
            return await scenario()

    database = None
    _lock(first, rooms)
    reads, joins = asyncio.run(with_database())
    first.rollback()

    assert statistics.median(reads) < P50_SECONDS
    assert {code for code, _ in joins} == {"room_busy"}
    assert max(seconds for _, seconds in joins) < 3.5


@pytest.mark.slow
def test_rooms_that_stay_locked_leave_a_place_for_the_others(
    place: Place, first: Session, database_url: str
) -> None:
    """Once it is known which rooms are locked, a join into another room is answered as ever."""
    locked, free = [place.room() for _ in range(6)], place.room()

    async def join_again(room: int) -> None:
        while True:
            with pytest.raises(RoomBusyError):
                await database.run(join_room(room, place.user("joiner")))

    async def scenario() -> list[float]:
        nonlocal database
        async with open_database(database_url, 5) as database:
            joining = [asyncio.create_task(join_again(room)) for room in locked]
            # Each locked room has had its first refusal by then.
            await asyncio.sleep(3)
            took = []
            for n in range(TIMES):
                began = time.monotonic()
                await database.run(join_room(free, place.user(f"free{n}")))
                took.append(time.monotonic() - began)
            for task in joining:
                task.cancel()
            await asyncio.gather(*joining, return_exceptions=True)
            return took

    database = None
    _lock(first, locked)
    took = asyncio.run(scenario())
    first.rollback()

    assert statistics.median(took) < P50_SECONDS


def test_changes_of_one_room_are_made_in_the_order_in_which_they_came(
    place: Place, first: Session, database_url: str, connection: Connection
) -> None:
    """Who waits in the process for a locked room gets in when it is free, and nobody is refused."""
    room = place.room()
    users = place.users(12)

    async def scenario() -> None:
        async with open_database(database_url, 5) as database:
            await asyncio.to_thread(first.lock_room, room)
            joining = [asyncio.create_task(database.run(join_room(room, user))) for user in users]
            await asyncio.to_thread(wait_until_waiting, connection)
            joining[5].cancel()
            await asyncio.to_thread(first.rollback)
            await asyncio.gather(*joining, return_exceptions=True)

    asyncio.run(scenario())

    rows = connection.execute(
        "SELECT user_id FROM chat_event WHERE room_id = %s ORDER BY version", [room]
    )
    assert [row["user_id"] for row in rows] == [*users[:5], *users[6:]]


@pytest.mark.slow
def test_one_key_of_a_room_that_someone_else_is_creating_takes_one_connection(
    place: Place, first: Session, database_url: str, connection: Connection
) -> None:
    """Twelve calls with the key of an open transaction wait for it; reads go on beside them."""
    room, host = place.room("alice"), place.user("host")
    first.begin()
    first.execute("SELECT chat.create_room('room', '{}', %s, 'key')", [host])

    async def scenario() -> None:
        async with open_database(database_url, 5) as database:
            call = create_room("room", [], created_by=host, client_id="key")
            creating = [asyncio.create_task(database.run(call)) for _ in range(12)]
            await asyncio.to_thread(wait_until_waiting, connection)
            for _ in range(20):
                assert await database.run(get_room(place.user("alice"), room)) is not None
            assert not any(task.done() for task in creating)
            await asyncio.to_thread(first.commit)
            assert {(await task).is_duplicate for task in creating} == {True}

    asyncio.run(scenario())
