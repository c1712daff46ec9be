"""GET /health/live and GET /health/ready"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from chat.sql.install import FUNCTIONS_RELEASE, Installed, functions_fingerprint
from tests.support.actors import Actor
from tests.support.processes import serve_api

CloneDatabase = Callable[[], str]


@pytest.fixture(scope="module")
def spare_url(clone_database: CloneDatabase) -> str:
    """Return a database that these tests may damage."""
    return clone_database()


@pytest.fixture(scope="module")
def spare_api(spare_url: str) -> Iterator[str]:
    """Return the address of an API on the spare database."""
    with serve_api(spare_url) as url:
        yield url


@contextmanager
def damaged(url: str, damage: str, repair: str) -> Iterator[None]:
    """Run the statements of `damage`, and those of `repair` at the end."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(damage.encode())
        try:
            yield
        finally:
            connection.execute(repair.encode())


def read(url: str, path: str = "/health/ready") -> tuple[int, dict[str, object]]:
    """Return the status and the body of a probe."""
    answer = httpx.get(f"{url}{path}", timeout=15, trust_env=False)
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


def test_a_live_process_says_so(anonymous: Actor) -> None:
    """The liveness probe needs no token."""
    answer = anonymous.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_migrated_database_is_ready(spare_api: str) -> None:
    """With every migration and its functions there, and nothing undelivered, all is well."""
    assert read(spare_api) == (
        200,
        {"status": "ok", "database": "ok", "realtime": "ok", "outbox_age_seconds": None},
    )


def test_late_realtime_is_degraded_not_down(spare_api: str, spare_url: str) -> None:
    """An old outbox is in the body; sends are still stored, so the API stays in service."""
    row = (
        "INSERT INTO chat_outbox (method, payload, partition, created_at)"
        " VALUES ('broadcast', '{}', 0, now() - interval '1 minute')"
    )

    with damaged(spare_url, row, "DELETE FROM chat_outbox"):
        status, body = read(spare_api)

    assert (status, body["status"], body["realtime"]) == (200, "ok", "degraded")
    age = body["outbox_age_seconds"]
    assert isinstance(age, float)
    assert 60 <= age < 120


def test_a_young_outbox_is_no_trouble(spare_api: str, spare_url: str) -> None:
    """A row that was just written is on its way."""
    row = (
        "INSERT INTO chat_outbox (method, payload, partition, created_at)"
        " VALUES ('broadcast', '{}', 0, now())"
    )

    with damaged(spare_url, row, "DELETE FROM chat_outbox"):
        status, body = read(spare_api)

    assert (status, body["realtime"]) == (200, "ok")


def test_a_missing_migration_is_not_ready(spare_api: str, spare_url: str) -> None:
    """An API that is newer than its database waits for `migrate`."""
    away = "UPDATE django_migrations SET app = 'away' WHERE app = 'chat'"
    back = "UPDATE django_migrations SET app = 'chat' WHERE app = 'away'"

    with damaged(spare_url, away, back):
        status, body = read(spare_api)

    assert (status, body["status"], body["database"]) == (503, "unavailable", "not migrated")


OWN = Installed(FUNCTIONS_RELEASE, functions_fingerprint())
LATER, OLDER = (Installed(FUNCTIONS_RELEASE + step, "0" * 16) for step in (1, -1))
OWN_FUNCTIONS = f"COMMENT ON SCHEMA chat IS '{OWN.comment}'"


def test_functions_of_a_later_release_will_do(spare_api: str, spare_url: str) -> None:
    """In a rolling deploy the database is ahead of the old processes, and they go on serving."""
    with damaged(spare_url, f"COMMENT ON SCHEMA chat IS '{LATER.comment}'", OWN_FUNCTIONS):
        status, body = read(spare_api)

    assert (status, body["database"]) == (200, "ok")


@pytest.mark.parametrize("comment", [f"'{OLDER.comment}'", "'another comment'", "''"])
def test_functions_of_an_older_release_are_not_ready(
    spare_api: str, spare_url: str, comment: str
) -> None:
    """Where older functions, or none of ours, are installed, calls could fail: 503, and why."""
    with damaged(spare_url, f"COMMENT ON SCHEMA chat IS {comment}", OWN_FUNCTIONS):
        status, body = read(spare_api)

    assert (status, body["status"]) == (503, "unavailable")
    assert body["database"] in {"older functions", "without functions"}
    assert (body["database"] == "without functions") == (comment == "''")


def test_a_copied_database_is_ready_with_a_warning(spare_api: str, spare_url: str) -> None:
    """A database restored without `after_restore` serves, and the probe tells the operator."""
    copied = "UPDATE chat_installation SET identity = 'of another cluster'"
    back = "UPDATE chat_installation SET identity = chat.database_identity()"

    with damaged(spare_url, copied, back):
        status, body = read(spare_api)

    assert (status, body["status"], body["database"]) == (200, "ok", "ok")
    assert body["warnings"] == ["database_copied"]
    assert "warnings" not in read(spare_api)[1]


def test_a_database_without_functions_is_not_ready(spare_api: str, spare_url: str) -> None:
    """Without the functions nothing can be written: a 503 that names the reason."""
    away = "ALTER SCHEMA chat RENAME TO away"
    back = "ALTER SCHEMA away RENAME TO chat"

    with damaged(spare_url, away, back):
        status, body = read(spare_api)

    assert (status, body["database"]) == (503, "without functions")


def test_a_database_that_takes_no_writes_is_not_ready(spare_api: str, spare_url: str) -> None:
    """A standby, or a primary that was made read-only, is a 503 that says so."""
    database = spare_url.rsplit("/", 1)[1].split("?", maxsplit=1)[0]
    end_sessions = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'besedka-api'"
    )
    set_ = f'ALTER DATABASE "{database}" SET default_transaction_read_only = on; {end_sessions}'
    back = (
        "SET default_transaction_read_only = off;"
        f' ALTER DATABASE "{database}" RESET default_transaction_read_only; {end_sessions}'
    )

    with damaged(spare_url, set_, back):
        status, body = read(spare_api)

    assert (status, body["database"]) == (503, "read only")
    assert read(spare_api)[0] == 200


def test_a_new_database_is_not_ready(spare_api: str, spare_url: str) -> None:
    """A database that never saw `migrate` is a 503 with the reason; it mends without a restart."""
    away = "ALTER SCHEMA public RENAME TO away; CREATE SCHEMA public"
    back = "DROP SCHEMA public; ALTER SCHEMA away RENAME TO public"

    with damaged(spare_url, away, back):
        status, body = read(spare_api)
        live = read(spare_api, "/health/live")

    assert status == 503
    assert (body["status"], body["database"]) == ("unavailable", "not migrated")
    assert live == (200, {"status": "ok"})
    assert read(spare_api)[0] == 200
