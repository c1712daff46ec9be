"""A real API and a real gateway, and a device between them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import psycopg
import pytest

from chat.actions.messages import NewMessage, send_messages
from chat.sql.database import run_call
from client.api import Backoff, Read
from client.device import Device
from client.reducer import Reducer
from tests.client.notebook import Notebook
from tests.client.reading import fetch_state, make_read
from tests.conformance.servers import SECRET, RunningServer, find_kinds, restart, start_server
from tests.conftest import Connection
from tests.support.actors import Actor
from tests.support.processes import serve_api


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of a device once per realtime server that can be found."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", find_kinds(), scope="module")


@pytest.fixture(scope="session")
def database_url(clone_database: Callable[[], str]) -> str:
    """Return a database for these tests alone, because a realtime server drains its outbox."""
    return clone_database()


@pytest.fixture(scope="session")
def api_url(database_url: str) -> Iterator[str]:
    """Return an API whose tokens the realtime server accepts."""
    with serve_api(database_url, CENTRIFUGO_TOKEN_SECRET=SECRET) as url:
        yield url


@pytest.fixture(scope="module")
def server(kind: str, database_url: str) -> Iterator[RunningServer]:
    """A realtime server that a test may kill and start again."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT outbox_partitions FROM chat_installation").fetchone()
    assert row is not None
    running = start_server(kind, database_url, int(row[0]))
    yield running
    running.stop()


def start_again(server: RunningServer) -> None:
    """Start a killed server again on its port; the history of its channels is lost.

    Call this on the main thread, which blocks during it: the server is killed when the thread that
    started it ends.
    """
    server.process = restart(server).process


def send_unheard(connection: Connection, room_id: int, user: Actor) -> None:
    """Send a message whose event is in the log, and is published to nobody."""
    with connection.transaction():
        run_call(connection, send_messages([NewMessage(room_id, user.user_id, "k", "unheard")]))
        connection.execute(
            "DELETE FROM chat_outbox WHERE payload #>> '{data,body,room,id}' = %s"
            " AND payload #>> '{data,body,content}' = 'unheard'",
            [str(room_id)],
        )


@dataclass
class Gate:
    """A point at which an answer of the API waits on its way to the device."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


Gates = dict[str, Gate]
"""The gates, by the beginning of the paths whose answers wait there."""


@dataclass
class Follower:
    """A user's device, its notebook, and the API as the user sees it."""

    http: httpx.AsyncClient
    device: Device
    notebook: Notebook
    gates: Gates
    unanswered: asyncio.Queue[str]
    """The paths of reads that failed."""

    def close_gate(self, path: str) -> Gate:
        """Make the answers for paths with this beginning wait until the gate is opened."""
        return self.gates.setdefault(path, Gate())

    @property
    def reducer(self) -> Reducer:
        """What the device holds."""
        return self.device.reducer

    async def wait_for(self, *room_ids: int) -> None:
        """Wait until the device holds the current version of these rooms."""
        versions = {
            room_id: (await self.http.get(f"/api/rooms/{room_id}/")).json()["version"]
            for room_id in room_ids
        }
        await self.device.wait_for_versions(versions, within=20)

    async def check(self) -> None:
        """Compare everything that the device shows with everything that the API shows."""
        fresh = await fetch_state(self.http, keep=self.reducer.keep)
        assert self.reducer.state() == fresh


Follow = Callable[..., AbstractAsyncContextManager[Follower]]


@pytest.fixture
def follow(api_url: str, server: RunningServer) -> Follow:
    """Make a user's device; the test starts it, and it is stopped when the block ends."""

    @asynccontextmanager
    async def start(
        user: Actor, *, reducer: Reducer | None = None, seconds: float = 15
    ) -> AsyncIterator[Follower]:
        async with httpx.AsyncClient(
            base_url=api_url, headers=user.http.headers, trust_env=False, timeout=seconds
        ) as http:
            notebook = Notebook()
            gates, unanswered = Gates(), asyncio.Queue[str]()
            device = Device(
                *(user.user_id, _read_through(http, gates, unanswered), server.url),
                reducer=reducer,
                observer=notebook,
                backoff=Backoff(first=0.01, most=0.05),
                proxy=None,
                min_reconnect_delay=0.01,
                max_reconnect_delay=0.1,
            )
            try:
                yield Follower(http, device, notebook, gates, unanswered)
            finally:
                await device.stop()

    return start


def _read_through(http: httpx.AsyncClient, gates: Gates, unanswered: asyncio.Queue[str]) -> Read:
    """Return a function that reads as the user, through the gates."""
    read = make_read(http)

    async def pass_gates(path: str) -> tuple[int, object]:
        try:
            answer = await read(path)
        except OSError:
            unanswered.put_nowait(path)
            raise
        for start, gate in gates.items():
            if path.startswith(start):
                gate.reached.set()
                await gate.opened.wait()
        return answer

    return pass_gates
