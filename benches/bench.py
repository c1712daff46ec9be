"""What all paths share: PostgreSQL, the installations, the seed, and how long to measure."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import psycopg

from benches.code import Code, write_revision
from benches.installation import Installation
from benches.pgbench import Pgbench
from benches.seed import Rooms, seed_rooms, settle
from benches.traffic import TEXT
from embedded.postgres import PostgresServer

Entered = TypeVar("Entered")

SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}
"""Durable as in production; no checkpoint falls into a measurement of one side only."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    code: Code
    realtime: str = "gateway"
    against: str | None = None
    is_quick: bool = False


class Bench:
    """Owns every process and folder of a run; all end with the `with` block, also on Ctrl-C."""

    ours: Installation
    before: Installation | None = None
    rooms: Rooms
    pgbench: Pgbench

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.realtime = plan.realtime
        self.seconds = 3.0 if plan.is_quick else 5.0
        self.rounds = 2 if plan.is_quick else 4
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
        print(f"  {text}", file=sys.stderr, flush=True)

    @contextmanager
    def only(self, installation: Installation | None) -> Iterator[None]:
        """Let this installation run alone; with None, none runs."""
        others = [found for found in (self.ours, self.before) if found not in {installation, None}]
        for other in others:
            other.pause()  # type: ignore[union-attr]
        try:
            yield
        finally:
            for other in others:
                with contextlib.suppress(ProcessLookupError):
                    other.resume()  # type: ignore[union-attr]

    def _start(self) -> None:
        self.folder = Path(self.enter(tempfile.TemporaryDirectory(prefix="besedka-bench-")))
        self.say("starting PostgreSQL")
        self.postgres = self.enter(PostgresServer.start(self.folder / "data", settings=SETTINGS))
        self.ours = self._prepare(self.plan.code, "besedka")
        if self.plan.against:
            self.say(f"building {self.plan.against}")
            folder = self.folder / "before"
            folder.mkdir()
            self.before = self._prepare(write_revision(self.plan.against, folder), "before")
        self.say("starting the API and realtime")
        self.ours.start()
        if self.before:
            self.before.start()

    def _prepare(self, code: Code, database: str) -> Installation:
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            if database != "besedka":
                connection.execute(f'CREATE DATABASE "{database}"'.encode())
        found = self.enter(Installation(code, self.postgres, database, self.realtime, self.folder))
        found.migrate()
        self.say(f"seeding the database of {code.name}")
        with found.connect() as connection:
            self.rooms = seed_rooms(connection, "r", count=100, members=20, listening=2)
            settle(connection)
        if database == "besedka":
            with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
                connection.execute('CREATE DATABASE "limit" TEMPLATE besedka')
            self.pgbench = Pgbench(self.postgres, "limit", self.folder, TEXT)
        return found
