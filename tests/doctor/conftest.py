"""A database with a varied history, its clones, and the doctor that looks at them."""

import io
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.test import override_settings

from chat.actions.events import prune_events
from chat.actions.messages import NewMessage, delete_message, make_server_key, send_messages
from chat.actions.rooms import create_room, rename_room
from chat.sql.database import run_call
from tests.conftest import TEMPLATE
from tests.support.memberships import add_members, remove_member

# The rooms of the history, in the order in which they were made.
FORGOTTEN, HALF_FORGOTTEN, BUSY, EMPTY, CROWDED, STRANGE = range(1, 7)
# The tests' PostgreSQL does without fsync, and the history grows old while they run.
TOLERANT = ("--ignore=setting_unsafe", "--late=3600")


@dataclass(frozen=True, slots=True)
class Examined:
    """What a run of the doctor ended with."""

    exit_code: int
    report: dict[str, Any]
    mended: list[dict[str, Any]]

    @property
    def codes(self) -> set[str]:
        """The codes that were found."""
        return {finding["code"] for finding in self.report["findings"]}

    def finding(self, code: str) -> dict[str, Any]:
        """Return what was found under a code."""
        (finding,) = (item for item in self.report["findings"] if item["code"] == code)
        return dict(finding)


def examine(url: str, *options: str, defaults: tuple[str, ...] = TOLERANT) -> Examined:
    """Run `manage.py doctor --json` on a database."""
    output, errors = io.StringIO(), io.StringIO()
    with override_settings(DATABASE_URL=url), pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json", *defaults, *options, stdout=output, stderr=errors)
    mended = [json.loads(line) for line in errors.getvalue().splitlines()]
    assert isinstance(ended.value.code, int)
    return Examined(ended.value.code, json.loads(output.getvalue()), mended)


def write_history(connection: psycopg.Connection[Any]) -> None:
    """Write rooms of every kind through the functions: pruned, busy, empty, crowded, strange."""

    def send(room: int, user: str, *texts: str) -> None:
        messages = [NewMessage(room, user, make_server_key(), text) for text in texts]
        run_call(connection, send_messages(messages))

    run_call(connection, create_room("forgotten", ["alice", "bob"]))
    send(FORGOTTEN, "alice", "one", "two", "three")
    run_call(connection, create_room("half forgotten", ["alice", "bob"]))
    send(HALF_FORGOTTEN, "alice", "one", "two")
    run_call(connection, prune_events(days=0))
    send(HALF_FORGOTTEN, "bob", "three", "four")

    connection.execute("SELECT FROM chat.keep_listeners(ARRAY['alice', 'bob'], 3600)")
    run_call(connection, create_room("busy", ["alice", "bob", "charlie"]))
    send(BUSY, "alice", *(f"message {n}" for n in range(1, 7)))
    send(BUSY, "bob", "seven", "eight")
    connection.execute(
        "SELECT chat.delete_message(id) FROM chat_message WHERE room_id = %s AND seq = 4", [BUSY]
    )
    run_call(connection, rename_room(BUSY, "busier"))
    run_call(connection, remove_member(BUSY, "charlie"))
    run_call(connection, add_members(BUSY, ["alice", "dora", "Ωmega ☕"]))
    send(BUSY, "dora", "nine")
    run_call(connection, rename_room(BUSY, "busiest"))

    run_call(connection, create_room("empty", []))
    run_call(connection, create_room("crowded", [f"user-{n}" for n in range(1001)]))
    send(CROWDED, "user-7", "hello, all of you")
    run_call(connection, create_room("strange", ["a/b c", "привет", "auth0|x", '"\\u0000"']))
    send(STRANGE, "привет", "☕" * 4000, "\\u0000", '"', "\x01" * 4000)
    (last,) = connection.execute("SELECT max(id) FROM chat_message").fetchall()
    run_call(connection, delete_message(last[0]))


def execute(url: str, statements: str) -> None:
    """Run SQL as the owner of the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


@pytest.fixture(scope="session")
def history_url(clone_database: Callable[[], str]) -> str:
    """Return a database with the history; nothing stays connected to it."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        write_history(connection)
    return url


@pytest.fixture
def url(history_url: str) -> str:
    """Return a clone of the history that is this test's alone."""
    source = history_url.rsplit("/", maxsplit=1)[-1].split("?", maxsplit=1)[0]
    name = f"test_{secrets.token_hex(6)}"
    template_url = os.environ["DATABASE_URL"]
    postgres_url = template_url.replace(f"/{TEMPLATE}?", "/postgres?")
    execute(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    url = template_url.replace(f"/{TEMPLATE}?", f"/{name}?")
    # It is a copy, and knows it: as after a move that lost nothing.
    execute(url, "SELECT chat.accept_identity()")
    return url
