"""A backup is restored while clients hold events from after it."""

import asyncio
import subprocess
from pathlib import Path
from random import Random

import pytest

from embedded import cluster
from tests.conformance.servers import find_kinds
from tests.history.recorder import Recorder
from tests.rig.stand import Stand
from tests.rig.users import Sender
from tests.rig.workload import Workload
from tests.support.processes import run_manage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def run_postgres_tool(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own commands."""
    done = subprocess.run(
        [cluster.binary(name), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def run_commands(database_url: str) -> str:
    """Run the commands that follow a restore; return the output of the last one."""
    run_manage("migrate", DATABASE_URL=database_url, DEBUG="1")
    return run_manage("after_restore", "--no-input", DATABASE_URL=database_url, DEBUG="1")


async def restore(stand: Stand, dump: Path) -> str:
    """Do what docs/operations.md says; return the output of `after_restore`."""
    for worker in stand.workers:
        await stand.in_thread(worker.stop)
    await stand.kill_realtime()
    server = stand.database_url.replace("/besedka?", "/postgres?")
    for statement in ("DROP DATABASE besedka WITH (FORCE)", "CREATE DATABASE besedka"):
        await asyncio.to_thread(run_postgres_tool, "psql", server, "-qc", statement)
    await asyncio.to_thread(run_postgres_tool, "pg_restore", "-d", stand.database_url, str(dump))
    output = await asyncio.to_thread(run_commands, stand.database_url)
    await stand.restart_realtime()
    for worker in stand.workers:
        await stand.start_worker(worker)
    return output


async def send_from_all(workload: Workload, count: int) -> None:
    """Let each sender send `count` more messages to the hot room."""

    async def send_some(sender: Sender) -> None:
        for _ in range(count):
            await sender.send(workload.hot)

    await asyncio.gather(*map(send_some, workload.senders))


async def restore_under_clients(stand: Stand, workload: Workload) -> None:
    """Dump, go on, restore, go on: at the end every device holds what it would read again."""
    dump = stand.folder / "dump"
    await workload.start()
    await workload.wait_for_sends(100, within=30)
    arguments = ("-Fc", "-f", str(dump), stand.database_url)
    await asyncio.to_thread(run_postgres_tool, "pg_dump", *arguments)
    # The restored database does not know that this user listens, with a token that stays valid.
    late = await workload.connect_device("late", "user11")
    await workload.wait_for_sends(60, within=30)
    await workload.finish_traffic(within=20)
    await workload.wait_for_rest(10)
    (lost,) = await stand.fetch("SELECT max(id) AS id FROM chat_message")
    away, lagging = (device for device in workload.devices if device.user == "user0")
    await away.device.pause()

    output = await restore(stand, dump)

    assert output.startswith("23 rooms start over")
    heads = await workload.read_heads()
    await late.device.wait_for_versions(heads["user11"], within=20)
    # The hot room reaches the version of the paused device before that is resumed.
    await send_from_all(workload, 16)
    await away.device.resume()
    await workload.wait_for_rest(20)
    assert workload.complaints == []
    for device in workload.devices:
        held, fresh = await device.compare()
        assert held == fresh
    (first,) = await stand.fetch(
        "SELECT min(id) AS id FROM chat_message WHERE id > %s", [lost["id"]]
    )
    assert first["id"] > 10**15, "an id of a message that was lost is given to another"
    assert lagging.reducer.version(workload.hot) > 10**15


@pytest.mark.parametrize("kind", find_kinds())
def test_every_client_converges_after_an_older_backup_was_restored(
    kind: str, template: Path, tmp_path: Path
) -> None:
    """All clients, connected or not, end with what the restored database has."""
    folder = tmp_path / "stand"
    folder.mkdir()

    async def scenario() -> None:
        async with Stand.start(template, folder, kind) as stand:
            with Recorder(tmp_path / "history.jsonl") as recorder:
                workload = Workload(stand, recorder, Random(1))
                try:
                    await restore_under_clients(stand, workload)
                finally:
                    await workload.close()

    asyncio.run(scenario())
