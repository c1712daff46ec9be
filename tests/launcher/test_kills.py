"""Kill -9 of any process of `make up` under load loses and doubles no message."""

import asyncio
import contextlib
import os
import random
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.api import Backoff
from client.device import Device
from embedded.centrifugo import find_centrifugo
from embedded.processes import find_postgres
from tests.client.notebook import Notebook
from tests.client.reading import fetch_state, make_read, read_all
from tests.conformance.servers import find_kinds
from tests.launcher.test_supervisor import pid_of
from tests.launcher.test_whole_run import LAST_LINE, checkout  # noqa: F401 - the fixture
from tests.launcher.watched import Started, python
from tests.support.actors import make_token
from tests.support.processes import find_free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SEED = 20261122


class Sender:
    """Sends until `stopping` is set; repeats each message with its key until it is acknowledged."""

    def __init__(self, http: httpx.AsyncClient, room_id: int) -> None:
        self.http = http
        self.room_id = room_id
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.unanswered = 0
        self.stopping = False
        self._progress = asyncio.Event()

    async def run(self) -> None:
        """Send one message after another."""
        while not self.stopping:
            key = uuid.uuid4().hex
            self.acknowledged[key] = await self._send(key)
            self._progress.set()

    async def wait_for_more(self, count: int) -> None:
        """Wait until this many more messages are acknowledged."""
        wanted = len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            self._progress.clear()
            await asyncio.wait_for(self._progress.wait(), timeout=30)

    async def _send(self, key: str) -> dict[str, Any]:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await self.http.post(
                    f"/api/rooms/{self.room_id}/messages/",
                    json={"content": f"message {key}", "client_id": key},
                )
                if answer.status_code < 500:
                    answer.raise_for_status()
                    return dict(answer.json())
            self.unanswered += 1
            await asyncio.sleep(0.05)  # the back-off of a client


class Run:
    """`make up`, started again each time it is killed."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.started = self._start()

    def victims(self) -> dict[str, Callable[[], int]]:
        """Return the names of the processes, each with a function that finds its pid."""
        data = self.folder / ".data" / "postgres"
        return {
            "api": lambda: pid_of(self.folder, "api"),
            "realtime": lambda: pid_of(self.folder, "realtime"),
            "postmaster": lambda: find_postgres(data)[0],
            "backend": lambda: find_postgres(data)[-1],
            "supervisor": lambda: self.started.process.pid,
        }

    def kill(self, name: str) -> None:
        """Kill a process. All but a backend end the run; then start it again."""
        os.kill(self.victims()[name](), signal.SIGKILL)
        if name != "backend":
            self.started.finish(20)
            self.stop()
            self.started = self._start()

    def stop(self) -> None:
        """Stop the run."""
        self.started.__exit__(None, None, None)

    def _start(self) -> Started:
        started = Started(python("-m", "embedded"), self.folder, self.environment)
        started.wait_for(LAST_LINE)
        return started


async def kill_under_load(run: Run, api_url: str, realtime_url: str) -> None:
    """Kill each process once, in a seeded order, while one user sends and another receives."""
    service, alice, bob = (
        httpx.AsyncClient(
            base_url=api_url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=5,
        )
        for token in (make_token("host", role="service"), make_token("alice"), make_token("bob"))
    )
    created = await service.post("/api/rooms/", json={"name": "r", "members": ["alice", "bob"]})
    room_id = created.json()["id"]
    sender, notebook = Sender(alice, room_id), Notebook()
    device = Device(
        *("bob", make_read(bob), realtime_url),
        observer=notebook,
        backoff=Backoff(most=0.5),
        proxy=None,
        max_reconnect_delay=0.5,
    )
    await asyncio.wait_for(device.start(), 20)
    sending = asyncio.create_task(sender.run())

    names = list(run.victims())
    random.Random(SEED).shuffle(names)
    for name in names:
        await sender.wait_for_more(20)
        await asyncio.to_thread(run.kill, name)
    await sender.wait_for_more(20)
    sender.stopping = True
    await sending

    room = (await alice.get(f"/api/rooms/{room_id}/")).json()
    await device.wait_for_versions({room_id: room["version"]}, within=20)
    await check(sender, notebook, bob, room)
    assert device.reducer.state() == await fetch_state(bob)
    await device.stop()
    for client in (service, alice, bob):
        await client.aclose()


async def check(
    sender: Sender, notebook: Notebook, http: httpx.AsyncClient, room: dict[str, Any]
) -> None:
    """Compare what was acknowledged with what is stored and with what the device applied."""
    stored = await read_all(http, f"/api/rooms/{room['id']}/messages/")
    by_key = {message["client_id"]: message for message in stored}
    assert len(by_key) == len(stored), "a message is stored twice"
    assert by_key == sender.acknowledged, "what was acknowledged differs from what is stored"
    assert [message["seq"] for message in stored] == list(range(len(stored), 0, -1))
    # Bob may have rooms of other tests of this session too.
    assert [taken for taken in notebook.snapshots if taken[0] == room["id"]] == [(room["id"], 2)], (
        "the log had everything, but the room was read as a whole"
    )
    assert notebook.applied_versions == list(range(3, room["version"] + 1))
    told = [event["body"] for event in notebook.applied if event["type"] == "message_added"]
    assert [message["id"] for message in told] == [message["id"] for message in stored[::-1]]
    assert sender.unanswered > 0, "no send met a kill: the test proved nothing"


@pytest.mark.parametrize("kind", find_kinds())
def test_no_kill_loses_or_doubles_an_acknowledged_message(
    kind: str,
    checkout: Path,  # noqa: F811 - the fixture
) -> None:
    """After kill -9 of every process, each acknowledged message is stored and received once."""
    port, realtime_port = find_free_port(), find_free_port()
    environment = {
        "PORT": str(port),
        "REALTIME_PORT": str(realtime_port),
        "CENTRIFUGO_BIN": str(find_centrifugo()) if kind == "centrifugo" else "",
        "DATABASE_URL": "",
        "PATH": "/usr/bin:/bin",
    }
    run = Run(checkout, environment)
    try:
        asyncio.run(
            kill_under_load(
                run,
                f"http://127.0.0.1:{port}",
                f"ws://127.0.0.1:{realtime_port}/connection/websocket",
            )
        )
    finally:
        run.stop()
