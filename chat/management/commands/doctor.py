"""`manage.py doctor`: is what the database holds what it must hold."""

import json
import math
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandParser

from chat.actions.repairs import REPAIRS
from chat.conf import load_configuration
from chat.queries.doctor import ROWS, Examination, UnfinishedError
from chat.queries.findings import KINDS, Found, Place
from chat.sql.database import CONNECT_TIMEOUT_SECONDS, run_call

HELP = """\
Check a database in use, without writing to it: counters, the log, the outbox, sequences, functions,
constraints and settings. Exit code: 0 nothing is wrong, or only warnings; 1 something is wrong;
2 nothing was found, but the check could not connect or finish.
"""
EXAMPLES = 5
HEALTHY, WRONG, UNFINISHED = 0, 1, 2


@dataclass(slots=True)
class Finding:
    """All that was found under one code."""

    code: str
    count: int = 0
    mended: int = 0
    examples: list[Place] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """Return it as the report has it."""
        kind = KINDS[self.code]
        return {
            "code": self.code,
            "severity": kind.severity,
            "count": self.count,
            "mended": self.mended,
            "is_mendable": self.code in REPAIRS,
            "examples": self.examples,
            "meaning": kind.meaning,
        }


class Report:
    """What a run has to tell; its size does not grow with what is found."""

    def __init__(self, ignored: list[str]) -> None:
        self._ignored = frozenset(ignored)
        self._findings: dict[str, Finding] = {}
        self.problem: str | None = None
        """Why the check did not reach the end; None when it did."""
        self.checked: dict[str, int] = {}
        self.next_room: int | None = None
        self._started = time.monotonic()

    def add(self, found: Found) -> Finding | None:
        """Take note of what was found; None where nobody wants to know."""
        if found.code in self._ignored:
            return None
        finding = self._findings.setdefault(found.code, Finding(found.code))
        finding.count += found.count
        finding.examples += found.places[: EXAMPLES - len(finding.examples)]
        return finding

    def exit_code(self, *, is_strict: bool) -> int:
        """Return what the process ends with; `is_strict`: warnings count as errors."""
        for finding in self._findings.values():
            is_counted = is_strict or KINDS[finding.code].severity == "error"
            if is_counted and finding.count > finding.mended:
                return WRONG
        return HEALTHY if self.problem is None else UNFINISHED

    def describe(self) -> dict[str, Any]:
        """Return the report as `--json` prints it."""
        return {
            "complete": self.problem is None,
            "problem": self.problem,
            "next_room": self.next_room,
            "seconds": round(time.monotonic() - self._started, 3),
            "checked": self.checked,
            "findings": [self._findings[code].describe() for code in sorted(self._findings)],
        }


