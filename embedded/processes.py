"""Processes: which ones belong to a run, how they start, and how they end with their parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PROC = Path("/proc")
HAS_PROC = sys.platform == "linux"
PR_SET_PDEATHSIG = 1


def die_with_parent(signum: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn`: the kernel sends `signum` to the child when the starting thread ends.

    Only Linux can do this. On other systems the next start ends the processes that were left.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(
        None, use_errno=True
    ).prctl  # loaded before the fork, because dlopen may lock
    parent = os.getpid()

    def arm() -> None:
        prctl(PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
        if os.getppid() != parent:  # it ended between fork and prctl, so no signal will come
            os.kill(os.getpid(), signum)

    return arm


def prepare_child(signum: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the child ignores no signal, and gets `signum` when its parent ends.

    A child inherits the signals that its parent ignores or blocks, and a shell that starts a job
    in the background may let it ignore SIGINT and SIGQUIT.
    """
    arm = die_with_parent(signum)

    def prepare() -> None:
        for ending in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if arm is not None:
            arm()

    return prepare


def find_identity(pid: int) -> str | None:
    """Return what distinguishes a process from later ones with its pid; None if it has ended."""
    if not HAS_PROC:
        answer = _ps("lstart=,stat=", pid)
        return None if not answer or answer.split()[-1].startswith("Z") else answer
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError):
        return None
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in {"Z", "X"} else f"{boot}:{ticks_since_boot}"


def find_postgres(data: Path) -> list[int]:
    """List the PostgreSQL processes of this data folder, the postmaster first.

    The folder is the working directory of each of them, and of no other PostgreSQL. Without /proc,
    the postmaster is found by its command line, which names the folder.
    """
    data = data.resolve()
    if HAS_PROC:
        return sorted(pid for pid in _pids() if _works_in(pid, data))
    recorded = read_first_number(data / "postmaster.pid")
    named = recorded is not None and str(data) in _ps("command=", recorded)
    return [recorded] if recorded is not None and named else []


def read_first_number(path: Path) -> int | None:
    """Read the number in a file's first line; None if there is no such file or number."""
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def end(pids: Callable[[], Iterable[int]], signals: Iterable[signal.Signals], each: float) -> bool:
    """Send one signal after another to the processes of `pids()`; return True if none is left.

    After each signal it waits up to `each` seconds.
    """
    for signum in signals:
        for pid in pids():
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                continue  # it has ended since `pids()` found it
        deadline = time.monotonic() + each
        while time.monotonic() < deadline:
            if not list(pids()):
                return True
            time.sleep(0.02)
    return not list(pids())


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]  # noqa: PTH208 - names only


def _works_in(pid: int, folder: Path) -> bool:
    try:
        at_work = (PROC / str(pid) / "cwd").readlink() == folder
        return at_work and (PROC / str(pid) / "exe").readlink().name == "postgres"
    except OSError:  # it has ended, or belongs to another user
        return False


def _ps(columns: str, pid: int) -> str:
    command = ["ps", "-o", columns, "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
