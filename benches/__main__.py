"""`python -m benches`: measures the paths and prints the table."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from benches.bench import Bench, Plan
from benches.code import read_present
from benches.figures import Row
from benches.paths import joins, large, lone, process, reads, search, send
from benches.table import write_table

PATHS: Mapping[str, Callable[[Bench], list[Row]]] = {
    "send": send.measure,
    "lone": lone.measure,
    "large": large.measure,
    "reads": reads.measure,
    "search": search.measure,
    "joins": joins.measure,
    "process": process.measure,
}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most 90 seconds")
    parser.add_argument("--against", metavar="REV", help="a commit to compare with")
    parser.add_argument("--realtime", choices=("gateway", "centrifugo"), default="gateway")
    parser.add_argument("--only", choices=PATHS, action="append", help="measure this path only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    return parser.parse_args()


def main() -> int:
    """Run; the exit status is 1 where a bar was missed."""
    chosen = parse_arguments()
    plan = Plan(read_present(), chosen.realtime, chosen.against, is_quick=chosen.quick)
    with Bench(plan) as bench:
        rows = [row for name in chosen.only or PATHS for row in PATHS[name](bench)]
        bench.examine()
    print(write_table(rows))
    if chosen.json:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return int(any(row.is_met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
