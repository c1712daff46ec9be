"""Probes: is the process alive, and can it serve."""

from pathlib import Path

import psycopg
from litestar import Response, get

from chat import migrations
from chat.api.schemas import Readiness
from chat.errors import ChatError
from chat.queries.readiness import read_readiness
from chat.sql.database import Database
from chat.sql.install import functions_fingerprint

# Beyond this the consumer of the outbox is taken to be away.
REALTIME_LATE_SECONDS = 5.0
_KNOWN_MIGRATIONS = frozenset(path.stem for path in Path(migrations.__path__[0]).glob("[0-9]*.py"))


@get("/health/live")
async def check_live() -> dict[str, str]:
    """Answer as long as the process runs; asks nothing of the database."""
    return {"status": "ok"}


@get("/health/ready")
async def check_ready(database: Database) -> Response[Readiness]:
    """Answer 200 when the database is there and migrated, 503 otherwise.

    Realtime being late is `degraded` in the body, never a reason to take the API out: sends are
    stored, and delivered when Centrifugo is back.
    """
    try:
        row = await database.fetch_one(read_readiness())
    except ChatError:
        return _answer("unavailable", None)
    except psycopg.errors.UndefinedTable:
        return _answer("not migrated", None)
    if not row.migrations or not _KNOWN_MIGRATIONS.issubset(row.migrations):
        return _answer("not migrated", row.outbox_age)
    if row.fingerprint != functions_fingerprint():
        return _answer("functions of another release", row.outbox_age)
    return _answer("ok", row.outbox_age)


def _answer(database: str, outbox_age: float | None) -> Response[Readiness]:
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
