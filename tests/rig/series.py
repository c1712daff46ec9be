"""Runs a series of trials, one after the other, and shows the results."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.rig.fault import Fault
from tests.rig.running import Row, run_trial
from tests.rig.stand import create_template
from tests.rig.table import show_progress, show_row_failure, show_table


def plan(
    faults: Sequence[Fault], seeds: Sequence[int], kinds: Sequence[str]
) -> list[tuple[Fault, int, str]]:
    """Return the trials: each fault with each seed, those about realtime with each server."""
    return [
        (fault, seed, kind)
        for fault in faults
        for kind in (kinds if fault.is_about_realtime else kinds[:1])
        for seed in seeds
    ]


async def run_series(
    faults: Sequence[Fault],
    seeds: Sequence[int],
    kinds: Sequence[str],
    folder: Path,
    keep: Path,
) -> tuple[list[Row], dict[str, str]]:
    """Run all trials and print the table; return its rows, and why faults were not run, by name.

    `folder` holds the data of the trials; the histories of those that fail are copied to `keep`.
    """
    trials = plan(faults, seeds, kinds)
    unavailable = {fault.name: why for fault in faults if (why := fault.find_reason_unavailable())}
    template = folder / "template"
    create_template(template)
    rows: list[Row] = []
    began = time.monotonic()
    for n, (fault, seed, kind) in enumerate(trials):
        if fault.name in unavailable:
            continue
        show_progress(
            n, len(trials), time.monotonic() - began, f"{fault.name}, seed {seed}, {kind}"
        )
        place = folder / f"trial{n}"
        place.mkdir()
        row = await run_trial(fault, seed, kind, template, place, keep)
        rows.append(row)
        if not row.is_ok:
            show_row_failure(row)
    show_progress(len(trials), len(trials), time.monotonic() - began, "")
    show_table(rows, unavailable, time.monotonic() - began)
    sys.stdout.flush()
    return rows, unavailable
