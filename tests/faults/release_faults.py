"""Releases while everyone goes on: rolling restarts, and a migration beside the code before it."""

import asyncio
import shutil
import signal
from pathlib import Path

import psycopg

from tests.rig.fault import fault
from tests.rig.trial import Trial, find_percentile
from tests.support.processes import PROJECT, run_manage

SHIPPED = ("app", "chat", "manage.py")
READER_SECONDS = 10
"""How long a report reads the tables that a migration wants to change."""


async def restart_one_by_one(trial: Trial) -> None:
    """Stop each worker as a deployment does, wait for it, and start it anew."""
    for worker in trial.stand.workers:
        worker.send(signal.SIGTERM)
        await asyncio.to_thread(worker.wait)
        await trial.stand.start_worker(worker)


@fault("rolling restart", rest_within=10, silence_within=1.5)
async def restart_rolling(trial: Trial) -> None:
    """Five times, each worker is told to stop and started anew: not one request fails."""
    before = trial.count_failures()
    for _ in range(5):
        await restart_one_by_one(trial)
    failed = trial.count_failures() - before
    trial.require(failed == 0, f"{failed} requests failed")


@fault("migration under load", rest_within=10, silence_within=1.5)
async def migrate_under_load(trial: Trial) -> None:
    """A release migrates the tables that every send uses, and comes, and goes: no request fails.

    A report reads every table for ten seconds meanwhile. The code before serves on the new schema
    and the new functions, then the new code does, then the one before again.
    """
    code_after = await asyncio.to_thread(write_next_release, trial.stand.folder / "next")
    before = trial.count_failures()
    trial.take_answer_times()
    report = asyncio.create_task(read_slowly(trial))
    await trial.workload.run_for(0.5)
    url = {"DATABASE_URL": trial.stand.database_url, "DEBUG": "1"}
    migrating = asyncio.create_task(
        asyncio.to_thread(run_manage, "migrate", folder=code_after, **url)
    )
    while not migrating.done():
        await trial.workload.run_for(0.2)
    await migrating
    slow = find_percentile(trial.take_answer_times(), 99)
    trial.require(slow < 1, f"one in a hundred requests took {slow:.2f} s during the migration")
    await report
    await trial.workload.run_for(1)
    for code in (code_after, PROJECT):
        for worker in trial.stand.workers:
            worker.folder = code
        await restart_one_by_one(trial)
    failed = trial.count_failures() - before
    trial.require(failed == 0, f"{failed} requests failed")


NEXT_MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("chat", {last!r})]
    operations = [
        migrations.RunSQL(
            f"ALTER TABLE chat_{{table}} ADD COLUMN next_release integer NOT NULL DEFAULT 1")
        for table in ("room", "member", "message", "event", "outbox", "installation")
    ]
"""


def write_next_release(folder: Path) -> Path:
    """Write the code as the next release may be: a column more in each table, other functions."""
    folder.mkdir()
    for name in SHIPPED:
        source, target = PROJECT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    migrations = folder / "chat/migrations"
    last = max(migrations.glob("0*.py")).stem
    (migrations / "9999_next_release.py").write_text(NEXT_MIGRATION.format(last=last))
    functions = folder / "chat/sql/functions/identity.sql"
    functions.write_text(functions.read_text() + "\n-- As it is in the next release.\n")
    return folder


async def read_slowly(trial: Trial) -> None:
    """Hold what a report holds: a transaction that has read every table of the chat."""
    async with await psycopg.AsyncConnection.connect(trial.stand.database_url) as connection:
        for table in ("installation", "room", "member", "message", "event", "outbox"):
            await connection.execute(f"SELECT count(*) FROM chat_{table}".encode())
        await trial.workload.run_for(READER_SECONDS)
