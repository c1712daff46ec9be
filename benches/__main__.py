"""`python -m benches`: measures each path beside its limit, and prints the table."""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from benches.bench import Bench, Plan
from benches.code import read_present
from benches.figures import Row
from benches.paths import joins, large, lone, process, reads, search, send
from benches.record import Record, make_record, write_record
from benches.report import write_plots
from benches.table import write_table
from benches.tinode import measure_tinode
from embedded.centrifugo import find_centrifugo

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
    parser.add_argument("--quick", action="store_true", help="less data; at most 90 seconds")
    parser.add_argument("--against", metavar="REV", help="measure this commit beside the present")
    parser.add_argument(
        "--realtime",
        choices=("gateway", "centrifugo"),
        default="centrifugo" if find_centrifugo() else "gateway",
        help="default: Centrifugo if it is in CENTRIFUGO_BIN or on PATH",
    )
    parser.add_argument("--only", choices=PATHS, action="append", help="measure this path only")
    parser.add_argument("--seconds", type=float, help="how long one measurement of sends takes")
    parser.add_argument("--peer", metavar="tinode=URL", help="measure a running Tinode as well")
    parser.add_argument(
        "--peer-pids", metavar="PID,…", default="", help="the processes whose CPU is the peer's"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record to a file")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write the plots to a folder")
    return parser.parse_args()


def measure(chosen: argparse.Namespace) -> Record:
    """Run the chosen paths; raise where `manage.py doctor` then finds an error."""
    plan = Plan(
        read_present(), chosen.realtime, chosen.against, is_quick=chosen.quick,
        seconds=chosen.seconds,
    )  # fmt: skip
    with Bench(plan) as bench:
        rows: list[Row] = []
        for name in chosen.only or PATHS:
            bench.settle()
            rows += PATHS[name](bench)
        rows += _measure_peer(bench, chosen)
        bench.examine()
        return make_record(bench, rows)


def _measure_peer(bench: Bench, chosen: argparse.Namespace) -> list[Row]:
    if not chosen.peer:
        return []
    name, _, url = chosen.peer.partition("=")
    if name != "tinode":
        raise ValueError(f"--peer {chosen.peer}: only tinode=URL is known")
    bench.say("the same sends into Tinode")
    pids = [int(pid) for pid in chosen.peer_pids.split(",") if pid]
    with bench.only(None):
        return measure_tinode(url, pids, bench.seconds)


def main() -> int:
    """Run; return 1 where a bar was missed or a message lost or doubled, 2 after an error."""
    chosen = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where a shell started it in the background, which lets it ignore SIGINT.
        signal.signal(number, signal.default_int_handler)
    begun = time.monotonic()
    try:
        record = measure(chosen)
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001 - 1 has a meaning of its own
        traceback.print_exc()
        return 2
    print(write_table(record.rows))
    print(f"  {time.monotonic() - begun:.0f} s", file=sys.stderr)
    if chosen.json:
        write_record(record, chosen.json)
    if chosen.plots:
        write_plots(record, chosen.plots)
    return int(bool(record.missed))


if __name__ == "__main__":
    sys.exit(main())
