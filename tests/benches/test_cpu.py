"""The CPU meter of the benchmarks counts a process, its children, and those that have ended."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benches.cpu import read_cpu_seconds

BURN = "import time\nwhile time.process_time() < 0.5: pass\n"
# It burns nothing itself. Each line that it reads lets it start one child and wait for it.
PARENT = f"""
import subprocess, sys
for line in sys.stdin:
    subprocess.run([sys.executable, "-c", {BURN!r}], check=True)
    print("done", flush=True)
"""
# The child burns and stays until its input ends.
KEEPER = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BURN!r} + "print('done', flush=True)\\ninput()"])
child.wait()
"""


@contextmanager
def started(code: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program whose input ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


def wait_for_line(process: subprocess.Popen[str]) -> None:
    """Wait until the program has printed a line."""
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"


def test_a_child_that_has_ended_is_counted() -> None:
    """PostgreSQL starts a process for each session; what an ended one used must not vanish."""
    with started(PARENT) as process:
        assert process.stdin is not None
        before = read_cpu_seconds(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        wait_for_line(process)

        assert 0.45 < read_cpu_seconds(process.pid) - before < 1.5


def test_a_child_that_runs_is_counted() -> None:
    """The time of a session that still runs is counted too."""
    with started(KEEPER) as process:
        wait_for_line(process)

        assert 0.45 < read_cpu_seconds(process.pid) < 1.5


def test_a_process_that_waits_costs_nothing() -> None:
    """A paused or idle part adds nothing to a measurement, whatever others do."""
    with started(PARENT) as idle, started(KEEPER) as busy:
        before = read_cpu_seconds(idle.pid)
        wait_for_line(busy)
        during = read_cpu_seconds(idle.pid) - before

        assert during < 0.2
