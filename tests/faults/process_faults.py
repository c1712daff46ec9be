"""Processes of the API and of PostgreSQL that are killed, frozen or restarted."""

import os
import signal
import time

from embedded.processes import find_postgres
from tests.rig.fault import fault
from tests.rig.trial import Trial

NEW_WORKER_WITHIN = 3.0
"""Seconds until a new worker is ready; on a quiet machine about one."""
CATCH_UP = 40
"""Sends after which the service counts as working again."""


@fault("API worker killed", rest_within=10, silence_within=1)
async def kill_api_workers(trial: Trial) -> None:
    """A worker is killed ten times: the other one serves, and clients repeat what was under way."""
    for _ in range(10):
        worker = trial.random.choice(trial.stand.workers)
        worker.send(signal.SIGKILL)
        worker.wait()
        await trial.workload.run_for(trial.random.uniform(0.3, 1))
        began = time.monotonic()
        await trial.stand.start_worker(worker)
        took = time.monotonic() - began
        trial.require(took < NEW_WORKER_WITHIN, f"a new worker took {took:.1f} s")


@fault("API worker frozen", rest_within=10, silence_within=4)
async def freeze_api_workers(trial: Trial) -> None:
    """A worker is frozen for three seconds, three times: the other one serves meanwhile."""
    trial.take_answer_times()
    for _ in range(3):
        worker = trial.random.choice(trial.stand.workers)
        worker.send(signal.SIGSTOP)
        await trial.workload.run_for(3)
        worker.send(signal.SIGCONT)
        await trial.workload.run_for(0.5)
        longest = max(trial.take_answer_times())
        trial.require(longest > 2, f"the longest answer took {longest:.1f} s: it was not frozen")


@fault("PostgreSQL killed", rest_within=15, silence_within=10)
async def kill_postgres(trial: Trial) -> None:
    """PostgreSQL is killed during commits, five times: what was acknowledged is stored."""
    for _ in range(5):
        await trial.workload.run_for(trial.random.uniform(0.5, 1))
        for pid in find_postgres(trial.stand.folder / "postgres"):
            os.kill(pid, signal.SIGKILL)
        await trial.stand.stop_postgres()
        await trial.stand.start_postgres()
        took = await trial.workload.wait_for_sends(CATCH_UP, within=20)
        trial.require(took < 5, f"no service {took:.1f} s after PostgreSQL was back")


@fault("PostgreSQL restarted", rest_within=15, silence_within=10)
async def restart_postgres(trial: Trial) -> None:
    """PostgreSQL is restarted as an operator does it, three times: only 503s, for a short time."""
    for _ in range(3):
        await trial.workload.run_for(trial.random.uniform(0.5, 1))
        await trial.stand.stop_postgres("fast")
        await trial.stand.start_postgres()
        took = await trial.workload.wait_for_sends(CATCH_UP, within=20)
        trial.require(took < 5, f"no service {took:.1f} s after PostgreSQL was back")


@fault("PostgreSQL frozen", rest_within=15, silence_within=14)
async def freeze_postgres(trial: Trial) -> None:
    """Every process of PostgreSQL is frozen for eight seconds: no request waits longer than 5 s."""
    before = trial.count_failures()
    frozen = find_postgres(trial.stand.folder / "postgres")
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    await trial.workload.run_for(8)
    trial.require_failures(before)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    took = await trial.workload.wait_for_sends(CATCH_UP, within=20)
    trial.require(took < 5, f"no service {took:.1f} s after PostgreSQL went on")


@fault("all sessions terminated", rest_within=10, silence_within=2)
async def terminate_sessions(trial: Trial) -> None:
    """All database sessions are terminated fifteen times: at most fifteen requests fail."""
    before = trial.count_failures()
    for _ in range(15):
        await trial.workload.run_for(trial.random.uniform(0.1, 0.6))
        ended = await trial.stand.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        trial.require(len(ended) > 2, f"only {len(ended)} sessions were terminated")
    failed = trial.count_failures() - before
    trial.require(failed <= 15, f"{failed} requests failed, more than one a time")
