"""`manage.py migrate`."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event

import psycopg
import pytest
from psycopg.rows import dict_row

from chat.actions.messages import NewMessage, send_message
from chat.actions.rooms import create_room
from chat.management.commands.migrate import LOCK_TIMEOUT_MS
from chat.sql.database import run_call
from tests.support.processes import run_manage
from tests.support.sessions import wait_until_waiting

pytestmark = pytest.mark.slow


def test_two_at_once_migrate_an_empty_database_once(database_url: str) -> None:
    """The second one waits and finds everything done; neither fails."""
    name = f"empty_{secrets.token_hex(6)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    here = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    url = database_url.replace(f"/{here}?", f"/{name}?")

    with ThreadPoolExecutor(max_workers=2) as threads:
        both = [
            threads.submit(run_manage, "migrate", "--no-input", DATABASE_URL=url) for _ in range(2)
        ]
        for done in both:
            done.result()

    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT count(*) FROM chat_installation").fetchone()
    assert counted == (1,)


def test_a_table_in_use_stops_nobody_for_long(clone_database: Callable[[], str]) -> None:
    """A request behind a migration that waits for a report is soon served; the wait is repeated.

    Taking the migration 0005 back drops the table that the report reads.
    """
    url = clone_database()
    with (
        psycopg.connect(url) as report,
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as observer,
        psycopg.connect(url, autocommit=True) as request,
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        report.execute("SELECT count(*) FROM chat_room_key")
        migrating = thread.submit(run_manage, "migrate", "chat", "0004", DATABASE_URL=url)
        took = []
        for _ in range(2):
            wait_until_waiting(observer)
            began = time.monotonic()
            request.execute("SELECT count(*) FROM chat_room_key")
            took.append(time.monotonic() - began)
        report.rollback()
        said = migrating.result()

        tables = observer.execute("SELECT to_regclass('chat_room_key') AS key").fetchall()
    assert max(took) < 2 * LOCK_TIMEOUT_MS / 1000
    assert said.count("a table is in use; again") >= 2
    assert tables == [{"key": None}]


def test_rooms_get_their_places_while_messages_are_sent(clone_database: Callable[[], str]) -> None:
    """Each room's place is its last message, also where the functions of before sent it meanwhile.

    A room without messages has the place of the room before it by time.
    """
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        rooms = [make_room(connection, text) for text in ("one", None, "two", "three")]
        run_manage("migrate", "chat", "0007", DATABASE_URL=url)

        run_manage("migrate", "chat", "0009", DATABASE_URL=url)
        send_as_before(connection, rooms[0])
        locked = psycopg.connect(url)
        locked.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [rooms[2]])
        with ThreadPoolExecutor(max_workers=1) as thread:
            migrating = thread.submit(run_manage, "migrate", DATABASE_URL=url)
            wait_until_filled(connection, without=rooms[2])
            send_as_before(connection, rooms[3])
            locked.close()
            migrating.result()

        places = connection.execute("SELECT bump_id FROM chat_room ORDER BY id").fetchall()
        last = connection.execute(
            "SELECT max(id) FROM chat_message GROUP BY room_id ORDER BY room_id"
        ).fetchall()
    first, third, fourth = last
    assert places[0] == first
    assert places[2:] == [third, fourth]
    assert 0 <= places[1][0] < third[0]


def test_rooms_get_their_kinds_while_they_are_used(clone_database: Callable[[], str]) -> None:
    """Sends and reads go on, no table is written again, and at the end every rule was checked."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection, ExitStack() as stack:
        room = make_room(connection, "one")
        run_manage("migrate", "chat", "0011", DATABASE_URL=url)
        files = read_files(connection)
        users = [stack.enter_context(use_rooms(url, room)) for _ in range(4)]

        run_manage("migrate", "chat", "0016_rooms_and_roles", DATABASE_URL=url)

        for waits in users:
            assert max(waits) < 2 * LOCK_TIMEOUT_MS / 1000
        assert read_files(connection) == files
        assert (
            connection.execute(
                "SELECT conname FROM pg_constraint WHERE NOT convalidated"
            ).fetchall()
            == []
        )
        assert (
            connection.execute(
                "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"
            ).fetchall()
            == []
        )
        assert connection.execute(
            "SELECT kind, history, slow_mode_seconds FROM chat_room"
        ).fetchall() == [("public", "all", 0)]
        assert connection.execute("SELECT role, joined_seq FROM chat_member").fetchall() == [
            ("member", 0)
        ]


