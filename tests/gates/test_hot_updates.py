"""Sends write the room's row in place: no index of rooms is touched (HOT updates)."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from chat.actions.messages import NewMessage, send_message
from chat.actions.rooms import create_room
from chat.sql.database import run_call
from embedded.postgres import PostgresServer
from tests.support.processes import run_manage

ROOMS, ROUNDS = 100, 10


@pytest.fixture
def session(tmp_path: Path) -> Iterator[psycopg.Connection]:
    """Open a database of a server that nobody else uses.

    While a transaction of another session is open, in another database too, rows that were updated
    after its start are not removed from their pages. That of an automatic ANALYZE counts as well,
    so there is none.
    """
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer.start(tmp_path, durable=False))
        run_manage("migrate", "--no-input", DATABASE_URL=server.url())
        connection = stack.enter_context(psycopg.connect(server.url(), autocommit=True))
        for (table,) in connection.execute(
            "SELECT relname FROM pg_stat_user_tables WHERE relname LIKE 'chat%'"
        ):
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        yield connection


def read_updates(session: psycopg.Connection) -> tuple[int, int]:
    """Return how often the rows of rooms were updated, and how often of these in place."""
    session.execute("SELECT pg_stat_force_next_flush()")
    row = session.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'chat_room'"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_sends_update_rooms_in_place(session: psycopg.Connection) -> None:
    """With the storage settings of the migrations, more than nine updates of ten are in place."""
    rooms = [run_call(session, create_room("room", ["alice"])).room.id for _ in range(ROOMS)]
    updates, in_place = read_updates(session)

    for _ in range(ROUNDS):
        for room in rooms:
            run_call(session, send_message(NewMessage(room, "alice", secrets.token_hex(8), "text")))

    after, in_place_after = read_updates(session)
    assert after - updates >= ROOMS * ROUNDS
    assert in_place_after - in_place > 0.9 * (after - updates)
