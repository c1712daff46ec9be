"""Probes: is the process alive, and can it serve."""

import time

import psycopg
from litestar import Response, get

from chat import queries
from chat.api.openapi.operations import Operation
from chat.api.schemas import DatabaseState, Liveness, Readiness
from chat.errors import ChatError
from chat.migrations import known_migrations
from chat.queries.readiness import ReadinessRow
from chat.queries.revocations import Revocations
from chat.sql.database import Database
from chat.sql.install import FUNCTIONS_RELEASE, read_installed

# A probe need not wait longer for a silent database: the answer is 503 then.
READINESS_SECONDS = 2.0
# Beyond this age of the oldest outbox row, its consumer is taken to be away.
REALTIME_LATE_SECONDS = 5.0


@get("/health/live")
async def check_live() -> Liveness:
    """Answer as long as the process runs; asks nothing of the database."""
    return Liveness(status="ok")


@get("/health/ready", operation=Operation(answers={503: "The service cannot serve now."}))
async def check_ready(database: Database, revocations: Revocations) -> Response[Readiness]:
    """Answer 200 when the database is there, migrated and has this code's functions; else 503.

    503 with `revocations not read` means that this process has just started, or that it could not
    look for a minute which tokens were revoked.

    Realtime being late is `degraded` in the body, never a reason to take the API out: sends are
    stored, and delivered when Centrifugo is back. `warnings` names what an operator should look at:
    `database_copied`, a restored database for which `manage.py after_restore` was not run.
    """
    deadline = time.monotonic() + READINESS_SECONDS
    try:
        row = await database.run(queries.readiness.read_readiness(), within=READINESS_SECONDS)
    except ChatError:
        state: DatabaseState = "unavailable" if database.refusal is None else "too old"
        return _answer(state, None, [], database.refusal)
    except psycopg.errors.UndefinedTable:
        return _answer("not migrated", None, [])
    state = _judge(row)
    if state == "ok" and not revocations.is_fresh(time.monotonic()):
        state = "revocations not read"
    warnings = await _find_warnings(database, deadline) if state == "ok" else []
    return _answer(state, row.outbox_age, warnings)


async def _find_warnings(database: Database, deadline: float) -> list[str]:
    """Return what an operator should look at; none where the database does not say it in time."""
    try:
        is_copy = await database.run(
            queries.readiness.is_copy(), within=deadline - time.monotonic()
        )
    except (ChatError, psycopg.Error):
        return []
    return ["database_copied"] if is_copy else []


def _judge(row: ReadinessRow) -> DatabaseState:
    if not row.migrations or not known_migrations().issubset(row.migrations):
        return "not migrated"
    if not row.is_writable:
        return "read only"
    if row.functions is None:
        return "without functions"
    # Those of a later release will do: in a rolling deploy the database is ahead of the old
    # processes, and its functions still answer their calls.
    installed = read_installed(row.functions)
    if installed is None or installed.release < FUNCTIONS_RELEASE:
        return "older functions"
    return "ok"


def _answer(
    database: DatabaseState,
    outbox_age: float | None,
    warnings: list[str],
    detail: str | None = None,
) -> Response[Readiness]:
    is_late = outbox_age is not None and outbox_age > REALTIME_LATE_SECONDS
    return Response(
        Readiness(
            status="ok" if database == "ok" else "unavailable",
            database=database,
            realtime="degraded" if is_late else "ok",
            outbox_age_seconds=outbox_age,
            warnings=warnings,
            detail=detail,
        ),
        status_code=200 if database == "ok" else 503,
    )