def test_a_build_of_an_index_that_was_broken_off_is_repeated(
    clone_database: Callable[[], str],
) -> None:
    """An index that is not valid is built again; two rooms of one external id stop `migrate`."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        rooms = [make_room(connection, None) for _ in range(2)]
        run_manage("migrate", "chat", "0014", DATABASE_URL=url)
        connection.execute("UPDATE chat_room SET external_id = 'both'")
        with pytest.raises(AssertionError, match="chat_room_external_id_once"):
            run_manage("migrate", "chat", "0016_rooms_and_roles", DATABASE_URL=url)
        connection.execute("UPDATE chat_room SET external_id = NULL WHERE id = %s", [rooms[0]])

        run_manage("migrate", DATABASE_URL=url)

        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("UPDATE chat_room SET external_id = 'both'")


def read_files(connection: psycopg.Connection) -> list[tuple[str, int]]:
    """Return the file of each table in use: a table that is written again has another one."""
    return connection.execute(
        "SELECT relname, relfilenode FROM pg_class"
        " WHERE relname IN ('chat_room', 'chat_member', 'chat_event', 'chat_message')"
        " ORDER BY relname"
    ).fetchall()


@contextmanager
def use_rooms(url: str, room_id: int) -> Iterator[list[float]]:
    """Send and read in a session of its own until the block ends; give how long each took."""
    waits: list[float] = []
    stopped = Event()

    def use() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stopped.is_set():
                began = time.monotonic()
                with connection.transaction():
                    send_as_before(connection, room_id, f"{id(waits)} {len(waits)}")
                connection.execute(
                    "SELECT FROM chat_member m JOIN chat_room r ON r.id = m.room_id"
                    " LEFT JOIN chat_event e ON e.room_id = r.id WHERE m.user_id = 'alice'"
                )
                waits.append(time.monotonic() - began)

    with ThreadPoolExecutor(max_workers=1) as thread:
        using = thread.submit(use)
        try:
            yield waits
        finally:
            stopped.set()
            using.result()


def make_room(connection: psycopg.Connection, text: str | None) -> int:
    """Create a room of Alice's, with a message."""
    room_id = run_call(connection, create_room("room", ["alice"])).room.id
    if text is not None:
        run_call(connection, send_message(NewMessage(room_id, "alice", text, text)))
    return room_id


def send_as_before(connection: psycopg.Connection, room_id: int, client_id: str = "before") -> None:
    """Write what the functions of the release before write for a message."""
    connection.execute("SELECT FROM chat_room WHERE id = %s FOR NO KEY UPDATE", [room_id])
    connection.execute(
        "WITH sent AS (INSERT INTO chat_message"
        " (room_id, seq, user_id, client_id, content, created_at)"
        " SELECT id, last_seq + 1, 'alice', %(key)s || last_seq, 'text', now() FROM chat_room"
        " WHERE id = %(room)s RETURNING 1)"
        " SELECT FROM sent",
        {"room": room_id, "key": client_id},
    )
    connection.execute(
        "UPDATE chat_room SET last_seq = last_seq + 1, version = version + 1, bumped_at = now()"
        " WHERE id = %s",
        [room_id],
    )


def wait_until_filled(connection: psycopg.Connection, *, without: int) -> None:
    """Wait until all rooms but one have their places."""
    deadline = time.monotonic() + 30
    while connection.execute(
        "SELECT FROM chat_room WHERE bump_id = -1 AND id <> %s", [without]
    ).fetchall():
        assert time.monotonic() < deadline
        time.sleep(0.05)
