"""The record of a run: what `--json` writes, and what docs/performance.md is made of."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benches.bench import Bench
from benches.curves import Bars, Curve
from benches.figures import Row
from embedded.centrifugo import find_centrifugo


class Machine(msgspec.Struct, frozen=True):
    """Where a run took place."""

    processor: str
    cores: int
    memory_gb: int
    system: str
    python: str


class Record(msgspec.Struct, frozen=True):
    """A run."""

    date: str
    commit: str
    against: str | None
    realtime: str
    postgres: str
    machine: Machine
    rounds: int
    seconds: float
    """How long one measurement of the send path takes."""
    facts: list[str]
    rows: list[Row]
    curves: list[Curve]
    bars: list[Bars]

    @property
    def missed(self) -> list[Row]:
        """The rows whose bar was missed, or with a message lost or doubled."""
        return [row for row in self.rows if row.is_met is False or row.lost or row.doubled]

    def find(self, beginning: str) -> Row:
        """Return the first row whose path begins so. Errors: `LookupError`."""
        for row in self.rows:
            if row.path.startswith(beginning):
                return row
        raise LookupError(f"the record has no row {beginning!r}")


def make_record(bench: Bench, rows: list[Row]) -> Record:
    """Return the record of a run that has ended."""
    with bench.ours.connect() as connection:
        version = connection.execute("SHOW server_version").fetchone()
    return Record(
        date=datetime.now(UTC).date().isoformat(),
        commit=bench.plan.code.name,
        against=bench.before.code.name if bench.before else None,
        realtime=_describe_realtime(bench.realtime),
        postgres=f"PostgreSQL {version[0] if version else ''}",
        machine=_describe_machine(),
        rounds=bench.rounds,
        seconds=bench.seconds,
        facts=bench.facts,
        rows=rows,
        curves=bench.curves,
        bars=bench.bars,
    )


def write_record(record: Record, path: Path) -> None:
    """Write the record as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")


def read_record(path: Path) -> Record:
    """Read a record."""
    return msgspec.json.decode(path.read_bytes(), type=Record)


def _describe_realtime(kind: str) -> str:
    binary = find_centrifugo() if kind == "centrifugo" else None
    if binary is None:
        return "the development gateway"
    done = subprocess.run([binary, "version"], capture_output=True, text=True, check=True)
    return f"Centrifugo {done.stdout.split()[1].removeprefix('v')}"


def _describe_machine() -> Machine:
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = [line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(memory / 2**30),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
    )
