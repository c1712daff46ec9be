"""A trial as the function of a fault sees it."""

import asyncio
import time
from dataclasses import dataclass
from math import ceil
from random import Random

from tests.rig.devices import RecordedDevice
from tests.rig.stand import Stand
from tests.rig.workload import Workload


@dataclass(slots=True)
class Trial:
    """The stand, the workload, and a seeded source of random choices."""

    stand: Stand
    workload: Workload
    random: Random

    def require(self, condition: bool, complaint: str) -> None:  # noqa: FBT001 - as in `assert`
        """Note a complaint unless the condition holds, and go on."""
        if not condition:
            self.workload.complaints.append(complaint)

    def require_failures(self, before: int) -> None:
        """Note a complaint if no request failed since: then the fault did not happen."""
        self.require(self.count_failures() > before, "no request failed: the fault did not happen")

    async def require_devices_cut_off(self) -> None:
        """Note a complaint if a device is up to date while no event can reach any device.

        A guest who has just left the last room has nothing to receive, and does not count.
        """
        heads = await self.workload.read_heads()
        reached = [
            device.name
            for device in self.workload.devices
            if heads.get(device.user) and device.is_at(heads[device.user])
        ]
        self.require(not reached, f"{reached} received events: the fault did not happen")

    def count_failures(self) -> int:
        """Count the requests of all clients that failed so far; see `Api.failures`."""
        return sum(len(api.failures) for api in self.workload.apis.values())

    def require_no_failure(self, before: int) -> None:
        """Note a complaint with the reasons if requests failed since there were this many."""
        failed = self.count_failures() - before
        texts = [text for api in self.workload.apis.values() for text in api.failures]
        self.require(failed == 0, f"{failed} requests failed: {'; '.join(texts[:5])}")

    def take_answer_times(self) -> list[float]:
        """Return the seconds of each request that was answered since the last call of this."""
        taken = []
        for api in self.workload.apis.values():
            taken += api.times
            api.times.clear()
        return taken

    async def wait_until_current(self, devices: list[RecordedDevice], within: float = 20) -> None:
        """Wait until these devices have the versions that the database has now, or newer ones."""
        heads = await self.workload.read_heads()
        async with asyncio.timeout(within):
            while any(device.is_behind(heads.get(device.user, {})) for device in devices):
                await self.workload.run_for(0.05)

    async def watch_outbox(self, seconds: float) -> float:
        """Let the traffic run; return the greatest age of an outbox row meanwhile, in seconds."""
        ages, ends = [0.0], time.monotonic() + seconds
        while time.monotonic() < ends:
            await self.workload.run_for(0.2)
            (row,) = await self.stand.fetch(
                "SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float AS age"
                " FROM chat_outbox"
            )
            ages.append(row["age"] or 0.0)
        return max(ages)

    async def require_pool(self, size: int) -> None:
        """Note a complaint if the workers have more connections than their pools may open."""
        (row,) = await self.stand.fetch(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'besedka-api'"
        )
        most = size * len(self.stand.workers)
        self.require(0 < row["n"] <= most, f"{row['n']} connections of the API, not 1 to {most}")


def find_percentile(values: list[float], percent: int) -> float:
    """Return the value that `percent` percent of the values do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]
