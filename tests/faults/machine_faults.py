"""Faults of machines: the network is cut, the disk is full, the clock jumps."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from tests.rig import clock, disk, network
from tests.rig.clock import FakeClock
from tests.rig.disk import SmallDisk
from tests.rig.fault import fault
from tests.rig.network import NetworkNamespace
from tests.rig.proxy import find_postgres_socket
from tests.rig.trial import Trial

DISK_BYTES = 256 << 20
CATCH_UP = 40
"""Sends after which the service counts as working again."""


@fault(
    "API's network cut",
    rest_within=20,
    silence_within=14,
    find_reason_unavailable=network.find_reason_unavailable,
)
async def cut_api_network(trial: Trial) -> None:
    """The network between the API and PostgreSQL fails for six seconds, in two ways.

    No connection is closed. Meanwhile the API answers 503 within five seconds.
    """
    stand = trial.stand
    with NetworkNamespace() as place:
        relay = await stand.open_link(
            find_postgres_socket(stand.database_url), host=place.host_address
        )
        outside = [worker.database_url for worker in stand.workers]
        for worker in stand.workers:
            worker.prefix, worker.database_url = place.prefix, stand.through(relay)
            await stand.in_thread(worker.stop)
            await stand.start_worker(worker)
        for lose in (place.cut, place.black_hole):
            await trial.workload.run_for(1)
            before = trial.count_failures()
            lose()
            await trial.workload.run_for(6)
            trial.require_failures(before)
            place.heal()
            await trial.workload.wait_for_sends(CATCH_UP, within=20)
        for worker, url in zip(stand.workers, outside, strict=True):
            worker.prefix, worker.database_url = [], url
            await stand.in_thread(worker.stop)
            await stand.start_worker(worker)


@fault(
    "realtime's network cut",
    rest_within=20,
    silence_within=2,
    find_reason_unavailable=network.find_reason_unavailable,
    is_about_realtime=True,
)
async def cut_realtime_network(trial: Trial) -> None:
    """The realtime server is cut off from devices and PostgreSQL for eight seconds, in two ways.

    No connection is closed. Sends go on.
    """
    stand = trial.stand
    with NetworkNamespace() as place:
        relay = await stand.open_link(
            find_postgres_socket(stand.database_url), host=place.host_address
        )
        await stand.move_realtime(place.prefix, place.address, stand.through(relay))
        for lose in (place.cut, place.black_hole):
            await trial.workload.run_for(2)
            lose()
            await trial.workload.run_for(8)
            await trial.require_devices_cut_off()
            place.heal()
        await trial.workload.run_for(2)
        await stand.move_realtime([], "127.0.0.1", stand.through(stand.realtime_database))


@fault(
    "disk full",
    rest_within=20,
    silence_within=25,
    find_reason_unavailable=disk.find_reason_unavailable,
    settings={"max_wal_size": "64MB", "min_wal_size": "32MB", "wal_recycle": "off"},
)
async def fill_disk(trial: Trial) -> None:
    """PostgreSQL's disk is full for six seconds: 503s, and service within ten seconds after it."""
    stand = trial.stand
    data = stand.folder / "postgres"
    await stand.stop_postgres("fast")
    aside = data.rename(stand.folder / "aside")
    with SmallDisk(data, DISK_BYTES) as small:
        await stand.in_thread(shutil.copytree, aside, data, dirs_exist_ok=True)
        await stand.start_postgres()
        await trial.workload.wait_for_sends(CATCH_UP, within=20)
        before = trial.count_failures()
        small.fill()
        for _ in range(6):
            await trial.workload.run_for(1)
            small.fill()  # the space that a checkpoint has freed
        trial.require_failures(before)
        small.free()
        if stand.postgres.process.poll() is not None:
            await stand.stop_postgres()
            await stand.start_postgres()
        took = await trial.workload.wait_for_sends(CATCH_UP, within=30)
        trial.require(took < 10, f"no service {took:.1f} s after there was space again")
        await stand.stop_postgres("fast")
        shutil.rmtree(aside)
        await stand.in_thread(shutil.copytree, data, aside)
    data.rmdir()
    aside.rename(data)
    await stand.start_postgres()


@fault(
    "clocks jump",
    rest_within=15,
    silence_within=8,
    find_reason_unavailable=clock.find_reason_unavailable,
)
async def jump_clocks(trial: Trial) -> None:
    """The clocks of the API and of PostgreSQL jump by up to an hour, forward and back.

    Nothing depends on them. With clocks that differ by 25 seconds nobody is logged out, and devices
    connect again with tokens of either worker.
    """
    stand = trial.stand
    apis, postgres = FakeClock(make(stand.folder / "a")), FakeClock(make(stand.folder / "p"))
    worker = stand.workers[0]
    worker.environment |= apis.environment
    await stand.in_thread(worker.stop)
    await stand.start_worker(worker)
    await stand.stop_postgres("fast")
    with environment(postgres.environment):
        await stand.start_postgres()
    for seconds in (25, -50, 25):
        apis.jump(seconds)
        stand.device_link.reset()
        await trial.workload.run_for(1.5)
    ahead = 0
    for seconds in (120, -240, 120, 3600, -7200, 3600):
        apis.jump(seconds)
        postgres.jump(-seconds)
        ahead += seconds
        await trial.workload.run_for(1.2)
        api, database = await _read_clocks(trial)
        trial.require(abs(api - ahead) < 10, f"the API's clock is {api:.0f} s ahead, not {ahead}")
        trial.require(
            abs(database + ahead) < 10, f"PostgreSQL's is {database:.0f} s ahead, not {-ahead}"
        )
    await stand.stop_postgres("fast")
    await stand.start_postgres()


async def _read_clocks(trial: Trial) -> tuple[float, float]:
    """Return by how many seconds the first worker's clock and PostgreSQL's are ahead of ours."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        answer = await http.get(f"{trial.stand.api_urls[0]}/health/live")
    date = parsedate_to_datetime(answer.headers["Date"])
    (row,) = await trial.stand.fetch("SELECT extract(epoch FROM clock_timestamp())::float AS at")
    return date.timestamp() - time.time(), row["at"] - time.time()


def make(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir()
    return folder


@contextmanager
def environment(added: dict[str, str]) -> Iterator[None]:
    """Give processes that are started in the block these variables."""
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
