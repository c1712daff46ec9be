"""The sums of a series of trials, for the table and for docs/guarantees.md."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.rig.running import Row
from tests.support.processes import PROJECT


@dataclass(frozen=True, slots=True)
class Line:
    """All trials of one fault with one kind of realtime server; times in seconds, the longest."""

    fault: str
    realtime: str
    trials: int
    kept: int
    """How many of them kept every promise and every bound."""
    checked: int
    """Acknowledged sends."""
    lost: int
    doubled: int
    leaked: int
    repeats: int
    """Events that a device received again, which is allowed."""
    rest: float | None
    """From the end of the fault until rest; None if some trial never came to rest."""
    rest_within: float
    silent: float
    """Without an acknowledged send."""
    silence_within: float


def add_up(rows: Sequence[Row]) -> list[Line]:
    """Return a line for each fault and kind of server, in the order of the rows."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.fault.name, row.realtime), []).append(row)
    return [_add_up_group(group) for group in groups.values()]


def _add_up_group(group: Sequence[Row]) -> Line:
    verdicts = [row.verdict for row in group]
    rests = [verdict.time_to_rest for verdict in verdicts if verdict.time_to_rest is not None]
    return Line(
        fault=group[0].fault.name,
        realtime=group[0].realtime,
        trials=len(group),
        kept=sum(row.is_ok for row in group),
        checked=sum(verdict.acknowledged for verdict in verdicts),
        lost=sum(verdict.lost for verdict in verdicts),
        doubled=sum(verdict.doubled for verdict in verdicts),
        leaked=sum(verdict.leaked for verdict in verdicts),
        repeats=sum(verdict.duplicate_frames for verdict in verdicts),
        rest=round(max(rests), 1) if len(rests) == len(group) else None,
        rest_within=group[0].fault.rest_within,
        silent=round(max(verdict.longest_silence_in_fault for verdict in verdicts), 1),
        silence_within=group[0].fault.silence_within,
    )


def write_report(path: Path, rows: Sequence[Row]) -> None:
    """Write the lines as JSON, with the number of processors they were measured on.

    The lines of other faults stay in the file: after a change of one fault, only it has to be run.
    Each line names the revision of the code that it was measured with.
    """
    lines = {(line["fault"], line["realtime"]): line for line in _read_lines(path)}
    revision = read_revision()
    lines |= {
        (line.fault, line.realtime): asdict(line) | {"revision": revision} for line in add_up(rows)
    }
    report = {"processors": os.cpu_count(), "lines": list(lines.values())}
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def read_revision() -> str:
    """Return the commit of the code, with `-dirty` if files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _read_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["lines"]
    return lines
