"""Releases under traffic: rolling restarts, and migrations while another release's code runs."""

import asyncio
import signal
from pathlib import Path

import psycopg

from tests.rig import releases
from tests.rig.fault import fault
from tests.rig.trial import Trial, find_percentile
from tests.support.processes import PROJECT, run_manage

READER_SECONDS = 10
"""How long a report reads the tables that a migration wants to change."""


@fault("rolling restart", rest_within=10, silence_within=1.5)
async def restart_rolling(trial: Trial) -> None:
    """Five times, each worker is stopped and started again: no request fails."""
    before = trial.count_failures()
    for _ in range(5):
        await restart_one_by_one(trial)
    trial.require_no_failure(before)


@fault("migration under load", rest_within=10, silence_within=1.5)
async def migrate_under_load(trial: Trial) -> None:
    """A made-up next release migrates the tables that every send uses: no request fails.

    A report reads every table for ten seconds meanwhile. The code of this release serves on the new
    schema and the new functions, then the new code does, then that of this release again.
    """
    after = trial.stand.folder / "next"
    await asyncio.to_thread(releases.write_next_release, after)
    before = trial.count_failures()
    await migrate_beside_workers(trial, after)
    for code in (after, PROJECT):
        await move_workers(trial, code)
    trial.require_no_failure(before)


@fault(
    "release before under load",
    rest_within=10,
    silence_within=1.5,
    write_code=releases.write_release_before,
    find_reason_unavailable=releases.find_reason_unavailable,
)
async def upgrade_release_before(trial: Trial) -> None:
    """The release before is replaced by this one, put back, and replaced again: no request fails.

    Its own code created the database and serves while this release migrates. A report reads every
    table for ten seconds meanwhile.
    """
    code_before = trial.stand.code
    before = trial.count_failures()
    await migrate_beside_workers(trial, PROJECT)
    for code in (PROJECT, code_before, PROJECT):
        await move_workers(trial, code)
    trial.require_no_failure(before)


async def restart_one_by_one(trial: Trial) -> None:
    """Stop each worker as a deployment does, wait for its end, and start it again."""
    for worker in trial.stand.workers:
        worker.send(signal.SIGTERM)
        await asyncio.to_thread(worker.wait)
        await trial.stand.start_worker(worker)


async def move_workers(trial: Trial, code: Path) -> None:
    """Restart the workers one by one with other code, and let them serve."""
    for worker in trial.stand.workers:
        worker.folder = code
    await restart_one_by_one(trial)
    await trial.workload.run_for(1)


async def migrate_beside_workers(trial: Trial, code: Path) -> None:
    """Run `manage.py migrate` of some code while other code serves and a report is read.

    99 in 100 requests have to be answered within a second meanwhile.
    """
    schema = await read_schema(trial)
    trial.take_answer_times()
    report = asyncio.create_task(read_slowly(trial))
    await trial.workload.run_for(0.5)
    url = {"DATABASE_URL": trial.stand.database_url, "DEBUG": "1"}
    migrating = asyncio.create_task(asyncio.to_thread(run_manage, "migrate", folder=code, **url))
    while not migrating.done():
        await trial.workload.run_for(0.2)
    await migrating
    slow = find_percentile(trial.take_answer_times(), 99)
    trial.require(slow < 1, f"one in a hundred requests took {slow:.2f} s during the migration")
    await report
    trial.require(await read_schema(trial) != schema, "nothing was migrated")
    await trial.workload.run_for(1)


async def read_slowly(trial: Trial) -> None:
    """Hold what a report holds: a transaction that has read every table of the chat."""
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as connection:
        for table in ("installation", "room", "member", "message", "event", "outbox"):
            await connection.execute(f"SELECT count(*) FROM chat_{table}".encode())
        await trial.workload.run_for(READER_SECONDS)


async def read_schema(trial: Trial) -> dict[str, object]:
    """Return what a migration changes: the list of migrations, and the text of the functions."""
    (row,) = await trial.stand.fetch(
        "SELECT (SELECT array_agg(name ORDER BY id) FROM django_migrations) AS migrations,"
        " (SELECT array_agg(oid::regprocedure::text || md5(prosrc) ORDER BY oid) FROM pg_proc"
        "  WHERE pronamespace = to_regnamespace('chat')) AS functions"
    )
    return row
