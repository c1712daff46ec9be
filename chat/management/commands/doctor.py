"""`manage.py doctor`: does the database hold what it must hold."""

import json
import math
import os
import signal
import sys
import time
from argparse import ArgumentTypeError
from contextlib import closing
from functools import partial
from typing import Any

import msgspec
import psycopg
from django.core.management.base import BaseCommand, CommandParser

from chat.conf import compose_conninfo, load_configuration
from chat.doctor.catalogue import CODES, Check, Place
from chat.doctor.examination import Examination, UnfinishedError
from chat.doctor.repairs import REPAIRS, repair
from chat.sql.server import describe_old_server
from chat.visible import make_visible

HELP = """\
Check a database in use, without writing to it: counters, the log, the outbox, sequences, functions,
constraints and settings. Exit code: 0 nothing is wrong, or only warnings; 1 something is wrong;
2 nothing was found, but the check could not connect or finish.
"""
EXAMPLES = 5
HEALTHY, WRONG, UNFINISHED = 0, 1, 2


class Finding(msgspec.Struct):
    """All that was found under one code."""

    code: str
    severity: str
    count: int
    mended: int
    is_mendable: bool
    examples: list[Place]
    meaning: str


class Report(msgspec.Struct):
    """What a run found, as `--json` prints it; its size does not grow with that."""

    complete: bool = False
    problem: str | None = None
    next_room: int | None = None
    seconds: float = 0.0
    checked: dict[str, int] = {}
    findings: list[Finding] = []

    def add(self, check: Check, places: list[Place], mended: int) -> None:
        """Add what a check found; at `mended` of these places nothing is wrong any more."""
        finding = next((known for known in self.findings if known.code == check.code), None)
        if finding is None:
            is_mendable = check.code in REPAIRS
            finding = Finding(check.code, check.severity, 0, 0, is_mendable, [], check.meaning)
            self.findings = sorted([*self.findings, finding], key=lambda known: known.code)
        finding.count += len(places)
        finding.mended += mended
        finding.examples += [place for place in places if place][: EXAMPLES - len(finding.examples)]

    def exit_code(self, *, is_strict: bool) -> int:
        """Return the exit code of the process; `is_strict`: warnings count as errors."""
        for finding in self.findings:
            if finding.count > finding.mended and (is_strict or finding.severity == "error"):
                return WRONG
        return HEALTHY if self.complete else UNFINISHED


class Command(BaseCommand):
    """Examines the database, reports, and with `--repair` repairs what is surely safe to repair."""

    help = HELP
    # A missing secret says nothing about the database; and an exit code has to mean one thing.
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's declaration

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        add = parser.add_argument
        add("--json", action="store_true", help="print the report as JSON")
        add("--repair", action="store_true", help="repair what is surely safe; print each change")
        add("--strict", action="store_true", help="exit with 1 for warnings too")
        how_long = "how long the check may take; default 600"
        add("--seconds", type=_read_seconds, default=600.0, help=how_long)
        add("--from-room", type=int, default=1, help="begin with this room, where a run ended")
        how_old = "how many seconds a row may wait in the outbox; default 30"
        add("--late", type=_read_seconds, default=30.0, metavar="SECONDS", help=how_old)
        what = "leave out findings of this code; may be repeated"
        codes = sorted(CODES)
        add("--ignore", action="append", default=[], choices=codes, metavar="CODE", help=what)

    def handle(self, **options: Any) -> None:
        """Examine, report, and end with the exit code."""
        report = Report()
        began = time.monotonic()
        try:
            try:
                self._examine(report, began + options["seconds"], options)
                report.complete, report.next_room = True, None
            except (UnfinishedError, psycopg.Error) as error:
                report.problem = " ".join(str(error).split()) or type(error).__name__
            except KeyboardInterrupt:
                report.problem = "It was interrupted."
            report.seconds = round(time.monotonic() - began, 3)
            if options["json"]:
                self.stdout.write(json.dumps(msgspec.to_builtins(report)))
            else:
                self._print(report)
            self.stdout.flush()
        except BrokenPipeError:
            # Nobody reads any more, as after `| head`. Python must not flush to it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        sys.exit(report.exit_code(is_strict=options["strict"]))

    def _examine(self, report: Report, deadline: float, options: dict[str, Any]) -> None:
        output = self.stderr if options["json"] else self.stdout
        say = partial(output.write, style_func=str)
        with closing(_connect()) as connection:
            if reason := describe_old_server(connection.info.server_version):
                raise UnfinishedError(reason)
            examination = Examination(connection, deadline, options["late"], options["from_room"])
            report.checked = examination.checked
            try:
                for check, places in examination.run():
                    if check.code in options["ignore"]:
                        continue
                    is_repaired = options["repair"] and check.code in REPAIRS
                    mended = is_repaired and repair(_connect, check.code, places, deadline, say)
                    report.add(check, places, mended)
            finally:
                report.next_room = examination.next_room

    def _print(self, report: Report) -> None:
        for finding in report.findings:
            state = f", {finding.mended} mended" if finding.mended else ""
            hint = " `--repair` mends it." if finding.is_mendable else ""
            style = self.style.ERROR if finding.severity == "error" else self.style.WARNING
            self.stdout.write(style(f"{finding.severity}: {finding.code} ({finding.count}{state})"))
            self.stdout.write(f"  {finding.meaning}{hint}")
            for example in finding.examples:
                line = json.dumps(example, ensure_ascii=False)
                self.stdout.write(f"  {make_visible(line)}")
        counts = ", ".join(f"{count:,} {name}" for name, count in report.checked.items())
        self.stdout.write(f"Checked {counts or 'nothing'} in {report.seconds:.1f} s.")
        if report.problem is not None:
            hint = f" Go on with --from-room {report.next_room}." if report.next_room else ""
            self.stdout.write(self.style.ERROR(f"Not finished: {report.problem}{hint}"))
        elif not report.findings:
            self.stdout.write(self.style.SUCCESS("Nothing is wrong."))


def _read_seconds(text: str) -> float:
    """Return a time in seconds, which is above 0 and finite."""
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ArgumentTypeError(f"{text} is not a time above 0")
    return seconds


def _connect() -> psycopg.Connection[Any]:
    conninfo = compose_conninfo(load_configuration().database_url, "besedka-doctor")
    return psycopg.connect(conninfo, autocommit=True)
