"""The doctor beside writers, and at scale."""

import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from chat.actions.messages import (
    NewMessage,
    SentMessage,
    delete_message,
    make_server_key,
    send_messages,
)
from chat.actions.rooms import create_room, rename_room
from chat.conf import BIGINT_MAX
from chat.doctor import examination
from chat.doctor.catalogue import CHECKS, TABLES
from chat.doctor.examination import Examination
from chat.sql import Call, Result
from chat.sql.database import run_call
from tests.doctor.conftest import BUSY, TOLERANT, examine, execute
from tests.doctor.damages import DAMAGES
from tests.support.memberships import add_members, remove_member
from tests.support.processes import PROJECT
from tests.support.sessions import wait_until_waiting

SECONDS = 2.0
MESSAGES = 300_000
# Rooms of one to 100,000 messages: what fits a chunk a thousand times, and what fills several.
LARGE = """
    CREATE TEMP TABLE size AS
        SELECT n AS room_id, CASE WHEN n = 1 THEN 100000 ELSE 200 END AS messages
        FROM generate_series(1, 1001) n;
    INSERT INTO chat_room (name, version, last_seq, member_count, bumped_at, created_at)
        SELECT 'room ' || room_id, messages + 1, messages, 1, '2026-01-01', '2026-01-01' FROM size;
    INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
        SELECT room_id, 'alice', 'personal:alice', 1, '2026-01-01' FROM size;
    INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
        SELECT room_id, seq, 'alice', '~' || seq, 'message ' || seq, '2026-01-01'
        FROM size, generate_series(1, messages) seq ORDER BY seq, room_id;
    UPDATE chat_room r SET bump_id = m.id
        FROM chat_message m WHERE m.room_id = r.id AND m.seq = r.last_seq;
    INSERT INTO chat_event
            (room_id, version, type, user_id, joined_at, member_count, bumped_at, created_at)
        SELECT room_id, 1, 'user_joined', 'alice', '2026-01-01', 1, '2026-01-01', '2026-01-01'
        FROM size;
    INSERT INTO chat_event
            (room_id, version, type, message_id, user_id, member_count, bumped_at, created_at)
        SELECT room_id, seq + 1, 'message_added', id, user_id, 1, created_at, created_at
        FROM chat_message ORDER BY id"""


@contextmanager
def busy(writers: list[Callable[[], None]]) -> Iterator[None]:
    """Keep each writer writing in a thread of its own until the block ends."""
    stopped = threading.Event()

    def repeat(write: Callable[[], None]) -> int:
        count = 0
        while not stopped.is_set():
            write()
            count += 1
        return count

    with ThreadPoolExecutor(max_workers=len(writers)) as threads:
        running = [threads.submit(repeat, write) for write in writers]
        try:
            yield
        finally:
            stopped.set()
        assert all(count.result(15) > 5 for count in running)


class Writers:
    """What goes on in a database, each kind of it in a session of its own."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url = url
        self._stack = stack
        self._sessions = threading.local()

    def run(self, call: Call[Result]) -> Result:
        """Run a call on the session of this thread."""
        return run_call(self._connection, call)

    @property
    def _connection(self) -> psycopg.Connection[Any]:
        if not hasattr(self._sessions, "connection"):
            opened = psycopg.connect(self._url, autocommit=True)
            self._sessions.connection = self._stack.enter_context(opened)
        return self._sessions.connection  # type: ignore[no-any-return] # thread locals have no types

    def send(self) -> None:
        """Send three messages to the busy room at once and delete the first."""
        keys = [make_server_key() for _ in range(3)]
        first, *_ = self.run(send_messages([NewMessage(BUSY, "alice", key, "hi") for key in keys]))
        assert isinstance(first, SentMessage)
        self.run(delete_message(first.message.id))

    def come_and_go(self) -> None:
        """Join the busy room and leave it."""
        self.run(add_members(BUSY, ["zoe", "yves"]))
        self.run(remove_member(BUSY, "zoe"))
        self.run(remove_member(BUSY, "yves"))

    def make_room(self) -> None:
        """Make a room with a message."""
        created = self.run(create_room("new", ["alice", "bob"]))
        self.run(send_messages([NewMessage(created.room.id, "bob", "key", "first")]))

    def rename(self) -> None:
        """Rename the busy room."""
        self.run(rename_room(BUSY, secrets.token_hex(4)))

    def forget(self) -> None:
        """Prune all but the newest events, so that the walk meets the cut again and again."""
        self._connection.execute(
            "SELECT chat.prune_events(now(), greatest(0, count(*) - 200)::int) FROM chat_event"
        )

    def drain(self) -> None:
        """Empty a partition of the outbox, as Centrifugo does."""
        self._connection.execute("DELETE FROM chat_outbox WHERE partition = 3")


@pytest.mark.slow
def test_nothing_is_found_beside_writers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While rooms are made, joined, left, written in, renamed, pruned and drained, all is well."""
    # Chunks so small that a log is cut many times while it grows and is pruned.
    for name in ("ROWS", "ROOMS", "OUTBOX_ROWS"):
        monkeypatch.setattr(examination, name, 100)
    reports: list[dict[str, Any]] = []

    with ExitStack() as sessions:
        writers = Writers(url, sessions)
        actions = [
            *(writers.send, writers.come_and_go, writers.make_room),
            *(writers.rename, writers.forget, writers.drain),
        ]
        with busy(actions):
            end = time.monotonic() + SECONDS
            while time.monotonic() < end or len(reports) < 3:
                reports.append(examine(url).report)

    assert [finding for report in reports for finding in report["findings"]] == []
    assert all(report["complete"] for report in reports)
    assert all(report["checked"]["rooms"] > 6 for report in reports)
    assert examine(url).report["findings"] == []


