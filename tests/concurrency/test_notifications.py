"""Realtime is notified of events after their commit, so no commit waits for another one."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest
import structlog

from chat.actions.messages import NewMessage, send_messages
from chat.actions.rooms import create_room
from chat.sql.database import run_call
from chat.sql.notifier import RETRY_SECONDS, Notifier
from embedded.postgres import PostgresServer
from tests.concurrency.conftest import Place
from tests.conftest import Connection
from tests.support.actors import Actor
from tests.support.memberships import add_members, remove_member
from tests.support.processes import run_manage

SESSIONS = 8
FLUSH_SECONDS = 0.1
# A disk that takes long for a write, and then has written everything that was committed meanwhile.
SLOW_DISK = f"SET commit_delay = {int(FLUSH_SECONDS * 1_000_000)}; SET commit_siblings = 0"
# More than any notification takes, less than a test may.
PATIENCE = 10.0


@pytest.fixture(scope="module")
def durable_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the database of a server that writes to disk and allows prepared transactions."""
    folder: Path = tmp_path_factory.mktemp("durable")
    with PostgresServer.start(folder, settings={"max_prepared_transactions": "4"}) as server:
        run_manage("migrate", "--no-input", DATABASE_URL=server.url())
        yield server.url()


@pytest.fixture
def open_durable(durable_url: str) -> Iterator[Callable[[], Connection]]:
    """Open sessions of that database."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            psycopg.connect(durable_url, autocommit=True, row_factory=psycopg.rows.dict_row)
        )


def test_commits_share_a_write_to_a_slow_disk(open_durable: Callable[[], Connection]) -> None:
    """Sends of several sessions are committed together, not one after another."""
    sessions = [open_durable() for _ in range(SESSIONS)]
    rooms = [run_call(session, create_room("room", ["alice"])).room.id for session in sessions]
    together = threading.Barrier(SESSIONS)

    def send(session: Connection, room: int) -> float:
        session.execute(SLOW_DISK)
        together.wait(PATIENCE)
        began = time.monotonic()
        run_call(session, send_messages([NewMessage(room, "alice", "key", "hello")]))
        return time.monotonic() - began

    with ThreadPoolExecutor(SESSIONS) as threads:
        slowest = max(threads.map(send, sessions, rooms))

    # One after another, the last one would have waited for eight writes.
    assert slowest < SESSIONS / 2 * FLUSH_SECONDS


def test_a_change_takes_part_in_a_commit_of_two_phases(
    open_durable: Callable[[], Connection],
) -> None:
    """A host that prepares its transaction, with a message in it, commits both or neither."""
    host, reader = open_durable(), open_durable()
    room = run_call(host, create_room("room", ["alice", "bob"])).room.id
    for name in ("kept", "undone"):
        host.execute("BEGIN")
        run_call(host, send_messages([NewMessage(room, "alice", name, name)]))
        run_call(host, add_members(room, [name]))
        run_call(host, remove_member(room, name))
        host.execute(f"PREPARE TRANSACTION '{name}'")
        host.execute(f"{'COMMIT' if name == 'kept' else 'ROLLBACK'} PREPARED '{name}'")

    rows = reader.execute("SELECT content FROM chat_message WHERE room_id = %s", [room]).fetchall()

    assert [row["content"] for row in rows] == ["kept"]


def test_a_change_through_the_api_is_notified(
    alice: Actor, bob: Actor, host: Actor, connection: Connection
) -> None:
    """After each kind of change, realtime is notified of the partition that has the event."""
    alice.listen()
    connection.execute("LISTEN chat_outbox")
    room = host.create_room(alice)
    partition = _find_partition(connection, room)
    changes: list[Callable[[], httpx.Response]] = [
        lambda: alice.send(room, "hello"),
        lambda: bob.post(f"/api/rooms/{room}/join/"),
        lambda: bob.post(f"/api/rooms/{room}/leave/"),
        lambda: host.post(f"/api/rooms/{room}/members/", {"users": [bob.user_id]}),
        lambda: host.delete(f"/api/rooms/{room}/members/{bob.user_id}/"),
    ]

    assert partition in _read_notified(connection)
    for change in changes:
        assert change().is_success
        assert partition in _read_notified(connection)


@pytest.fixture
def open_api_session(durable_url: str) -> Iterator[Callable[[], Connection]]:
    """Open sessions that notify as those of the API do."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            psycopg.connect(
                durable_url,
                autocommit=True,
                row_factory=psycopg.rows.dict_row,
                options="-c besedka.notify=lone",
            )
        )


