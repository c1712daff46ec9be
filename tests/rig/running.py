"""Runs a trial: traffic, the fault, rest, and the verdict of the checker."""

import asyncio
import json
import shutil
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from client.reducer import Reducer
from tests.history.checker import check
from tests.history.recorder import Recorder, read_history
from tests.history.verdict import Bounds, Verdict
from tests.rig.fault import Fault
from tests.rig.stand import Stand, create_template
from tests.rig.trial import Trial
from tests.rig.workload import Workload
from tests.support.processes import PROJECT, call_manage

WARM_UP_SENDS = 400
SILENCE_OUTSIDE = 3.0
"""Seconds without an acknowledged send outside the fault; the machine may be busy."""
LONGEST_FAULT = 240.0
"""Seconds after which a fault is taken to hang."""
AFTERMATH = 1.5
"""Seconds of traffic after the fault: the system must serve again, not only come to rest."""


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one trial."""

    fault: Fault
    seed: int
    realtime: str
    verdict: Verdict
    complaints: list[str]
    history: Path | None = None
    """Where the history was copied to, after a failure."""

    @property
    def is_ok(self) -> bool:
        """Whether every promise was kept."""
        return self.verdict.ok and not self.complaints


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A defect that is put into a trial on purpose, to see that it is found."""

    prepare: Callable[[Stand], Awaitable[None]] | None = None
    make_reducer: Callable[[str], Reducer] = Reducer


async def run_trial(
    fault: Fault,
    seed: int,
    realtime: str,
    template: Path,
    folder: Path,
    keep: Path,
    sabotage: Sabotage = Sabotage(),
) -> Row:
    """Run one fault under traffic and check what happened.

    `template` is a migrated data folder, `folder` an empty one for this trial; the history of a
    failure is copied to `keep`.
    """
    history = folder / "history.jsonl"
    async with _start_stand(fault, realtime, template, folder) as stand:
        if sabotage.prepare:
            await sabotage.prepare(stand)
        with Recorder(history) as recorder:
            recorder.write("run", seed=seed, fault=fault.name, realtime=realtime)
            random = Random(seed)
            workload = Workload(stand, recorder, random, sabotage.make_reducer)
            await _run_through(fault, Trial(stand, workload, random), recorder)
        complaints = [*workload.complaints, *await asyncio.to_thread(ask_doctor, stand)]
    verdict = check(read_history(history), _make_bounds(fault))
    if verdict.ok and not complaints:
        return Row(fault, seed, realtime, verdict, complaints)
    place = keep / f"{fault.name.replace(' ', '-')}-{realtime}-{seed}"
    keep_evidence(folder, place)
    return Row(fault, seed, realtime, verdict, complaints, place / history.name)


@asynccontextmanager
async def _start_stand(
    fault: Fault, realtime: str, template: Path, folder: Path
) -> AsyncIterator[Stand]:
    """Start the stand that a fault asks for; with other code, on a database migrated by it."""
    code = PROJECT
    if fault.write_code:
        code, template = folder / "code", folder / "template"
        fault.write_code(code)
        create_template(template, code)
    settings, environment = fault.settings, fault.environment
    async with Stand.start(
        template, folder, realtime, settings=settings, environment=environment, code=code
    ) as stand:
        stand.is_between_clients_and_api = fault.is_between_clients_and_api
        yield stand


def _make_bounds(fault: Fault) -> Bounds:
    return Bounds(
        silence_in_fault=fault.silence_within,
        silence_outside=SILENCE_OUTSIDE,
        time_to_rest=fault.rest_within,
        is_continuous=fault.is_continuous,
    )


async def _run_through(fault: Fault, trial: Trial, recorder: Recorder) -> None:
    """Run the trial; an error is a complaint, and the final state is still read."""
    workload = trial.workload
    try:
        await workload.start()
        try:
            await workload.wait_for_sends(WARM_UP_SENDS, within=60)
            with recorder.fault(fault.name):
                async with asyncio.timeout(LONGEST_FAULT):
                    await fault.cause(trial)
            await workload.run_for(AFTERMATH)
            await workload.finish_traffic(within=60)
            await workload.wait_for_rest(fault.rest_within)
        finally:
            workload.break_off()
            await workload.read_finals()
    except Exception as error:  # noqa: BLE001 - the other trials still run
        workload.complaints.append("".join(traceback.format_exception(error)))
    finally:
        await workload.close()


def keep_evidence(folder: Path, place: Path) -> None:
    """Copy a trial's history and logs to a folder that is not deleted."""
    place.mkdir(parents=True, exist_ok=True)
    for found in [*folder.glob("*.jsonl"), *folder.glob("*.log*")]:
        shutil.copy(found, place)


def ask_doctor(stand: Stand) -> list[str]:
    """Run `manage.py doctor` on the database; return what it found."""
    done = call_manage("doctor", "--json", DATABASE_URL=stand.database_url, DEBUG="1")
    if done.returncode == 0:
        return []
    try:
        found = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError):
        return [f"doctor: {done.stderr or done.stdout}"]
    return [f"doctor: {finding}" for finding in found]
