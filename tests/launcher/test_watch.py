"""`manage.py watch` shows each event once and in order, whatever happens to the connection."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.conformance.clients import Outbox
from tests.conformance.servers import SECRET, RunningServer, find_kinds, restart, start_server
from tests.launcher.watched import ROOT, Started, python
from tests.support.actors import Actor, Cast
from tests.support.processes import serve_api

pytestmark = pytest.mark.slow
WITHOUT_THE_SDK = """
import runpy, sys
sys.modules["centrifuge"] = None  # what an import finds where it is not installed
runpy.run_path("manage.py", run_name="__main__")
"""


@dataclass
class Stage:
    """A service with its realtime server, and a terminal in which `watch` runs as bob."""

    database_url: str
    server: RunningServer
    cast: Cast
    bob: Actor
    terminal: Started

    def wait_drained(self) -> None:
        """Wait until every event was published."""

        async def wait() -> None:
            async with Outbox.open(self.database_url) as outbox:
                await outbox.wait_drained()

        asyncio.run(wait())

    @contextlib.contextmanager
    def restarting(self) -> Iterator[None]:
        """Restart the realtime server; until it has published everything, nothing is received."""
        watcher = self.terminal.process.pid
        os.kill(watcher, signal.SIGSTOP)
        self.server.kill()
        yield
        self.server.process = restart(self.server).process
        self.wait_drained()
        os.kill(watcher, signal.SIGCONT)

    @contextlib.contextmanager
    def losing_events(self) -> Iterator[None]:
        """Take events out of the outbox before the realtime server reads them."""
        self.server.process.send_signal(signal.SIGSTOP)
        yield
        with psycopg.connect(self.database_url) as connection:
            connection.execute("DELETE FROM chat_outbox")
        self.server.process.send_signal(signal.SIGCONT)

    def read_until(self, *contents: str) -> list[tuple[int, int, str]]:
        """Return the room, version and text (or type) of what was shown, up to these texts."""
        missing = set(contents)
        shown = [describe(line) for line in self.terminal.said if line.startswith("{")]
        for _, _, text in shown:
            missing.discard(text)
        while missing:
            shown.append(describe(self.terminal.wait_for("{")))
            missing.discard(shown[-1][2])
        return shown


def describe(line: str) -> tuple[int, int, str]:
    """Return what a test asserts of an event that was shown."""
    event: dict[str, Any] = json.loads(line)
    room = event["body"]["room"]
    return room["id"], room["version"], event["body"].get("content", event["type"])


@pytest.fixture(scope="module")
def database_url(clone_database: Callable[[], str]) -> str:
    """Return a database of these tests' own: the server drains the outbox that it finds."""
    return clone_database()


@pytest.fixture(params=find_kinds())
def stage(request: pytest.FixtureRequest, database_url: str) -> Iterator[Stage]:
    """Start everything; `watch` is connected, and bob is in no room unless the test said so."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT outbox_partitions FROM chat_installation").fetchone()
    assert row is not None
    with contextlib.ExitStack() as stack:
        server = start_server(request.param, database_url, int(row[0]))
        stack.callback(server.stop)
        url = stack.enter_context(serve_api(database_url, CENTRIFUGO_TOKEN_SECRET=SECRET))
        cast = stack.enter_context(Cast(url))
        bob = cast.user("bob")
        terminal = stack.enter_context(
            Started(
                python("manage.py", "watch", f"--sub={bob.user_id}", "--json", f"--api-url={url}"),
                ROOT,
                {
                    "DATABASE_URL": database_url,
                    "DEBUG": "1",
                    "CENTRIFUGO_TOKEN_SECRET": SECRET,
                    "REALTIME_PORT": str(server.port),
                },
            )
        )
        terminal.wait_for("watching; Ctrl-C stops")
        yield Stage(database_url, server, cast, bob, terminal)
        terminal.process.send_signal(signal.SIGINT)
        code, said = terminal.finish()
        assert (code, "Traceback" in said) == (0, False), said


def test_a_restart_of_realtime_loses_no_event(stage: Stage) -> None:
    """What happens while realtime is down and cannot be recovered is shown once, in order.

    Bob is added to one of the rooms meanwhile, and gets its events from then on.
    """
    alice, host = stage.cast.user("alice"), stage.cast.service()
    known, new = host.create_room(alice, stage.bob), host.create_room(alice)
    alice.send(known, "before")
    stage.read_until("before")

    with stage.restarting():
        for number in range(5):
            alice.send(known, f"missed {number}")
        alice.send(new, "not for bob")
        host.post(f"/api/rooms/{new}/members/", {"users": [stage.bob.user_id]})
        alice.send(new, "missed in the new room")
    alice.send(known, "after")
    alice.send(new, "the end")
    shown = stage.read_until("after", "the end")

    texts = [text for room, _, text in shown if room == known]
    missed = [f"missed {number}" for number in range(5)]
    assert texts == ["user_joined", "before", *missed, "after"]
    versions = [version for room, version, _ in shown if room == known]
    assert versions == list(range(versions[0], versions[0] + len(versions)))
    assert [(version, text) for room, version, text in shown if room == new] == [
        (3, "user_joined"),
        (4, "missed in the new room"),
        (5, "the end"),
    ]


def test_a_gap_of_versions_is_filled(stage: Stage) -> None:
    """Events that were never published are shown before the next one that is, once each."""
    alice, host = stage.cast.user("alice"), stage.cast.service()
    room = host.create_room(alice, stage.bob)
    alice.send(room, "first")
    stage.read_until("first")

    with stage.losing_events():
        alice.send(room, "lost 1")
        alice.send(room, "lost 2")
    alice.send(room, "last")
    shown = [text for of, _, text in stage.read_until("last") if of == room]

    assert shown == ["user_joined", "first", "lost 1", "lost 2", "last"]


def test_leaving_and_coming_back_is_shown(stage: Stage) -> None:
    """A user who leaves and is added again sees both events, and those that follow."""
    alice, host = stage.cast.user("alice"), stage.cast.service()
    room = host.create_room(alice, stage.bob)
    stage.bob.post(f"/api/rooms/{room}/leave/")
    alice.send(room, "without bob")
    host.post(f"/api/rooms/{room}/members/", {"users": [stage.bob.user_id]})
    alice.send(room, "with bob")
    shown = [(version, text) for of, version, text in stage.read_until("with bob") if of == room]

    assert shown == [(2, "user_joined"), (3, "user_left"), (5, "user_joined"), (6, "with bob")]


def test_without_the_sdk_it_says_what_to_install(database_url: str) -> None:
    """Where the package is left out, one line names it; every other command works."""
    command = python("-c", WITHOUT_THE_SDK, "watch", "--sub=bob")
    with Started(command, ROOT, {"DATABASE_URL": database_url, "DEBUG": "1"}) as started:
        code, said = started.finish()

    assert code == 1
    assert said == (
        "CommandError: `watch` needs the package centrifuge, which production does not install: "
        "run `pip install centrifuge-python`.\n"
    )


def test_a_user_who_is_refused_is_told_so(stage: Stage) -> None:
    """An API with another secret refuses the user: the command ends with the reason."""
    environment = {
        "DATABASE_URL": stage.database_url,
        "DEBUG": "1",
        "JWT_SECRET": "another secret that is long enough for HS256",
    }
    url = str(stage.cast.service().http.base_url)
    command = python("manage.py", "watch", "--sub=bob", f"--api-url={url}")
    with Started(command, ROOT, environment) as started:
        code, said = started.finish()

    assert code == 1
    assert said == "CommandError: The events end here: 401 for /api/token/connection/.\n"