def test_one_commit_at_a_time_notifies_and_no_other_waits_for_it(
    open_durable: Callable[[], Connection], open_api_session: Callable[[], Connection]
) -> None:
    """A lone change is notified of by its commit; one beside it, a moment later."""
    listener, first, second = open_durable(), open_api_session(), open_api_session()
    rooms = [run_call(listener, create_room("room", ["alice"])).room.id for _ in range(2)]
    partitions = [_find_partition(listener, room) for room in rooms]
    assert partitions[0] != partitions[1]
    listener.execute("DELETE FROM chat_outbox")
    listener.execute("LISTEN chat_outbox")

    with first.transaction():
        run_call(first, send_messages([NewMessage(rooms[0], "alice", "first", "hello")]))
        second.execute("SET lock_timeout = '100ms'")
        run_call(second, send_messages([NewMessage(rooms[1], "alice", "second", "hello")]))
        assert [notice.payload for notice in listener.notifies(timeout=0)] == []
        second.execute("SELECT chat.notify_waiting(0)")
        assert _read_notified(listener) == {partitions[1]}

    assert _read_notified(listener) == {partitions[0]}


def test_what_is_refused_waits_for_no_disk(open_api_session: Callable[[], Connection]) -> None:
    """The time of a refusal does not tell a stranger whether there is such a room."""
    session = open_api_session()
    room = run_call(session, create_room("room", ["alice"])).room.id
    session.execute(SLOW_DISK)

    def measure(user_id: str, room_id: int) -> float:
        began = time.monotonic()
        run_call(session, send_messages([NewMessage(room_id, user_id, "key", "hello")]))
        return time.monotonic() - began

    assert measure("alice", room) >= FLUSH_SECONDS
    for room_id in (room, 10**15):
        assert measure("stranger", room_id) < FLUSH_SECONDS / 2


def test_young_rows_are_left_to_the_next_notification(
    open_durable: Callable[[], Connection],
) -> None:
    """The rows of lone changes are on their way: they are not notified of once more."""
    listener = open_durable()
    listener.execute("DELETE FROM chat_outbox")
    room = run_call(listener, create_room("room", ["alice"])).room.id
    listener.execute("LISTEN chat_outbox")

    listener.execute("SELECT chat.notify_waiting(60000)")
    assert list(listener.notifies(timeout=0)) == []

    listener.execute("SELECT chat.notify_outbox()")
    assert _read_notified(listener) == {_find_partition(listener, room)}


def test_a_notification_reads_no_more_of_a_long_outbox(connection: Connection) -> None:
    """It looks into an index, whatever the outbox was when the session made its plan."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT chat.notify_outbox()")

        scans = connection.execute(
            "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'chat_outbox'"
        ).fetchone()

    assert scans == {"seq_scan": 0}


@pytest.mark.parametrize("has_changed, waits", [(True, "on"), (False, "off")])
def test_a_notification_makes_no_change_less_durable(
    place: Place, connection: Connection, *, has_changed: bool, waits: str
) -> None:
    """The commit of a notification does not wait for the disk, unless the host changed something.

    A host that notifies in the transaction of its change must not lose the change in a crash.
    """
    room = place.room("alice")
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        if has_changed:
            run_call(connection, send_messages([place.message(room, "alice", "key")]))
        connection.execute("SELECT chat.notify_outbox()")

        setting = connection.execute("SHOW synchronous_commit").fetchone()

    assert setting == {"synchronous_commit": waits}


@pytest.mark.parametrize("conninfo", ["host=/nowhere", "host=\udcff"])
def test_whatever_fails_is_logged_once_and_tried_again(conninfo: str, database_url: str) -> None:
    """A notifier whose connection fails in any way goes on, and says that events are late."""

    async def scenario() -> tuple[int, bool]:
        notifier = Notifier(conninfo)
        running = asyncio.create_task(notifier.run())
        with structlog.testing.capture_logs() as lines:
            notifier.notify()
            await asyncio.wait([running], timeout=2.5 * RETRY_SECONDS)
        has_ended = running.done()
        notifier._conninfo = database_url
        await notifier.end(running)
        return [line["event"] for line in lines].count("notification_failed"), has_ended

    assert asyncio.run(scenario()) == (1, False)


def _read_notified(listener: Connection) -> set[str]:
    """Wait for a notification; return the partitions that it and those with it name."""
    first = list(listener.notifies(timeout=PATIENCE, stop_after=1))
    return {notice.payload for notice in [*first, *listener.notifies(timeout=0)]}


def _find_partition(connection: Connection, room: int) -> str:
    row = connection.execute(
        "SELECT chat.partition_of(r.id, r.member_count, i.outbox_partitions)::text AS partition"
        " FROM chat_room r, chat_installation i WHERE r.id = %s",
        [room],
    ).fetchone()
    assert row is not None
    partition: str = row["partition"]
    return partition
