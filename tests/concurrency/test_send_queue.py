"""Sends that are collected and written together: outcomes, order, shares, and what is too much."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from chat.actions.send_queue import BATCH_MAX, ROOM_WAITING_MAX, WAITING_MAX
from chat.sql.database import Share, share_connections
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.rig.proxy import FaultProxy, find_postgres_socket, through
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_exact_ledger
from tests.support.outcomes import name_outcome
from tests.support.processes import serve_api
from tests.support.sending import compose_send, open_connection, open_queue, read_answer, send_all
from tests.support.sessions import Session, wait_until_waiting

ONE_CALL = Share(flights=1, overtaking=0, lanes=0, own=0)


def test_each_message_of_a_batch_has_its_own_outcome(
    place: Place, database_url: str, connection: Connection
) -> None:
    """Members, strangers, repeated keys and unknown rooms at once: each gets its own answer."""
    room, other = place.room("alice", "bob"), place.room("alice")
    messages = [
        place.message(room, "alice", "1", "this"),
        place.message(room, "stranger", "1"),
        place.message(room, "alice", "1", "this"),
        place.message(room, "alice", "1", "that"),
        place.message(10**15, "alice", "1"),
        place.message(other, "alice", "1"),
        place.message(room, "bob", "1", ""),
        place.message(room, "bob", "2"),
    ]

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:
            return await send_all(queue, messages)

    assert asyncio.run(scenario()) == [
        "sent",
        "not_found",
        "duplicate",
        "client_id_conflict",
        "not_found",
        "sent",
        "invalid_input",
        "sent",
    ]
    assert read_exact_ledger(connection, room).contents == ["this", "hello"]
    assert read_exact_ledger(connection, other).seqs == [1]


@pytest.fixture
def guard(connection: Connection) -> Iterator[None]:
    """Add a trigger of the host's own that refuses some texts."""
    connection.execute(
        "CREATE FUNCTION host_guard() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'refused by the host'; END $$"
    )
    connection.execute(
        "CREATE TRIGGER host_guard BEFORE INSERT ON chat_message FOR EACH ROW"
        " WHEN (NEW.content = 'refused by the host') EXECUTE FUNCTION host_guard()"
    )
    yield
    connection.execute("DROP TRIGGER host_guard ON chat_message")
    connection.execute("DROP FUNCTION host_guard")


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("nul \x00", "DataError"),
        ("half of a pair \ud800", "UnicodeEncodeError"),
        ("refused by the host", "RaiseException"),
    ],
)
def test_a_message_that_fails_its_call_does_not_fail_the_others(
    place: Place, database_url: str, connection: Connection, content: str, error: str
) -> None:
    """What PostgreSQL or its driver cannot take is refused alone; the order of the rest is kept."""
    room = place.room("alice")
    messages = [place.message(room, "alice", str(n), f"{n}") for n in range(5)]
    messages[2] = place.message(room, "alice", "2", content)
    messages.insert(3, place.message(2**63, "alice", "no such room"))

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:
            return await send_all(queue, messages)

    assert asyncio.run(scenario()) == ["sent", "sent", error, "DataError", "sent", "sent"]
    assert read_exact_ledger(connection, room).contents == ["0", "1", "3", "4"]


def test_messages_are_stored_in_the_order_in_which_they_came(
    place: Place, database_url: str, connection: Connection
) -> None:
    """Hundreds of sends at once to more rooms than one call takes: each room keeps its order."""
    rooms = [place.room("alice") for _ in range(BATCH_MAX + 6)]
    messages = [
        place.message(room, "alice", f"{n}", f"{n}") for n in range(20) for room in (*rooms[:8],)
    ] + [place.message(room, "alice", "last", "last") for room in rooms]

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:
            return await send_all(queue, messages)

    assert set(asyncio.run(scenario())) == {"sent"}
    for room in rooms[:8]:
        contents = [*map(str, range(20)), "last"]
        assert read_exact_ledger(connection, room).contents == contents
    for room in rooms[8:]:
        assert read_exact_ledger(connection, room).contents == ["last"]


