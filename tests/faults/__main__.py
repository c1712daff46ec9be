"""`make faults`: runs every fault with every seed under traffic, and prints a table at the end.

    python -m tests.faults [--seeds N] [--only WORDS] [--first-seed N] [--list] [--report FILE]

The exit status is 1 if a promise was not kept. The history of each failure is then in
`.data/faults`, and `python -m tests.history FILE` checks it again.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

from tests.conformance.servers import describe_centrifugo, find_kinds
from tests.support.processes import PROJECT

KEPT = PROJECT / ".data" / "faults"


def main() -> int:
    """Run the faults that were asked for; return the exit status."""
    from tests.faults.catalogue import ALL  # noqa: PLC0415 - needs Django to be set up
    from tests.rig.report import write_report  # noqa: PLC0415 - the same
    from tests.rig.series import run_series  # noqa: PLC0415 - the same
    from tests.rig.table import describe_fault  # noqa: PLC0415 - the same

    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=3, help="how many trials of each fault, default 3"
    )
    parser.add_argument("--first-seed", type=int, default=1, help="the first seed, default 1")
    parser.add_argument("--only", default="", help="only the faults whose name contains this")
    parser.add_argument("--list", action="store_true", help="list the faults and exit")
    parser.add_argument(
        "--report",
        type=Path,
        default=KEPT / "report.json",
        help="file to write the table to, as JSON",
    )
    chosen = parser.parse_args()
    faults = [fault for fault in ALL if chosen.only in fault.name]
    if not faults:
        parser.error(f"no fault has a name with {chosen.only!r}; see --list")
    if chosen.list:
        print(*map(describe_fault, faults), sep="\n")
        return 0
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    print(describe_centrifugo())
    with tempfile.TemporaryDirectory(prefix="besedka-faults-") as folder:
        rows, unavailable = asyncio.run(run_series(faults, seeds, find_kinds(), Path(folder), KEPT))
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    write_report(chosen.report, rows)
    return 0 if not unavailable and all(row.is_ok for row in rows) else 1


if __name__ == "__main__":
    os.environ["DEBUG"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    import django

    django.setup()
    # The SDK logs each lost connection, and here connections are lost on purpose.
    logging.disable(logging.CRITICAL)
    sys.exit(main())
