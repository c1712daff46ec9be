"""A PostgreSQL that is too old is refused in one sentence, before anything is written."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.support.older_server import claim_version
from tests.support.processes import call_manage, start_api

SENTENCE = "PostgreSQL 18 or later is required (found 17.9)."


@pytest.fixture
def empty_url(clone_database: Callable[[], str]) -> str:
    """Return a database without a table or a function of ours."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public, chat CASCADE; CREATE SCHEMA public")
    return url


@pytest.fixture
def older_url(empty_url: str) -> Iterator[str]:
    """Return the same database on a server that says it is an older one."""
    with claim_version(empty_url, "17.9") as url:
        yield url


def list_everything(url: str) -> list[str]:
    """Return the schemas and the tables of a database."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT nspname FROM pg_namespace UNION ALL SELECT relname FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        return [name for (name,) in rows]


@pytest.mark.slow
def test_migrate_writes_nothing_to_an_older_server(empty_url: str, older_url: str) -> None:
    """One line names what is required and what was found; the database stays empty."""
    before = list_everything(empty_url)

    done = call_manage("migrate", "--no-input", DATABASE_URL=older_url)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"CommandError: {SENTENCE} Nothing was changed.\n"
    assert list_everything(empty_url) == before


@pytest.mark.parametrize("command", ["demo_data", "prune_events", "after_restore --no-input"])
def test_each_command_refuses_an_older_server(older_url: str, command: str) -> None:
    """Every other command says the same in one line."""
    done = call_manage(*command.split(), DATABASE_URL=older_url)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"The database cannot be used: {SENTENCE}\n"


def test_the_doctor_says_that_the_server_is_old(older_url: str) -> None:
    """The check ends at once: what an older server lacks is no damage."""
    done = call_manage("doctor", DATABASE_URL=older_url)

    assert done.returncode == 2
    assert f"Not finished: {SENTENCE}" in done.stdout
    assert "table_altered" not in done.stdout


def test_the_api_is_not_ready_on_an_older_server(
    clone_database: Callable[[], str], tmp_path: Path
) -> None:
    """The probe and the log name both versions, and no request reaches the server."""
    log = tmp_path / "log"
    with (
        claim_version(clone_database(), "17.9") as url,
        log.open("wb") as output,
        start_api(url, output=output) as (api, _),
    ):
        answer = httpx.get(f"{api}/health/ready", timeout=15, trust_env=False)

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "database": "too old",
        "realtime": "ok",
        "outbox_age_seconds": None,
        "detail": SENTENCE,
    }
    assert SENTENCE in log.read_text()


def test_the_version_is_the_only_reason(clone_database: Callable[[], str]) -> None:
    """The same database behind the same proxy, with the version it has, is ready."""
    with claim_version(clone_database(), "18.0") as url, start_api(url) as (api, _):
        answer = httpx.get(f"{api}/health/ready", timeout=15, trust_env=False)

    assert answer.json()["database"] == "ok", answer.json()
