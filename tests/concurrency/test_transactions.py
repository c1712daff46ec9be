"""The functions inside other people's transactions: together or not at all, and never stale."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from chat.actions.messages import send_message, send_messages
from chat.actions.rooms import create_room
from chat.errors import ChatError
from chat.sql import Call
from chat.sql.database import run_call
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.ledger import read_exact_ledger, read_outbox
from tests.support.memberships import add_members, remove_member
from tests.support.outcomes import name_outcome
from tests.support.sessions import Session


@pytest.fixture
def orders(connection: Connection) -> Iterator[None]:
    """Make a table of the host's own."""
    connection.execute("CREATE TABLE host_order (name text PRIMARY KEY)")
    yield
    connection.execute("DROP TABLE host_order")


def test_what_is_rolled_back_leaves_no_trace(
    place: Place, first: Session, connection: Connection
) -> None:
    """After every kind of change was undone the next ones take the same versions and seqs."""
    room = place.room("alice", "bob")
    (head,) = connection.execute("SELECT coalesce(max(id), 0) AS id FROM chat_outbox")
    for n in range(3):
        first.begin()
        first.run(send_messages([place.message(room, "alice", f"undone{n}")]))
        first.run(add_members(room, [place.user("carol")]))
        first.run(remove_member(room, place.user("bob")))
        first.run(create_room("undone", [place.user("alice")]))
        first.rollback()
        assert read_outbox(connection, after=head["id"], room_id=room) == []

        sent = first.run(send_message(place.message(room, "alice", f"kept{n}")))

        assert (sent.is_duplicate, sent.message.seq) == (False, n + 1)
        head["id"] = read_outbox(connection)[-1].id

    ledger = read_exact_ledger(connection, room)
    assert ledger.room["version"] == 5
    assert connection.execute("SELECT FROM chat_room WHERE name = 'undone'").fetchone() is None


def test_a_savepoint_that_is_undone_leaves_no_trace(place: Place, connection: Connection) -> None:
    """A part of a transaction that is undone takes its messages along, and no others."""
    room = place.room("alice")
    with connection.transaction():
        run_call(connection, send_messages([place.message(room, "alice", "1", "one")]))
        with connection.transaction(force_rollback=True):
            run_call(connection, send_messages([place.message(room, "alice", "2", "two")]))
            run_call(connection, add_members(room, [place.user("bob")]))
        run_call(connection, send_messages([place.message(room, "alice", "3", "three")]))

    ledger = read_exact_ledger(connection, room)

    assert ledger.contents == ["one", "three"]
    assert ledger.room["version"] == 3


@pytest.mark.usefixtures("orders")
def test_a_message_commits_with_the_hosts_own_rows(
    place: Place, connection: Connection, connect: Callable[[], Connection]
) -> None:
    """The message and its event become visible when the host commits, and not before."""
    room = place.room("alice", "bob")
    host = connect()
    order = place.user("order")
    with host.transaction():
        host.execute("INSERT INTO host_order VALUES (%s)", [order])
        run_call(host, send_messages([place.message(room, "alice", order, "ordered")]))
        before = _read_as_others_see_it(connection, room)

    after = read_exact_ledger(connection, room)

    assert before == (2, 2)
    assert after.contents == ["ordered"]
    assert len(after.queued) == 3
    assert connection.execute("SELECT FROM host_order WHERE name = %s", [order]).fetchone() == {}


def _read_as_others_see_it(connection: Connection, room_id: int) -> tuple[int, int]:
    """Return the room's version and how many of its events are queued, as others see them."""
    (row,) = connection.execute("SELECT version FROM chat_room WHERE id = %s", [room_id])
    return row["version"], len(read_outbox(connection, room_id=room_id))


@pytest.mark.usefixtures("orders")
def test_a_message_is_undone_with_the_hosts_own_rows(
    place: Place, connection: Connection, connect: Callable[[], Connection]
) -> None:
    """If the host's transaction fails after the send, neither the message nor its event exists."""
    room = place.room("alice", "bob")
    host = connect()
    order = place.user("order")
    host.execute("INSERT INTO host_order VALUES (%s)", [order])

    def send_and_fail() -> None:
        with host.transaction():
            sent = run_call(host, send_message(place.message(room, "alice", order)))
            assert not sent.is_duplicate
            host.execute("INSERT INTO host_order VALUES (%s)", [order])

    with pytest.raises(psycopg.errors.UniqueViolation):
        send_and_fail()

    ledger = read_exact_ledger(connection, room)
    assert ledger.contents == []
    assert len(ledger.queued) == 2


def test_a_refusal_does_not_abort_the_hosts_transaction(
    place: Place, connection: Connection
) -> None:
    """What the domain refuses is an answer, so the host's transaction goes on and commits."""
    room = place.room("alice")
    stranger = place.message(room, "stranger", "k")
    unknown = place.message(10**15, "alice", "k")
    with connection.transaction():
        refused = run_call(connection, send_messages([stranger, unknown]))
        refusals: tuple[Call[Any], ...] = (
            add_members(10**15, [place.user("bob")]),
            add_members(room, [""]),
            remove_member(10**15, place.user("bob")),
            create_room("room", [""]),
        )
        for call in refusals:
            with pytest.raises(ChatError):
                run_call(connection, call)
        run_call(connection, send_messages([place.message(room, "alice", "k")]))

    assert [name_outcome(one) for one in refused] == ["not_found", "not_found"]
    assert read_exact_ledger(connection, room).seqs == [1]


def test_subscribers_are_notified_of_what_was_committed(
    place: Place, first: Session, connect: Callable[[], Connection]
) -> None:
    """After its commit the host notifies of the room's partition; its transaction does not."""
    room = place.room("alice")
    consumer = connect()
    consumer.execute("LISTEN chat_outbox")
    first.begin()
    first.run(send_messages([place.message(room, "alice", "undone")]))
    first.rollback()
    first.begin()
    first.run(send_messages([place.message(room, "alice", "k")]))
    assert list(consumer.notifies(timeout=0)) == []
    first.commit()
    assert list(consumer.notifies(timeout=0)) == []
    consumer.execute("SELECT chat.notify_outbox()")

    notices = list(consumer.notifies(timeout=0))

    assert str(room % 6) in {notice.payload for notice in notices}
    assert len(read_outbox(consumer, room_id=room)) == 2


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_stale_snapshots_are_refused(
    place: Place, connection: Connection, connect: Callable[[], Connection], level: str
) -> None:
    """Where a statement could see less than the room's lock protects, nothing is written."""
    room = place.room("alice")
    host = connect()
    host.isolation_level = psycopg.IsolationLevel[level.replace(" ", "_")]

    calls: tuple[Call[Any], ...] = (
        send_messages([place.message(room, "alice", "k")]),
        add_members(room, [place.user("bob")]),
        remove_member(room, place.user("alice")),
        create_room("stale", [place.user("alice")]),
    )
    for call in calls:
        with pytest.raises(psycopg.errors.InvalidTransactionState) as refusal, host.transaction():
            run_call(host, call)
        assert "READ COMMITTED" in str(refusal.value)
        assert level.lower() in str(refusal.value)

    assert read_exact_ledger(connection, room).room["version"] == 1
    assert connection.execute("SELECT FROM chat_room WHERE name = 'stale'").fetchone() is None
