"""The output of a series: a progress bar, each failure at once, and a table at the end."""

import sys
from collections.abc import Mapping, Sequence

from tests.rig.fault import Fault
from tests.rig.report import Line, add_up
from tests.rig.running import Row

WIDTH = 30
HEAD = (
    f"{'fault':<38}{'realtime':<11}{'trials':>6}{'checked':>9}{'lost':>6}{'doubled':>9}{'leaked':>8}"
    f"{'repeats':>9}{'rest':>8}{'bound':>7}{'silent':>8}{'bound':>7}"
)


def describe_fault(fault: Fault) -> str:
    """Return a fault's name and guarantee."""
    return f"{fault.name:<38}{fault.guarantee}"


def show_progress(done: int, total: int, seconds: float, now: str) -> None:
    """Draw the bar: in place of the last one on a terminal, else on a line of its own."""
    filled = WIDTH * done // max(total, 1)
    bar = "█" * filled + "░" * (WIDTH - filled)
    line = f"{bar} {done}/{total}  {seconds / 60:.1f} min  {now}"
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def show_row_failure(row: Row) -> None:
    """Print what went wrong in a trial, and where its history is."""
    print(f"\n✗ {row.fault.name}, seed {row.seed}, {row.realtime}; history: {row.history}")
    for complaint in row.complaints[:10]:
        print(f"    {complaint[-1500:]}")
    if not row.verdict.ok:
        print("    " + row.verdict.describe().replace("\n", "\n    "))


def show_table(rows: Sequence[Row], unavailable: Mapping[str, str], seconds: float) -> None:
    """Print a line for each fault and kind of server, the sum of all its seeds."""
    print(f"\n{HEAD}\n{'─' * len(HEAD)}")
    lines = add_up(rows)
    for line in lines:
        print(_describe_line(line))
    for name, why in unavailable.items():
        print(f"{name:<38}not run: {why}")
    print("─" * len(HEAD))
    print(
        f"{len({line.fault for line in lines})} kinds of fault, {len(rows)} trials, "
        f"{sum(line.checked for line in lines)} acknowledged sends checked: "
        f"{sum(line.lost for line in lines)} lost, "
        f"{sum(line.doubled for line in lines)} doubled, "
        f"{sum(line.leaked for line in lines)} leaked; "
        f"{sum(line.kept for line in lines)} of {len(rows)} trials kept every bound; "
        f"{seconds / 60:.1f} min."
    )


def _describe_line(line: Line) -> str:
    rest = "never" if line.rest is None else f"{line.rest:.1f} s"
    return (
        f"{line.fault:<38}{line.realtime:<11}{line.trials:>6}{line.checked:>9}{line.lost:>6}"
        f"{line.doubled:>9}{line.leaked:>8}{line.repeats:>9}{rest:>8}{line.rest_within:>5.0f} s"
        f"{line.silent:>6.1f} s{line.silence_within:>5.1f} s"
        f"{'' if line.kept == line.trials else '  ✗'}"
    )
