"""`make fuzz`: sends many more random requests than a test run has time for."""

import argparse
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import django

from embedded.postgres import PostgresServer
from tests.support.processes import run_manage, serve_api


def main() -> int:
    """Run a campaign on a server of its own and print the result; return 1 if it has failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument(
        "--start", type=int, default=int(time.time()), help="the same number repeats a run"
    )
    options = parser.parse_args()
    os.environ |= {"DJANGO_SETTINGS_MODULE": "app.settings", "DEBUG": "1"}
    with (
        tempfile.TemporaryDirectory(prefix="besedka-fuzz-") as folder,
        PostgresServer.start(Path(folder), durable=False) as server,
    ):
        os.environ["DATABASE_URL"] = server.url("besedka")
        run_manage("migrate", "--no-input")
        django.setup()
        with serve_api(server.url("besedka"), LOG_LEVEL="ERROR") as url:
            return run_campaign(url, options.cases, options.minutes * 60, options.start)


def run_campaign(url: str, cases: int, seconds: float, start: int) -> int:
    """Send the requests, show the progress, and return the exit status."""
    from tests.fuzz.campaign import Campaign  # noqa: PLC0415 - reads the settings of Django

    campaign, began, shown = Campaign(url, start=start), time.monotonic(), 0

    def report(sent: int) -> None:
        nonlocal shown
        if sent - shown >= 1000:
            shown = sent
            rate = sent / (time.monotonic() - began)
            print(
                f"  {sent:,} of {cases:,}, {rate:.0f}/s, {len(campaign.failures)} failures",
                flush=True,
            )

    print(f"Fuzzing {url}, --start {start}", flush=True)
    with suppress(KeyboardInterrupt):
        campaign.run(cases=cases, seconds=seconds, report=report)
    for (operation, kind), text in campaign.failures.items():
        print(f"\n{operation}: {kind}\n{text}")
    failed = sum(number for status, number in campaign.statuses.items() if status >= 500)
    counts = ", ".join(f"{status}: {n:,}" for status, n in sorted(campaign.statuses.items()))
    print(f"{counts}\n{campaign.sent:,} cases, {failed} five-hundreds", end="")
    print(f", {len(campaign.failures)} mismatches, {time.monotonic() - began:.0f} s")
    if campaign.sent < cases:
        print(f"Stopped before {cases:,} cases were reached: time was up, or it was interrupted.")
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
