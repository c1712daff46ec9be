"""CPU time of a process and everything it started, read from /proc.

For each process of the tree: the time of its threads in nanoseconds (`schedstat`), plus the time of
its children that have ended and that it has waited for (`cutime` and `cstime` in `stat`, in ticks
of 10 ms). PostgreSQL's postmaster waits for each of its backends, so a backend that ended during a
measurement is counted.
"""

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")


def read_cpu_seconds(*roots: int) -> float:
    """Return the CPU seconds that these processes and all their descendants have used."""
    found = _read_processes()
    tree = set(roots)
    while grown := {pid for pid, (parent, _) in found.items() if parent in tree} - tree:
        tree |= grown
    return sum(_own_seconds(pid) + found[pid][1] for pid in tree if pid in found)


def read_memory_bytes(pid: int) -> int:
    """Return how much memory of one process is resident."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the status of {pid} has no VmRSS")


def _read_processes() -> dict[int, tuple[int, float]]:
    """Return the parent of each process, and the seconds of its ended children."""
    found = {}
    for pid in _pids():
        try:
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended; its parent counts it
        found[pid] = int(fields[1]), (int(fields[13]) + int(fields[14])) * TICK
    return found


def _own_seconds(pid: int) -> float:
    process = PROC / str(pid)
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        threads = [(thread / "schedstat").read_text() for thread in (process / "task").iterdir()]
    except OSError:
        return 0.0  # it has just ended; its parent counts it
    # The ticks are rounded down, and contain threads that have ended.
    ticks = (int(fields[11]) + int(fields[12])) * TICK
    return max(ticks, sum(int(line.split()[0]) for line in threads) / 1e9)


def _pids() -> Iterable[int]:
    return [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]  # noqa: PTH208 - names only
