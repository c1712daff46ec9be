"""What all paths share: PostgreSQL, the installations, and how long to measure."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

import psycopg

from benches.code import Code, has_equal_packages, write_revision
from benches.curves import Bars, Curve
from benches.installation import Installation
from benches.pgbench import Pgbench
from benches.seed import Connection, Rooms, seed_rooms, settle
from benches.statements import LINE_PREFIX
from benches.traffic import TEXT
from embedded.postgres import PostgresServer

Entered = TypeVar("Entered")
Seeded = TypeVar("Seeded")

SETTINGS = {
    # As in production: what is acknowledged is on the disk.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    # A checkpoint would fall into the measurement of one side only.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "max_connections": "200",
    "log_line_prefix": LINE_PREFIX,
}
REFERENCE = "benches.reference_asgi:application"
KEEP = ("--timeout-keep-alive", "75")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    code: Code
    realtime: str = "gateway"
    against: str | None = None
    is_quick: bool = False
    seconds: float | None = None
    """How long one measurement takes; None leaves it to the bench."""


class Bench:
    """Owns every process and folder of a run; all end with the `with` block, also on Ctrl-C."""

    ours: Installation
    before: Installation | None = None
    rooms: Rooms
    """100 rooms of 20 members, two of them connected, in every database."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.is_quick = plan.is_quick
        self.realtime = plan.realtime
        self.seconds = plan.seconds or (2.0 if plan.is_quick else 4.0)
        self.rounds = 2 if plan.is_quick else 4
        self.facts: list[str] = []
        """What a reader has to know of this run."""
        self.curves: list[Curve] = []
        self.bars: list[Bars] = []
        self._begun = time.monotonic()
        self._installations: list[Installation] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def enter(self, context: AbstractContextManager[Entered]) -> Entered:
        """Enter a context until the run ends."""
        return self._stack.enter_context(context)

    def say(self, text: str) -> None:
        """Show what is being done."""
        seconds = time.monotonic() - self._begun
        print(f"  {seconds:4.0f} s  {text}", file=sys.stderr, flush=True)

    @contextmanager
    def only(self, installation: Installation | None) -> Iterator[None]:
        """Let this installation run alone; with None, none runs."""
        others = [found for found in self._installations if found is not installation]
        for other in others:
            other.pause()
        try:
            yield
        finally:
            for other in others:
                other.resume()

    def seed(self, write: Callable[[Connection], Seeded]) -> Seeded:
        """Let `write` add rows to our database, and leave the tables in order."""
        with self.only(None), self.ours.connect() as connection:
            seeded = write(connection)
            settle(connection)
        return seeded

    def settle(self) -> None:
        """Vacuum and analyse every database.

        Otherwise an automatic vacuum of what one path wrote would fall into the next one's time.
        """
        with self.only(None):
            for installation in self._installations:
                with installation.connect() as connection:
                    settle(connection)

    def examine(self) -> None:
        """Raise where `manage.py doctor` finds something wrong with our database."""
        self.say("manage.py doctor")
        found = json.loads(
            self.ours.code.manage("doctor", "--json", environment=self.ours.environment())
        )["findings"]
        if any(finding["severity"] == "error" for finding in found):
            raise RuntimeError(f"doctor: {found}")

    @cached_property
    def limit(self) -> tuple[Pgbench, Installation]:
        """Pgbench and the bare ASGI reference, on a copy of our database that nothing drains."""
        self.ours.stop()
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute('CREATE DATABASE "limit" TEMPLATE besedka')
        self.ours.start()
        reference = self._add(self.plan.code, "limit", "none")
        command = [sys.executable, "-m", "uvicorn", REFERENCE, "--port", str(reference.port)]
        reference.start_api([*command, "--no-access-log", "--no-server-header", *KEEP])
        return Pgbench(self.postgres, "limit", self.folder, TEXT), reference

    def _start(self) -> None:
        self.folder = Path(self.enter(tempfile.TemporaryDirectory(prefix="besedka-bench-")))
        self.say("starting PostgreSQL, the API and realtime")
        self.postgres = self.enter(PostgresServer.start(self.folder / "data", settings=SETTINGS))
        self.ours = self._prepare(self.plan.code, "besedka")
        if self.plan.against:
            folder = self.folder / "before"
            folder.mkdir()
            code = write_revision(self.plan.against, folder)
            if not has_equal_packages(code):
                self.facts.append(f"{code.name} asks for other packages, but ran with these.")
            self.before = self._prepare(code, "before")

    def _prepare(self, code: Code, database: str) -> Installation:
        if database != "besedka":
            with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{database}"'.encode())
        found = self._add(code, database, self.realtime)
        found.migrate()
        with found.connect() as connection:
            self.rooms = seed_rooms(connection, "r", count=100, members=20, listening=2)
            settle(connection)
        found.start()
        return found

    def _add(self, code: Code, database: str, realtime: str) -> Installation:
        found = self.enter(Installation(code, self.postgres, database, realtime, self.folder))
        self._installations.append(found)
        return found
