"""`manage.py after_restore` where it cannot do its work: one line says why, and nothing changes."""

import json
import subprocess
import sys

import psycopg

from chat.actions.messages import NewMessage, send_message
from chat.actions.rooms import create_room
from chat.queries.keyset import Slice
from chat.queries.rooms import list_rooms
from chat.sql.database import run_call
from tests.doctor.conftest import BUSY, FORGOTTEN, HALF_FORGOTTEN, execute
from tests.support.processes import PROJECT


def run(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a job does, without a terminal."""
    return subprocess.run(
        [sys.executable, "manage.py", "after_restore", *options],
        cwd=PROJECT,
        env={"DATABASE_URL": url, "DEBUG": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def read_epoch(url: str) -> str:
    """Return the installation's epoch."""
    with psycopg.connect(url) as connection:
        (row,) = connection.execute("SELECT epoch FROM chat_installation").fetchall()
        return str(row[0])


def test_without_a_terminal_it_names_the_option(url: str) -> None:
    """It asks before it empties the log; without an answer it does nothing."""
    before = read_epoch(url)

    done = run(url)

    assert done.returncode == 1
    assert "--no-input" in done.stderr
    assert "Traceback" not in done.stderr
    assert read_epoch(url) == before
    assert run(url, "--no-input").returncode == 0
    assert read_epoch(url) != before


def test_what_the_database_refuses_is_one_line(url: str) -> None:
    """A database that was not migrated, or has no installation, gives one line and no traceback."""
    execute(url, "DELETE FROM chat_installation")

    noted, begun = run(url, "--nothing-lost"), run(url, "--no-input")
    nowhere = run(url.replace("?", "_nowhere?"), "--no-input")

    # Without a connection `manage.py` exits with 2, as every command does.
    for done, code in (noted, 1), (begun, 1), (nowhere, 2):
        assert done.returncode == code
        assert "Traceback" not in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_after_it_the_list_of_rooms_goes_on(url: str) -> None:
    """Rooms keep their places; a new room and a new message come before all of them."""
    run(url, "--no-input")
    with psycopg.connect(url, autocommit=True) as connection:

        def list_ids() -> list[int]:
            listed = run_call(connection, list_rooms("bob", Slice(50)))
            return [json.loads(bytes(room))["id"] for room in listed]

        kept = list_ids()
        new = run_call(connection, create_room("new", ["bob"])).room.id
        with_new = list_ids()
        run_call(connection, send_message(NewMessage(FORGOTTEN, "bob", "key", "text")))
        with_message = list_ids()

    assert kept == [BUSY, HALF_FORGOTTEN, FORGOTTEN]
    assert with_new == [new, *kept]
    assert with_message == [FORGOTTEN, new, BUSY, HALF_FORGOTTEN]
