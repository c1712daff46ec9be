"""`manage.py loadtest` sends, receives and judges, and finds what was lost and doubled."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
import pytest

from tests.conformance.servers import SECRET, start_server
from tests.support.processes import call_manage, serve_api

pytestmark = pytest.mark.slow

# A trigger sees each message on its way into the outbox, and does something to one of ten.
SPOIL: LiteralString = """
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $spoil$ BEGIN
    IF NEW.payload::text LIKE '%%message_added%%' AND NEW.id %% 10 = 0 THEN {} END IF;
    RETURN NEW;
END $spoil$;
CREATE TRIGGER spoil BEFORE INSERT ON chat_outbox FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION spoil();"""
LOSE: LiteralString = "RETURN NULL;"
# With a key of its own, or the realtime server would drop it.
DOUBLE: LiteralString = """
INSERT INTO chat_outbox (method, payload, partition, created_at) VALUES (
    NEW.method,
    replace(NEW.payload::text, '"idempotency_key" : "', '"idempotency_key" : "again:')::json,
    NEW.partition, NEW.created_at);"""


@contextmanager
def serving(database_url: str) -> Iterator[list[str]]:
    """Run the API and the gateway; give the options that name them."""
    with (
        psycopg.connect(database_url) as connection,
        serve_api(database_url, CENTRIFUGO_TOKEN_SECRET=SECRET) as api_url,
    ):
        row = connection.execute("SELECT outbox_partitions FROM chat_installation").fetchone()
        assert row is not None
        server = start_server("gateway", database_url, row[0])
        try:
            yield [f"--url={api_url}", f"--realtime-url={server.url}"]
        finally:
            server.stop()


def run_loadtest(
    database_url: str, spoil: LiteralString | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command for two seconds, with a trigger that spoils events if one is given."""
    with serving(database_url) as where:
        if spoil:
            with psycopg.connect(database_url) as connection:
                connection.execute(SPOIL.replace("{}", spoil).replace("%%", "%"))
        numbers = ["--rooms=3", "--members=4", "--senders=4", "--seconds=2"]
        return call_manage("loadtest", *numbers, *where, DATABASE_URL=database_url)


def test_a_healthy_installation_loses_nothing(clone_database: Callable[[], str]) -> None:
    """Every acknowledged message arrives once, in order, and the exit code says so."""
    done = run_loadtest(clone_database())

    assert done.returncode == 0, done.stderr
    assert "0 lost, 0 doubled, 0 out of order, 0 where they do not belong" in done.stdout
    assert "Every message arrived exactly once and in order." in done.stdout


def test_lost_messages_are_found(clone_database: Callable[[], str]) -> None:
    """An installation that loses one message of ten fails the test."""
    done = run_loadtest(clone_database(), LOSE)

    assert done.returncode == 1, done.stdout
    assert " 0 lost" not in done.stdout
    assert "0 doubled" in done.stdout


def test_doubled_messages_are_found(clone_database: Callable[[], str]) -> None:
    """An installation that delivers one message of ten twice fails the test."""
    done = run_loadtest(clone_database(), DOUBLE)

    assert done.returncode == 1, done.stdout
    assert "0 lost" in done.stdout
    assert " 0 doubled" not in done.stdout


def test_an_api_that_is_not_there_is_one_sentence() -> None:
    """Where nothing listens, the command says so in one line."""
    done = call_manage("loadtest", "--url=http://127.0.0.1:1", DEBUG="1")

    assert done.returncode == 1
    assert "ConnectionRefusedError" in done.stderr
    assert "Traceback" not in done.stderr