def test_a_log_that_is_pruned_between_two_chunks_has_no_hole(url: str) -> None:
    """The last event of a chunk is pruned before the next chunk: no gap, no lost event."""
    end = (BUSY, BIGINT_MAX)
    with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url) as pruning:
        walk = Examination(connection, time.monotonic() + 60)
        assert walk.find_chunk("events", (BUSY - 1, BIGINT_MAX), end, 5) == (5, (BUSY, 5))
        pruning.execute(
            "SELECT chat.prune_events(now(), (SELECT count(*)::int FROM chat_event"
            " WHERE room_id < %s OR room_id = %s AND version <= 8))",
            [BUSY, BUSY],
        )
        pruning.commit()

        assert walk.find_chunk("events", (BUSY, 5), end, 50) == (10, end)
        assert walk.examine("events", TABLES["events"].bounds((BUSY, 5), end)) == {}


def test_a_release_installed_meanwhile_is_no_finding(url: str) -> None:
    """A function that is right again at the second look is not reported."""
    execute(url, DAMAGES["a function of the same name was added"].sql)
    with (
        psycopg.connect(url) as deploying,
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as observer,
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        # The first look has compared the functions when it comes to the migrations, and waits.
        deploying.execute("LOCK TABLE django_migrations")
        examining = thread.submit(examine, url)
        wait_until_waiting(observer)
        deploying.execute("DROP FUNCTION chat.audience_of(text)")
        deploying.commit()

        assert examining.result(15).codes == set()


@pytest.mark.parametrize(
    ("name", "after", "index"),
    [
        ("members", (BUSY, ""), "chat_member_once_per_room"),
        ("messages", (BUSY, 2), "chat_message_seq_once_per_room"),
        ("events", (BUSY, 2), "chat_event_version_once_per_room"),
    ],
)
def test_a_chunk_goes_through_its_index_in_order(
    url: str, name: str, after: tuple[int | str, ...], index: str
) -> None:
    """Though PostgreSQL knows nothing of the tables, it reads a chunk without the room's rest."""
    table = TABLES[name]
    parameters = table.bounds(after, (BUSY, table.greatest)) | {"greatest": BIGINT_MAX}
    with psycopg.connect(url, autocommit=True) as connection:
        Examination(connection, time.monotonic() + 60)

        plans = [
            "\n".join(line for (line,) in connection.execute(f"EXPLAIN {sql}".encode(), parameters))
            for sql in [f"{table.select('*')} LIMIT 50", *(check.sql for check in CHECKS[name])]
        ]

    for plan in plans:
        # The order of a chunk comes from its index only, whatever the statement does with it.
        assert re.search(rf"Index (Only )?Scan using {index} on {table.name}( \w_1)? ", plan), plan
        assert not re.search(r"Seq Scan on chat_(?!installation)", plan), plan
    assert re.match(rf"Limit .*\n\s*->  Index Scan using {index} ", plans[0]), plans[0]


def measure(url: str) -> tuple[dict[str, Any], float]:
    """Run the command in a process of its own; return its report and its peak memory in MB."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "doctor", "--json", *TOLERANT],
        cwd=PROJECT,
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        report = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return report, used.ru_maxrss / 1024


@pytest.mark.slow
def test_memory_and_time_are_bounded(clone_database: Callable[[], str]) -> None:
    """300,000 messages with their events take seconds, and no more memory than an empty database.

    Measured at 10,000,000 messages and as many events: see docs/operations.md.
    """
    url = clone_database()
    empty, least = measure(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(LARGE.encode())

    report, most = measure(url)

    assert empty["checked"]["messages"] == 0
    assert report["findings"] == []
    assert report["checked"]["messages"] == MESSAGES
    assert report["checked"]["events"] == MESSAGES + 1001
    assert most - least < 20
    # A fifth of what two shared cores do.
    assert report["seconds"] < MESSAGES / 20_000