@pytest.mark.parametrize("count", [1, 30, 100])
def test_rooms_with_many_messages_do_not_delay_another(
    place: Place, database_url: str, connection: Connection, count: int
) -> None:
    """A lone send is in the next call, although a thousand messages of other rooms came first."""
    hot, quiet = [place.room("alice") for _ in range(count)], place.room("alice")
    flood = [place.message(hot[n % count], "alice", f"{n}") for n in range(ROOM_WAITING_MAX)]

    async def scenario() -> tuple[int, list[str]]:
        async with open_queue(database_url, ONE_CALL) as queue:
            tasks = [asyncio.create_task(queue.send(message)) for message in flood]
            await asyncio.sleep(0)
            assert await send_all(queue, [place.message(quiet, "alice", "k")]) == ["sent"]
            before = sum(task.done() for task in tasks)
            return before, [name_outcome(sent) for sent in await asyncio.gather(*tasks)]

    before, outcomes = asyncio.run(scenario())

    assert before <= 2 * BATCH_MAX
    assert set(outcomes) == {"sent"}
    stored = [len(read_exact_ledger(connection, room).seqs) for room in hot]
    assert sum(stored) == ROOM_WAITING_MAX


@pytest.mark.parametrize("count", [1, 8])
def test_what_is_too_much_is_refused_and_the_rest_is_stored(
    place: Place, first: Session, database_url: str, connection: Connection, count: int
) -> None:
    """While nothing can be written, a room takes a thousand sends and all take four thousand."""
    rooms = [place.room("alice") for _ in range(count)]
    most = min(count * ROOM_WAITING_MAX, WAITING_MAX)
    messages = [
        place.message(rooms[n % count], "alice", f"{n}", f"{n}")
        for n in range(most + 3 * BATCH_MAX)
    ]

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:
            first.begin()
            await asyncio.to_thread(first.execute, "LOCK TABLE chat_message")
            flying = asyncio.create_task(send_all(queue, messages[:1]))
            await asyncio.to_thread(wait_until_waiting, connection)
            waiting = asyncio.create_task(send_all(queue, messages[1:]))
            await asyncio.sleep(0)
            await asyncio.to_thread(first.rollback)
            return [*await flying, *await waiting]

    outcomes = asyncio.run(scenario())

    accepted = [m for m, outcome in zip(messages, outcomes, strict=True) if outcome == "sent"]
    assert set(outcomes) == {"sent", "overloaded"}
    assert most <= len(accepted) <= most + 2 * BATCH_MAX
    for room in rooms:
        stored = read_exact_ledger(connection, room).contents
        assert stored == [message.content for message in accepted if message.room_id == room]


@pytest.mark.slow
def test_a_full_queue_answers_503(
    cast: Cast, host: Actor, database_url: str, connection: Connection
) -> None:
    """With Retry-After, at once; what was refused is not stored, and what was accepted is."""
    alice = cast.user("alice").listen()
    room = host.create_room(alice)
    count = ROOM_WAITING_MAX + 3 * BATCH_MAX

    async def scenario(url: str, proxy: FaultProxy) -> list[httpx.Response]:
        ends = [await open_connection(url) for _ in range(count)]
        proxy.half_open()
        for n, (_, writer) in enumerate(ends):
            writer.write(compose_send(alice, room, f"{n}"))
        reading = [asyncio.create_task(read_answer(reader)) for reader, _ in ends]
        await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        proxy.pass_through()
        answers = await asyncio.gather(*reading)
        for _, writer in ends:
            writer.close()
        return answers

    with (
        FaultProxy.in_thread(find_postgres_socket(database_url)) as proxy,
        serve_api(through(database_url, proxy)) as url,
    ):
        answers = asyncio.run(scenario(url, proxy))

    refused = [answer for answer in answers if answer.status_code != 201]
    stored = read_exact_ledger(connection, room).contents
    assert {(one.status_code, one.json()["code"]) for one in refused} == {(503, "overloaded")}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert len(stored) == len(answers) - len(refused) >= ROOM_WAITING_MAX
    assert sorted(stored) == sorted(
        answer.json()["content"] for answer in answers if answer.status_code == 201
    )


@pytest.mark.parametrize("size", range(1, 30))
def test_the_queues_share_of_the_connections(size: int) -> None:
    """It never has all connections, except where there are too few to divide."""
    share = share_connections(size)

    assert share.flights >= 1
    if size >= 4:
        assert share.flights + share.overtaking + share.lanes == share.own
        assert share.lanes >= 1
        assert size / 4 <= size - share.own
