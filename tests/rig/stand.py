"""The stand: the system of a trial, as real processes.

It has PostgreSQL, two API workers and a realtime server. Every connection between them goes through
a `FaultProxy`:

    senders ──▶ api_links[n] ──▶ API worker n ──▶ api_database ──▶ PostgreSQL
    devices ──▶ device_link ──▶ gateway or Centrifugo ──▶ realtime_database ──▶ PostgreSQL
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row

from embedded.postgres import PostgresServer
from embedded.processes import die_with_parent
from tests.conformance.servers import SECRET, RunningServer, restart, start_server
from tests.rig.proxy import FaultProxy, Target, find_postgres_socket, through
from tests.support.processes import PROJECT, find_free_port, run_manage

Result = TypeVar("Result")

WORKERS = 2
READY_WITHIN = 20.0


class ApiWorker:
    """One API process with a port of its own; it can be started again on the same port."""

    def __init__(
        self, database_url: str, environment: dict[str, str], log: Path, folder: Path
    ) -> None:
        self.database_url = database_url
        self.log = log
        self.environment = environment
        self.port = find_free_port()
        self.folder = folder
        """The code that it runs."""
        self.prefix: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start the process; it is killed when the calling thread ends."""
        # A socket that is opened here can be reached from here, even if the process that gets it is
        # in a network of its own.
        listener = socket.create_server(("127.0.0.1", self.port)) if self.prefix else None
        where = ["--fd", str(listener.fileno())] if listener else ["--port", str(self.port)]
        with self.log.open("ab") as log, listener or contextlib.nullcontext():
            self.process = subprocess.Popen(
                [
                    *(*self.prefix, sys.executable, "-m", "uvicorn", "app.asgi:application"),
                    *("--no-access-log", "--http", "app.draining:DrainingProtocol", *where),
                ],
                pass_fds=[listener.fileno()] if listener else [],
                cwd=self.folder,
                env=os.environ
                | {"DATABASE_URL": self.database_url, "DEBUG": "1", "LOG_LEVEL": "WARNING"}
                | {"CENTRIFUGO_TOKEN_SECRET": SECRET, "SERVE": "api"}
                | self.environment,
                stderr=log,
                stdout=log,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it takes no lock
            )

    def send(self, signum: signal.Signals) -> None:
        """Send the process a signal."""
        os.kill(self.pid, signum)

    def wait(self, seconds: float = 25) -> int:
        """Wait until the process has ended; return its exit status."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """Kill the process, even if it is frozen."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Stand:
    """The processes, the proxies between them, and what a fault can do to them."""

    postgres: PostgresServer
    realtime: RunningServer
    api_database: FaultProxy
    realtime_database: FaultProxy
    device_link: FaultProxy

    def __init__(self, folder: Path, realtime_kind: str, code: Path) -> None:
        self.folder = folder
        self.code = code
        """The code that migrated the database, and that the workers start with."""
        self.realtime_kind = realtime_kind
        self.settings: dict[str, str] = {}
        self.is_between_clients_and_api = False
        """Whether clients reach the API through `api_links`."""
        self.workers: list[ApiWorker] = []
        self.api_links: list[FaultProxy] = []
        self.others: list[RunningServer] = []
        """Further realtime servers that drain the same outbox."""
        # A process is killed when the thread that started it ends, so one thread starts them all.
        self._starter = ThreadPoolExecutor(max_workers=1)
        self._stack = AsyncExitStack()

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        template: Path,
        folder: Path,
        realtime_kind: str,
        *,
        settings: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
        code: Path = PROJECT,
    ) -> AsyncIterator[Self]:
        """Start everything on a copy of a migrated data folder; stop it when the block ends.

        `settings` are PostgreSQL's, `environment` the API's; `code` is what migrated the folder.
        """
        stand = cls(folder, realtime_kind, code)
        stand.settings |= settings or {}
        stand._stack.callback(stand._starter.shutdown)
        try:
            await stand.in_thread(shutil.copytree, template / "postgres", folder / "postgres")
            await stand.start_postgres()
            stand._stack.push_async_callback(stand.stop_postgres)
            await stand._connect_links(environment or {})
            await stand.start_realtime()
            stand._stack.push_async_callback(stand._stop_realtime)
            for worker in stand.workers:
                await stand.in_thread(worker.start)
            await asyncio.gather(*map(stand.wait_ready, stand.workers))
            yield stand
        finally:
            await stand._stack.aclose()

    async def _connect_links(self, environment: dict[str, str]) -> None:
        socket_path = find_postgres_socket(self.postgres.url())
        enter = self._stack.enter_async_context
        self.api_database = await enter(FaultProxy.start(socket_path))
        self.realtime_database = await enter(FaultProxy.start(socket_path))
        self.realtime_port = find_free_port()
        self.device_link = await enter(FaultProxy.start(("127.0.0.1", self.realtime_port)))
        for _ in range(WORKERS):
            log = self.folder / "api.log"
            url = self.through(self.api_database)
            worker = ApiWorker(url, {**environment}, log, self.code)
            self.workers.append(worker)
            self._stack.push_async_callback(self.in_thread, worker.stop)
            self.api_links.append(await enter(FaultProxy.start(("127.0.0.1", worker.port))))

    async def open_link(self, target: Target, *, host: str = "127.0.0.1") -> FaultProxy:
        """Open one more proxy, until the stand stops."""
        return await self._stack.enter_async_context(FaultProxy.start(target, host=host))

    def run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine until the stand stops."""
        task = asyncio.create_task(work)
        self._stack.callback(task.cancel)

    # Addresses.

    @property
    def api_urls(self) -> list[str]:
        """The URLs at which users and devices reach the API.

        They go through proxies only if the fault is about these connections: a proxy accepts a
        connection even when its worker is down, and then closes it.
        """
        ends = self.api_links if self.is_between_clients_and_api else self.workers
        return [f"http://127.0.0.1:{end.port}" for end in ends]

    @property
    def realtime_url(self) -> str:
        """The URL at which devices connect."""
        return f"ws://127.0.0.1:{self.device_link.port}/connection/websocket"

    @property
    def database_url(self) -> str:
        """The URL of the database itself, without a proxy."""
        return self.postgres.url()

    def through(self, proxy: FaultProxy) -> str:
        """Return the URL of the database through a proxy."""
        return through(self.database_url, proxy)

    # PostgreSQL.

    async def start_postgres(self) -> None:
        """Start PostgreSQL, also after it was stopped; return when it accepts connections."""
        self.postgres = await self.in_thread(
            PostgresServer.start, self.folder, settings=self.settings
        )

    async def stop_postgres(self, mode: str = "immediate") -> None:
        """Stop it: `fast` as an operator does, `immediate` as a crash does."""
        await self.in_thread(self.postgres.stop, mode)

    async def fetch(self, statement: str, parameters: Any = None) -> list[dict[str, Any]]:
        """Run a statement without a proxy, and return its rows."""
        async with await psycopg.AsyncConnection.connect(
            self.database_url, autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = await connection.execute(statement.encode(), parameters)
            # Rows without columns are described by an empty list.
            return [] if cursor.description is None else await cursor.fetchall()

    async def fetch_in_one(self, *calls: tuple[str, list[Any]]) -> list[dict[str, Any]]:
        """Run statements in one transaction without a proxy; return the rows of the last."""
        async with await psycopg.AsyncConnection.connect(
            self.database_url, row_factory=dict_row
        ) as connection:
            cursor = connection.cursor()
            for statement, parameters in calls:
                await cursor.execute(statement.encode(), parameters)
            # Rows without columns are described by an empty list.
            return [] if cursor.description is None else await cursor.fetchall()

    # The API.

    async def start_worker(self, worker: ApiWorker) -> None:
        """Start a worker and return when it is ready."""
        await self.in_thread(worker.start)
        await self.wait_ready(worker)

    async def wait_ready(self, worker: ApiWorker, within: float = READY_WITHIN) -> None:
        """Return when a worker answers that it is ready."""
        async with (
            asyncio.timeout(within),
            httpx.AsyncClient(trust_env=False, timeout=3) as http,
        ):
            while True:
                with suppress(httpx.TransportError):
                    answer = await http.get(f"http://127.0.0.1:{worker.port}/health/ready")
                    if answer.status_code == 200:
                        return
                await asyncio.sleep(0.02)  # nothing signals that a port is open

    # Realtime.

    async def start_realtime(self) -> None:
        """Start the realtime server behind `device_link`."""
        self.realtime = await self._launch_realtime(self.realtime_port)

    async def start_another_realtime(self) -> RunningServer:
        """Start one more server that drains the same outbox; no device is connected to it."""
        server = await self._launch_realtime(None)
        self.others.append(server)
        return server

    async def restart_realtime(self) -> None:
        """Start the realtime server again on its port; it has lost the history of all channels."""
        self.realtime = await self.in_thread(restart, self.realtime)

    async def move_realtime(self, prefix: list[str], host: str, database_url: str) -> None:
        """Kill the realtime server and start it in another network, at another address.

        `prefix` is the command that runs another command there.
        """
        await self.kill_realtime()
        self.realtime = await self._launch_realtime(
            self.realtime_port, prefix=prefix, host=host, database_url=database_url
        )
        self.device_link.target = (host, self.realtime_port)

    async def kill_realtime(self) -> None:
        """End the realtime server as a crash would."""
        await self.in_thread(self.realtime.kill)

    async def _launch_realtime(
        self, port: int | None, *, database_url: str | None = None, **where: Any
    ) -> RunningServer:
        (row,) = await self.fetch("SELECT outbox_partitions AS n FROM chat_installation")
        url = database_url or self.through(self.realtime_database)
        named = {"port": port, "log": self.folder / "realtime.log", **where}
        return await self.in_thread(start_server, self.realtime_kind, url, row["n"], **named)

    async def _stop_realtime(self) -> None:
        for server in [self.realtime, *self.others]:
            await self.in_thread(server.kill)

    async def in_thread(
        self, action: Callable[..., Result], *arguments: Any, **named: Any
    ) -> Result:
        """Run a blocking action on the thread that starts the processes."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._starter, lambda: action(*arguments, **named))


def create_template(folder: Path, code: Path = PROJECT) -> None:
    """Make a data folder, migrated by some code and empty, that stands are copied from."""
    with PostgresServer.start(folder) as server:
        run_manage("migrate", "--no-input", folder=code, DATABASE_URL=server.url(), DEBUG="1")
