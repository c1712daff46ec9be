"""Sends that are written together while clients, connections or the process come to an end."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from chat.actions.messages import SentMessage
from chat.actions.send_queue import BATCH_MAX, SendQueue
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.rig.proxy import FaultProxy, find_postgres_socket, through
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_exact_ledger
from tests.support.outcomes import name_outcome
from tests.support.processes import start_api
from tests.support.sending import (
    compose_send,
    open_connection,
    open_queue,
    read_answer,
    send,
    send_all,
)
from tests.support.sessions import PATIENCE, Session, wait_until_waiting


def test_a_sender_who_is_gone_takes_no_other_send_along(
    place: Place, first: Session, database_url: str, connection: Connection
) -> None:
    """What still waited is not sent, what was being written may be; the others are answered."""
    room = place.room("alice")

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:

            def begin(key: str) -> "asyncio.Task[SentMessage]":
                return asyncio.create_task(queue.send(place.message(room, "alice", key, key)))

            await asyncio.to_thread(first.lock_room, room)
            written = [begin("1"), begin("written, gone"), begin("2")]
            await asyncio.to_thread(wait_until_waiting, connection)
            waiting = [begin("3"), begin("waiting, gone"), begin("4")]
            await asyncio.sleep(0)
            for gone in (written.pop(1), waiting.pop(1)):
                gone.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await gone
            await asyncio.to_thread(first.rollback)
            return [name_outcome(sent) for sent in await asyncio.gather(*written, *waiting)]

    assert asyncio.run(scenario()) == ["sent"] * 4
    contents = read_exact_ledger(connection, room).contents
    assert contents == ["1", "written, gone", "2", "3", "4"]


def test_clients_that_hang_up_take_no_other_send_along(
    host: Actor, alice: Actor, bob: Actor, first: Session, connection: Connection, api_url: str
) -> None:
    """Half of the clients that wait for a room hang up: the other half is answered."""
    room = host.create_room(alice.listen(), bob.listen())

    async def scenario() -> list[int]:
        ends = [await open_connection(api_url) for _ in range(20)]
        await asyncio.to_thread(first.lock_room, room)
        for n, (_, writer) in enumerate(ends):
            writer.write(compose_send(bob if n % 2 else alice, room, f"{n}"))
        await asyncio.to_thread(wait_until_waiting, connection)
        for _, writer in ends[1::2]:
            writer.transport.abort()
        await asyncio.to_thread(first.rollback)
        answers = [await read_answer(reader) for reader, _ in ends[::2]]
        for _, writer in ends:
            writer.close()
        return [answer.status_code for answer in answers]

    assert asyncio.run(scenario()) == [201] * 10
    stored = [m["content"] for m in read_exact_ledger(connection, room).messages]
    assert {f"{n}" for n in range(0, 20, 2)} <= set(stored)


@pytest.fixture
def proxy(database_url: str) -> Iterator[FaultProxy]:
    """Return a proxy to the database."""
    with FaultProxy.in_thread(find_postgres_socket(database_url)) as proxy:
        yield proxy


@pytest.mark.slow
def test_what_was_committed_without_an_answer_is_stored_once(
    place: Place, database_url: str, connection: Connection, proxy: FaultProxy
) -> None:
    """Connections end after PostgreSQL got a call and before its answer arrives, again and again.

    Many senders send at once, so the call that is repeated has many messages.
    """
    rooms = [place.room("alice", "bob") for _ in range(3)]

    async def send_each(queue: SendQueue, sender: int) -> list[str]:
        keys = [f"{sender} {n}" for n in range(25)]
        room = rooms[sender % 3]
        return [await send(queue, place.message(room, "alice", key, key)) for key in keys]

    async def scenario() -> list[list[str]]:
        async with open_queue(through(database_url, proxy)) as queue:
            assert await send_all(queue, [place.message(rooms[0], "bob", "warm")]) == ["sent"]
            proxy.swallow_responses(probability=0.2, seed=1)
            try:
                return await asyncio.gather(*(send_each(queue, sender) for sender in range(16)))
            finally:
                proxy.pass_through()

    outcomes = [outcome for each in asyncio.run(scenario()) for outcome in each]

    assert set(outcomes) <= {"sent", "duplicate"}
    assert proxy.counts.swallowed > 5
    stored = [content for room in rooms for content in read_exact_ledger(connection, room).contents]
    assert sorted(stored) == sorted(
        ["hello", *(f"{sender} {n}" for sender in range(16) for n in range(25))]
    )


def test_closing_answers_everything_that_was_accepted(
    place: Place, first: Session, database_url: str, connection: Connection
) -> None:
    """Also what waits for one of many locked rooms, or for a call; what comes later is refused."""
    locked, free = [place.room("alice") for _ in range(6)], place.room("alice")
    keys = [f"{n}" for n in range(3 * BATCH_MAX)]
    messages = [place.message(room, "alice", key) for key in keys for room in (*locked, free)]
    late: list[str] = []

    async def scenario() -> list[str]:
        async with open_queue(database_url) as queue:

            async def unlock() -> None:
                late.append(await send(queue, place.message(free, "alice", "late")))
                await asyncio.to_thread(first.rollback)

            first.begin()
            for room in locked:
                first.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room])
            sending = asyncio.create_task(send_all(queue, messages))
            await asyncio.to_thread(wait_until_waiting, connection)
            # It runs when the end of the block waits.
            unlocking = asyncio.create_task(unlock())
        assert sending.done()
        await unlocking
        return await sending

    assert set(asyncio.run(scenario())) == {"sent"}
    assert late == ["database_unavailable"]
    for room in (*locked, free):
        assert len(read_exact_ledger(connection, room).seqs) == len(keys)


@pytest.mark.slow
def test_a_process_that_stops_answers_the_sends_that_wait(
    cast: Cast, host: Actor, first: Session, database_url: str, connection: Connection
) -> None:
    """SIGTERM comes while sends wait for a locked room: each is stored and answered."""
    alice = cast.user("alice").listen()
    room = host.create_room(alice)
    with start_api(database_url) as (url, process), Cast(url) as elsewhere:
        token = alice.http.headers["Authorization"].removeprefix("Bearer ")
        senders = [elsewhere.with_token(token, alice.user_id) for _ in range(6)]
        assert all(sender.get("/health/ready").status_code == 200 for sender in senders)
        first.lock_room(room)
        with ThreadPoolExecutor(max_workers=6) as threads:
            waiting: list[Future[httpx.Response]] = [
                threads.submit(sender.send, room, f"{n}") for n, sender in enumerate(senders)
            ]
            wait_until_waiting(connection)
            process.terminate()
            first.rollback()
            statuses = [future.result(PATIENCE).status_code for future in waiting]
        process.wait(PATIENCE)

    assert statuses == [201] * 6
    assert len(read_exact_ledger(connection, room).seqs) == 6
