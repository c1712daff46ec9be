"""The embedded PostgreSQL: `PostgresServer.start(folder)` returns a server that is ready.

The folder contains `postgres/` (the data), `postgres.log` and the socket. Nothing outside it is
changed, and nothing listens on the network. It is for development and tests.
"""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from embedded import cluster
from embedded.cluster import PORT, SUPERUSER, PostgresError, explained
from embedded.processes import end, find_postgres, prepare_child, read_first_number

__all__ = ["PostgresError", "PostgresServer"]

READY_WITHIN = 120.0  # crash recovery replays up to max_wal_size
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "logging_collector": "off",
}
# Commits survive a kill -9, but not a power failure.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer:
    """A running PostgreSQL of one folder; a `with` block stops it at its end."""

    process: subprocess.Popen[bytes]

    def __init__(self, folder: Path, lock: IO[str]) -> None:
        self.folder = folder
        self.data = folder / "postgres"
        self.log = folder / "postgres.log"
        self._lock = lock
        self._socket_folder = folder / "socket"

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *,
        database: str = "besedka",
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> Self:
        """Start the server of this folder and return when it accepts connections.

        The folder and the database are made if they are missing. Processes that a killed run left
        are ended, and its data is recovered. The server stops when the calling thread ends, also
        after kill -9. `while_waiting` is called until the server is ready; an error that it raises
        ends the start.
        """
        folder = data_dir.resolve()
        server = cls(folder, cluster.lock_folder(folder))
        try:
            server._prepare(durable=durable)
            server._launch({**SETTINGS, **({} if durable else NOT_DURABLE), **(settings or {})})
            server._wait_until_ready(while_waiting)
            server._ensure_database(database)
        except BaseException:
            server.stop("immediate")
            raise
        return server

    def url(self, database: str = "besedka") -> str:
        """Return the address for psycopg, Django and other users of libpq."""
        host = quote(str(self._socket_folder), safe="")
        # With the port, because a PGPORT in the environment would name another socket.
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: "fast" ends sessions and writes everything, "immediate" recovers later.

        A server that does not stop in four seconds gets stronger signals; no commit is lost. A
        second call has no effect.
        """
        if self._lock.closed:
            return
        orderly = (signal.SIGINT, 4.0), (signal.SIGQUIT, 1.5), (signal.SIGKILL, 1.0)
        for signum, seconds in orderly if mode == "fast" else orderly[1:]:
            if not hasattr(self, "process") or self.process.poll() is not None:
                break
            self.process.send_signal(signum)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        with contextlib.suppress(OSError):
            cluster.remove_socket_folder(self.folder)
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _prepare(self, *, durable: bool) -> None:
        exists = cluster.check_cluster(self.data)
        self._end_leftovers()
        if not exists:
            cluster.create_cluster(self.data, durable=durable)
        self._socket_folder = cluster.make_socket_folder(self.folder)

    def _end_leftovers(self) -> None:
        """End the processes that a killed run left in the data folder; its lock must be held.

        PostgreSQL refuses to start while a backend of the killed run lives. It also refuses if
        another process has the pid in the old postmaster.pid, which is usual in containers.
        """
        found = find_postgres(self.data)
        led = read_first_number(self.data / "postmaster.pid") in found
        # Without a postmaster an orderly stop saves nothing: the log is replayed in any case.
        signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL) if led else (signal.SIGKILL,)
        if not end(lambda: find_postgres(self.data), signals, 4.0):
            raise PostgresError(f"A PostgreSQL of an earlier run in {self.data} does not end.")
        with explained(self.data):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, settings: Mapping[str, str]) -> None:
        folders = str(self._socket_folder).replace('"', '""')
        named = {**settings, "unix_socket_directories": f'"{folders}"'}
        command = [cluster.binary("postgres"), "-D", str(self.data)]
        for name, value in named.items():
            command += ["-c", f"{name}={value}"]
        with explained(self.folder):
            if self.log.exists():
                shutil.move(self.log, self.log.with_suffix(".log.1"))
            log = self.log.open("wb")
        with log:
            try:
                self.process = subprocess.Popen(
                    cluster.as_ordinary_user(command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=cluster.english_environment(),
                    preexec_fn=prepare_child(signal.SIGINT),  # noqa: PLW1509 - it takes no lock
                    # Ctrl-C is sent to the whole terminal group, but the database must stop last.
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise PostgresError(cluster.NO_NAMESPACES) from error

    def _wait_until_ready(self, while_waiting: Callable[[], None]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self._is_ready():
            if self.process.poll() is not None:
                raise PostgresError(cluster.explain(self._log_text(), self.log))
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL is not ready after {READY_WITHIN:.0f} seconds.")
            while_waiting()
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        """Read postmaster.pid: the pid is in the first line, the state in the eighth."""
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return len(lines) >= 8 and lines[0] == str(self.process.pid) and "ready" in lines[7]
        return False

    def _log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _ensure_database(self, name: str) -> None:
        find = "SELECT FROM pg_database WHERE datname = %s"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if connection.execute(find, [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
