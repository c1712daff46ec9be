"""`manage.py migrate`."""

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.rows import dict_row

from chat.management.commands.migrate import LOCK_TIMEOUT_MS
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