class Command(BaseCommand):
    """Examines the database, reports, and with `--repair` mends what is surely safe to mend."""

    help = HELP
    # A missing secret is not the database's; and an exit code has to mean one thing.
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's declaration

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="mend counts and channels of members, sequences and outbox rows; print each",
        )
        parser.add_argument("--strict", action="store_true", help="warnings exit with 1 too")
        parser.add_argument(
            "--seconds", type=_read_seconds, default=600.0, help="how long it may take; default 600"
        )
        parser.add_argument(
            "--from-room", type=int, default=1, help="begin with this room, where a run ended"
        )
        parser.add_argument(
            "--late",
            type=_read_seconds,
            default=30.0,
            metavar="SECONDS",
            help="how long a row may wait in the outbox; default 30",
        )
        parser.add_argument(
            "--ignore",
            action="append",
            default=[],
            choices=sorted(KINDS),
            metavar="CODE",
            help="leave out findings of this code; may be repeated",
        )

    def handle(self, **options: Any) -> None:
        """Examine, report, and end with the exit code."""
        report = Report(options["ignore"])
        say = self.stderr if options["json"] else self.stdout
        deadline = time.monotonic() + options["seconds"]
        repairer = Repairer(lambda line: say.write(line, style_func=str), deadline)
        try:
            self._examine(report, repairer if options["repair"] else None, deadline, options)
        except (UnfinishedError, psycopg.Error) as error:
            report.problem = " ".join(str(error).split()) or type(error).__name__
        except KeyboardInterrupt:
            report.problem = "It was interrupted."
        if options["json"]:
            self.stdout.write(json.dumps(report.describe(), ensure_ascii=False))
        else:
            self._print(report)
        sys.exit(report.exit_code(is_strict=options["strict"]))

    @staticmethod
    def _examine(
        report: Report, repairer: "Repairer | None", deadline: float, options: dict[str, Any]
    ) -> None:
        with closing(_connect()) as connection:
            examination = Examination(
                connection,
                deadline=deadline,
                late_seconds=options["late"],
                # A repair needs every place, which is a chunk's rows at most.
                places=ROWS if repairer else EXAMPLES,
            )
            report.checked = examination.checked
            report.next_room = options["from_room"]
            try:
                for found in _find_all(examination, options["from_room"]):
                    finding = report.add(found)
                    if repairer is not None and finding is not None:
                        finding.mended += repairer.mend(found)
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
                place = {"error": error.diag.message_primary}
                report.add(Found("table_altered", 1, [place]))
                raise UnfinishedError("What the tables hold was not looked at.") from error
            finally:
                report.next_room = examination.next_room or report.next_room
        if not examination.is_sound:
            raise UnfinishedError("What the tables hold was not looked at: run `migrate` first.")
        report.next_room = None

    def _print(self, report: Report) -> None:
        described = report.describe()
        for finding in described["findings"]:
            state = f", {finding['mended']} mended" if finding["mended"] else ""
            hint = " `--repair` mends it." if finding["is_mendable"] else ""
            style = self.style.ERROR if finding["severity"] == "error" else self.style.WARNING
            self.stdout.write(
                style(f"{finding['severity']}: {finding['code']} ({finding['count']}{state})")
            )
            self.stdout.write(f"  {finding['meaning']}{hint}")
            for example in finding["examples"]:
                self.stdout.write(f"  {json.dumps(example, ensure_ascii=False)}")
        counts = ", ".join(f"{count:,} {name}" for name, count in described["checked"].items())
        self.stdout.write(f"Checked {counts or 'nothing'} in {described['seconds']:.1f} s.")
        if report.problem is not None:
            at = f" Go on with --from-room {report.next_room}." if report.next_room else ""
            self.stdout.write(self.style.ERROR(f"Not finished: {report.problem}{at}"))
        elif not described["findings"]:
            self.stdout.write(self.style.SUCCESS("Nothing is wrong."))


class Repairer:
    """Mends one place after the other, each in a transaction of its own, and tells of each.

    `say`: takes a line of JSON for each change, with the place, what was before and what is after.
    `deadline`: nothing more is begun after it, on the monotonic clock in seconds.
    """

    def __init__(self, say: Callable[[str], None], deadline: float) -> None:
        self._say = say
        self._deadline = deadline

    def mend(self, found: Found) -> int:
        """Mend what was found and return at how many places nothing is wrong any more."""
        if found.code not in REPAIRS:
            return 0
        with closing(_connect()) as connection:
            # Writers hold a room for milliseconds; one that stays locked is left for the next run.
            connection.execute("SET lock_timeout = '2s'; SET statement_timeout = '60s'")
            return sum(self._mend_place(connection, found.code, place) for place in found.places)

    def _mend_place(self, connection: psycopg.Connection[Any], code: str, place: Place) -> bool:
        if time.monotonic() >= self._deadline:
            return False
        try:
            rows = run_call(connection, REPAIRS[code](place))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            self._say(json.dumps({"not_mended": code, **place, "why": str(error)}))
            return False
        for row in rows:
            line = {"mended": code, **place, "before": row.before, "after": row.after}
            self._say(json.dumps(line, ensure_ascii=False))
        return True


def _read_seconds(text: str) -> float:
    """Return a time in seconds, which is above 0 and finite."""
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ArgumentTypeError(f"{text} is not a time above 0")
    return seconds


def _connect() -> psycopg.Connection[Any]:
    return psycopg.connect(
        load_configuration().database_url,
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        application_name="besedka-doctor",
        # A server that vanished ends the check within seconds, not after the kernel's two hours.
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
    )


def _find_all(examination: Examination, first_room: int) -> Iterator[Found]:
    yield from examination.check_foundations()
    if examination.is_sound:
        yield from examination.check_queue()
        yield from examination.check_rooms(first_room)
