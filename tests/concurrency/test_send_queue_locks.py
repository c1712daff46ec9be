"""Sends that are written together, and rooms that someone else has locked."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chat.actions.messages import NewMessage
from chat.actions.send_queue import BATCH_MAX, SendQueue
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_exact_ledger
from tests.support.processes import serve_api
from tests.support.sending import open_queue, send, send_all
from tests.support.sessions import PATIENCE, Session, run_at_once, wait_until_waiting


def test_a_locked_room_keeps_its_order(
    place: Place, first: Session, database_url: str, connection: Connection
) -> None:
    """What came before and while the room was locked is stored in the order in which it came."""
    room = place.room("alice")
    messages = [place.message(room, "alice", f"{n}", f"{n}") for n in range(2 * BATCH_MAX)]

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:
            await asyncio.to_thread(first.lock_room, room)
            early = asyncio.create_task(send_all(queue, messages[:100]))
            await asyncio.to_thread(wait_until_waiting, connection)
            late = asyncio.create_task(send_all(queue, messages[100:]))
            await asyncio.sleep(0)
            await asyncio.to_thread(first.rollback)
            return [*await early, *await late]

    assert set(asyncio.run(scenario())) == {"sent"}
    assert read_exact_ledger(connection, room).contents == [str(n) for n in range(2 * BATCH_MAX)]


def test_one_key_in_two_calls_is_one_message(
    place: Place, first: Session, database_url: str, connection: Connection
) -> None:
    """A message that is sent again while the first call with it runs is a duplicate."""
    room = place.room("alice")
    message = place.message(room, "alice", "k")

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:
            await asyncio.to_thread(first.lock_room, room)
            sending = asyncio.create_task(send_all(queue, [message]))
            await asyncio.to_thread(wait_until_waiting, connection)
            again = asyncio.create_task(send_all(queue, [message] * 3))
            await asyncio.sleep(0)
            await asyncio.to_thread(first.rollback)
            return [*await sending, *await again]

    assert asyncio.run(scenario()) == ["sent", "duplicate", "duplicate", "duplicate"]
    assert read_exact_ledger(connection, room).seqs == [1]


@pytest.mark.slow
@pytest.mark.parametrize("locked", [1, 6])
def test_locked_rooms_do_not_delay_others(
    cast: Cast, host: Actor, first: Session, connection: Connection, locked: int
) -> None:
    """While twelve senders wait for locked rooms, sends to another room are answered as ever.

    When the locks end, those who waited are answered, also where more rooms were locked than calls
    may wait.
    """
    senders = [cast.user(f"sender{n}") for n in range(12)]
    bob = cast.user("bob")
    free, rooms = host.create_room(bob), [host.create_room(*senders) for _ in range(locked)]
    assert bob.send(free, "connected").status_code == 201
    first.begin()
    for room in rooms:
        first.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room])
    with ThreadPoolExecutor(max_workers=12) as threads:
        waiting = [
            threads.submit(sender.send, rooms[n % locked], "hello")
            for n, sender in enumerate(senders)
        ]
        wait_until_waiting(connection)
        times = [_time_send(bob, free) for _ in range(20)]
        answered = [future for future in waiting if future.done()]
        first.rollback()
        statuses = {future.result(PATIENCE).status_code for future in waiting}

    assert not answered
    assert statistics.median(times) < 0.05
    assert statuses == {201}


def _time_send(sender: Actor, room: int) -> float:
    began = time.monotonic()
    assert sender.send(room, "hello").status_code == 201
    return time.monotonic() - began


@pytest.mark.slow
def test_more_locked_rooms_than_calls_that_wait_are_refused_in_time(
    place: Place, first: Session, database_url: str, connection: Connection
) -> None:
    """Of each locked room every sender is told so, after one second and before two and a half."""
    rooms = [place.room("alice") for _ in range(6)]
    took: list[float] = []

    async def send_timed(queue: SendQueue, message: NewMessage) -> str:
        began = time.monotonic()
        outcome = await send(queue, message)
        took.append(time.monotonic() - began)
        return outcome

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:
            return await asyncio.gather(
                *(
                    send_timed(queue, place.message(room, "alice", f"{n}"))
                    for room in rooms
                    for n in range(3)
                )
            )

    first.begin()
    for room in rooms:
        first.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room])
    outcomes = asyncio.run(scenario())
    first.rollback()

    assert set(outcomes) == {"room_busy"}
    assert min(took) > 0.9
    assert max(took) < 2.5
    for room in rooms:
        assert read_exact_ledger(connection, room).room["version"] == 1


@pytest.mark.slow
def test_two_processes_share_a_hot_room(
    cast: Cast, host: Actor, database_url: str, connection: Connection
) -> None:
    """Each finds the room locked by the other all the time: everything is stored, none refused."""
    senders = [cast.user(f"sender{n}").listen() for n in range(8)]
    room = host.create_room(*senders)
    with serve_api(database_url) as url, Cast(url) as elsewhere:
        twins = [
            elsewhere.with_token(sender.http.headers["Authorization"].removeprefix("Bearer "))
            for sender in senders
        ]
        statuses = run_at_once(
            lambda actor: [actor.send(room, "hello").status_code for _ in range(20)],
            [*senders, *twins],
        )

    assert {status for each in statuses for status in each} == {201}
    assert len(read_exact_ledger(connection, room).seqs) == 320


def test_one_key_in_two_processes_is_one_message(
    cast: Cast, host: Actor, database_url: str, connection: Connection
) -> None:
    """Two API processes get the same message several times at once: one 201, the rest 200."""
    alice = cast.user("alice").listen()
    room = host.create_room(alice)
    with serve_api(database_url) as url, Cast(url) as elsewhere:
        token = alice.http.headers["Authorization"].removeprefix("Bearer ")
        twin = elsewhere.with_token(token, alice.user_id)
        for turn in range(5):
            answers = run_at_once(
                lambda actor: actor.send(room, "hello", f"k{turn}"),  # noqa: B023 - run at once
                [alice, twin] * 4,
            )
            assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
            assert len({answer.content for answer in answers}) == 1

    assert read_exact_ledger(connection, room).seqs == [1, 2, 3, 4, 5]


@pytest.fixture
def slow_inserts(connection: Connection) -> Iterator[None]:
    """Make each message take a tenth of a second, as a very large room may."""
    connection.execute(
        "CREATE FUNCTION host_delay() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$"
    )
    connection.execute(
        "CREATE TRIGGER host_delay AFTER INSERT ON chat_message FOR EACH ROW"
        " EXECUTE FUNCTION host_delay()"
    )
    yield
    connection.execute("DROP TRIGGER host_delay ON chat_message")
    connection.execute("DROP FUNCTION host_delay")


@pytest.mark.slow
@pytest.mark.usefixtures("slow_inserts")
def test_more_than_fits_into_one_call_is_stored_by_smaller_ones(
    place: Place, database_url: str, connection: Connection
) -> None:
    """Forty messages take four seconds, and a call may take 2.4: those who repeat get through."""
    room = place.room("alice")
    messages = [place.message(room, "alice", f"{n}", f"{n}") for n in range(40)]

    async def scenario() -> list[list[str]]:
        async with open_queue(database_url) as queue:
            return [await send_all(queue, messages) for _ in range(3)]

    *_, last = asyncio.run(scenario())

    assert set(last) <= {"sent", "duplicate"}
    assert sorted(read_exact_ledger(connection, room).contents) == sorted(map(str, range(40)))


@pytest.mark.slow
@pytest.mark.usefixtures("slow_inserts")
def test_a_send_that_comes_while_all_calls_are_slow_overtakes_them(
    place: Place, database_url: str
) -> None:
    """It is written when the call that overtakes ends, not when one of the slow calls does."""
    rooms = [place.room("alice") for _ in range(4)]

    async def scenario() -> None:
        async with open_queue(database_url) as queue:
            slow = []
            for room in rooms[:2]:
                messages = [place.message(room, "alice", f"{n}") for n in range(15)]
                slow.append(asyncio.create_task(send_all(queue, messages)))
                while len(queue._running) < len(slow):  # noqa: ASYNC110 - nothing signals it
                    await asyncio.sleep(0)
            overtaking = asyncio.create_task(send(queue, place.message(rooms[2], "alice", "k")))
            while len(queue._running) < 3:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.001)

            assert await send(queue, place.message(rooms[3], "alice", "k")) == "sent"
            assert not any(task.done() for task in slow)
            assert await overtaking == "sent"

    asyncio.run(scenario())
