"""Probes: is the process alive, and can it serve."""

from pathlib import Path

import psycopg
from litestar import Response, get

from chat import migrations
from chat.api.openapi.operations import Operation
from chat.api.schemas import DatabaseState, Liveness, Readiness
from chat.errors import ChatError
from chat.queries.readiness import read_readiness
from chat.sql.database import Database

# A probe that waits for a silent database tells nothing that a 503 does not.
READINESS_SECONDS = 2.0
# Beyond this the consumer of the outbox is taken to be away.
REALTIME_LATE_SECONDS = 5.0
_KNOWN_MIGRATIONS = frozenset(path.stem for path in Path(migrations.__path__[0]).glob("[0-9]*.py"))


@get("/health/live")
async def check_live() -> Liveness:
    """Answer as long as the process runs; asks nothing of the database."""
    return Liveness(status="ok")


@get("/health/ready", operation=Operation(answers={503: "The service cannot serve now."}))
async def check_ready(database: Database) -> Response[Readiness]:
    """Answer 200 when the database is there and migrated, 503 otherwise.

    Realtime being late is `degraded` in the body, never a reason to take the API out: sends are
    stored, and delivered when Centrifugo is back.
    """
    try:
        row = await database.fetch_one(read_readiness(), within=READINESS_SECONDS)
    except ChatError:
        return _answer("unavailable", None)
    except psycopg.errors.UndefinedTable:
        return _answer("not migrated", None)
    if not row.migrations or not _KNOWN_MIGRATIONS.issubset(row.migrations):
        return _answer("not migrated", row.outbox_age)
    if not row.is_writable:
        return _answer("read only", row.outbox_age)
    # Those of another release will do: in a rolling deploy the schema is ahead of the old
    # processes, and still answers their calls.
    if row.fingerprint is None:
        return _answer("without functions", row.outbox_age)
    return _answer("ok", row.outbox_age)


def _answer(database: DatabaseState, outbox_age: float | None) -> Response[Readiness]:
    is_late = outbox_age is not None and outbox_age > REALTIME_LATE_SECONDS
    return Response(
        Readiness(
            status="ok" if database == "ok" else "unavailable",
            database=database,
            realtime="degraded" if is_late else "ok",
            outbox_age_seconds=outbox_age,
        ),
        status_code=200 if database == "ok" else 503,
    )
