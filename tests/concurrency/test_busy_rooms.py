"""A room that is locked by someone else: its callers wait or get `busy`, all others go on."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import psycopg
import pytest

from chat.actions.messages import send_messages
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor, Cast
from tests.support.ledger import read_exact_ledger
from tests.support.memberships import add_members
from tests.support.outcomes import name_outcome
from tests.support.sessions import Session, run_at_once, wait_until_waiting


def test_without_waiting_a_locked_room_is_busy(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """Only messages of the locked room are busy, and only its members learn that it is one."""
    locked, free = place.room("alice"), place.room("alice")
    batch = [
        place.message(free, "alice", "1"),
        place.message(locked, "alice", "1"),
        place.message(10**15, "alice", "1"),
        place.message(locked, "stranger", "1"),
        place.message(free, "alice", "2"),
        place.message(free, "stranger", "1"),
    ]
    first.lock_room(locked)

    sent = second.run(send_messages(batch, wait=False))

    assert [name_outcome(one) for one in sent] == [
        "sent",
        "room_busy",
        "not_found",
        "not_found",
        "sent",
        "not_found",
    ]
    first.rollback()
    assert read_exact_ledger(connection, free).seqs == [1, 2]
    assert read_exact_ledger(connection, locked).room["version"] == 1


def test_what_was_busy_is_sent_once_the_room_is_free(
    place: Place, first: Session, second: Session, connection: Connection
) -> None:
    """The same batch again: what was sent is a duplicate, what was busy is sent."""
    locked, free = place.room("alice"), place.room("alice")
    batch = [place.message(locked, "alice", "k"), place.message(free, "alice", "k")]
    first.lock_room(locked)
    busy = second.run(send_messages(batch, wait=False))
    first.rollback()

    again = second.run(send_messages(batch, wait=False))

    assert [name_outcome(one) for one in busy] == ["room_busy", "sent"]
    assert [name_outcome(one) for one in again] == ["sent", "duplicate"]
    assert read_exact_ledger(connection, locked).seqs == [1]
    assert read_exact_ledger(connection, free).seqs == [1]


@pytest.fixture
def links(connection: Connection) -> Iterator[None]:
    """Make a table of the host's own that refers to rooms."""
    connection.execute("CREATE TABLE host_link (room_id bigint REFERENCES chat_room (id))")
    yield
    connection.execute("DROP TABLE host_link")


@pytest.mark.usefixtures("links")
def test_the_hosts_reference_to_a_room_does_not_make_it_busy(
    place: Place, first: Session, second: Session
) -> None:
    """A host that writes a row with a foreign key to a room delays no send."""
    room = place.room("alice")
    first.begin()
    first.execute("INSERT INTO host_link VALUES (%s)", [room])

    (sent,) = second.run(send_messages([place.message(room, "alice", "k")], wait=False))

    first.rollback()
    assert name_outcome(sent) == "sent"


def test_a_session_that_waited_too_long_changed_nothing(
    place: Place, first: Session, connection: Connection, connect: Callable[[], Connection]
) -> None:
    """Where a batch runs into lock_timeout none of it is stored, in no room."""
    free, locked = place.room("alice"), place.room("alice")
    first.lock_room(locked)
    waiting = connect()
    waiting.execute("SET lock_timeout = '50ms'")
    batch = [place.message(free, "alice", "k"), place.message(locked, "alice", "k")]

    with pytest.raises(psycopg.errors.LockNotAvailable):
        run_call(waiting, send_messages(batch))
    with pytest.raises(psycopg.errors.LockNotAvailable):
        run_call(waiting, add_members(locked, [place.user("bob")]))

    first.rollback()
    for room in (free, locked):
        assert read_exact_ledger(connection, room).room["version"] == 1


@pytest.mark.slow
def test_a_send_to_a_locked_room_is_told_so_in_time(
    host: Actor, alice: Actor, bob: Actor, first: Session, connection: Connection
) -> None:
    """It waits two seconds and gets 503 with Retry-After; other rooms are served meanwhile."""
    locked, free = host.create_room(alice.listen()), host.create_room(bob.listen())
    first.lock_room(locked)
    with ThreadPoolExecutor(max_workers=1) as thread:
        asked = time.monotonic()
        waiting: Future[httpx.Response] = thread.submit(alice.send, locked, "hello", "k")
        wait_until_waiting(connection)

        served = bob.send(free, "hello")
        is_still_waiting = not waiting.done()
        refused = waiting.result()
        took = time.monotonic() - asked
    first.rollback()

    assert served.status_code == 201
    assert is_still_waiting
    assert refused.status_code == 503
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["code"] == "room_busy"
    assert 0.9 < took < 2.5
    assert read_exact_ledger(connection, locked).room["version"] == 1
    assert alice.send(locked, "hello", "k").status_code == 201


@pytest.mark.slow
def test_each_of_many_sends_to_a_locked_room_is_told_so_in_time(
    cast: Cast, host: Actor, first: Session
) -> None:
    """Those who queue behind each other for one room wait no longer than the first of them."""
    senders = [cast.user(f"sender{n}").listen() for n in range(4)]
    room = host.create_room(*senders)
    for sender in senders:
        assert sender.send(room, "connected").status_code == 201
    first.lock_room(room)

    def send(sender: Actor) -> tuple[int, float]:
        asked = time.monotonic()
        answer = sender.send(room, "hello")
        return answer.status_code, time.monotonic() - asked

    answers = run_at_once(send, senders)
    first.rollback()

    assert [status for status, _ in answers] == [503] * 4
    assert max(took for _, took in answers) < 2.5


@pytest.mark.slow
def test_every_change_of_a_locked_room_is_told_so(
    host: Actor, alice: Actor, bob: Actor, first: Session, connection: Connection
) -> None:
    """Joins, leaves, additions and removals wait and are refused like sends, and reads go on."""
    room = host.create_room(alice.listen())
    path = f"/api/rooms/{room}"
    first.lock_room(room)
    with ThreadPoolExecutor(max_workers=4) as threads:
        waiting = [
            threads.submit(bob.post, f"{path}/join/"),
            threads.submit(alice.post, f"{path}/leave/"),
            threads.submit(host.post, f"{path}/members/", {"users": [bob.user_id]}),
            threads.submit(host.delete, f"{path}/members/{alice.user_id}/"),
        ]
        wait_until_waiting(connection)

        read = alice.get(f"{path}/")
        answers = [answer.result() for answer in waiting]
    first.rollback()

    assert read.status_code == 200
    assert [answer.status_code for answer in answers] == [503] * 4
    assert {answer.json()["code"] for answer in answers} == {"room_busy"}
    assert read_exact_ledger(connection, room).room["version"] == 1
