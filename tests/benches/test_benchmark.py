"""`python -m benches` runs end to end, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benches.record import read_record
from embedded.processes import PROC
from tests.support.processes import PROJECT

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "benches", "--quick", "--only", "send", "--seconds", "1"]


def find_processes(marker: str) -> list[str]:
    """Return the command lines of the processes with this value of TMPDIR."""
    found = []
    for entry in PROC.iterdir():
        try:
            if entry.name.isdigit() and marker.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue  # it has ended, or belongs to another user
    return found


def test_sends_are_measured_and_none_is_lost(tmp_path: Path) -> None:
    """A short run measures sends beside their limits, writes its record, and loses nothing."""
    record_path = tmp_path / "record.json"
    done = subprocess.run(
        [*COMMAND, f"--json={record_path}", f"--plots={tmp_path / 'plots'}"],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    # 1: a bar was missed, which a short run on a busy machine does not decide.
    assert done.returncode in {0, 1}, done.stderr
    record = read_record(record_path)
    sends = record.find("send, 100 rooms of 20: CPU of everything")
    assert sends.cost is not None
    assert min(sends.cost.api, sends.cost.postgres, sends.cost.realtime, sends.cost.generator) > 0
    assert all(not row.lost and not row.doubled for row in record.rows)
    assert sends.path in done.stdout
    assert (tmp_path / "plots" / "sends.svg").read_text().startswith("<svg")
    assert find_processes(str(tmp_path)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process(tmp_path: Path, number: signal.Signals) -> None:
    """After Ctrl-C or SIGTERM in the middle of a run, no process and no folder of it is left."""
    process = subprocess.Popen(
        COMMAND,
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "round 1" in line:
            break
    os.killpg(process.pid, number)

    assert process.wait(timeout=30) == 130
    process.stderr.close()
    # Python's own trackers of resources end by themselves, when they see that their parents have.
    deadline = time.monotonic() + 10
    while (left := find_processes(str(tmp_path))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert list(tmp_path.iterdir()) == []
