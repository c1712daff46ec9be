"""The API and a realtime server of one commit, as production runs them, on their own database."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import psycopg

from benches.code import Code
from benches.cpu import read_cpu_seconds
from benches.http import Address, Connection
from benches.receiver import Device, make_device
from benches.seed import API_SESSION
from embedded.centrifugo import centrifugo_command, centrifugo_environment, find_centrifugo
from embedded.postgres import PostgresServer
from embedded.processes import prepare_child

READY_WITHIN = 30.0
WEBSOCKET_PATH = "/connection/websocket"
# Nothing of the caller's own configuration reaches the processes that are measured.
INHERITED = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "CENTRIFUGO_BIN"}
# A server that is paused while another one is measured would miss the pongs of its clients.
WITHOUT_PINGS = {
    "CENTRIFUGO_CLIENT_PING_INTERVAL": "3600s",
    "CENTRIFUGO_CLIENT_PONG_TIMEOUT": "600s",
    "GATEWAY_PING_INTERVAL": "3600",
    "GATEWAY_PONG_TIMEOUT": "600",
}


def sign_token(secret: str, user_id: str, **claims: object) -> str:
    """Return a JWT (HS256) of the host for this user, valid for an hour."""
    parts = (
        {"alg": "HS256", "typ": "JWT"},
        {"sub": user_id, "exp": int(time.time()) + 3600, **claims},
    )
    text = b".".join(_encode(json.dumps(part).encode()) for part in parts)
    signature = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + _encode(signature)).decode()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def find_free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """Runs from `start` until the `with` block ends; while paused it takes no CPU."""

    api: subprocess.Popen[bytes]

    def __init__(
        self, code: Code, postgres: PostgresServer, database: str, realtime: str, folder: Path
    ) -> None:
        """`realtime` is `gateway`, `centrifugo` or `none`; logs are written to `folder`."""
        self.code = code
        self.postgres = postgres
        self.database_url = postgres.url(database)
        self.realtime_kind = realtime
        self.port, self.realtime_port = find_free_port(), find_free_port()
        self.address = Address("127.0.0.1", self.port)
        self.realtime_address = Address("127.0.0.1", self.realtime_port, WEBSOCKET_PATH)
        self.jwt_secret = secrets.token_urlsafe(48)
        self.realtime: subprocess.Popen[bytes] | None = None
        self._token_secret = secrets.token_urlsafe(48)
        self._log = folder / f"{database}.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def migrate(self) -> None:
        """Create the database, its tables and its functions."""
        self.code.manage("migrate", "--no-input", environment=self.environment())

    def environment(self) -> dict[str, str]:
        """Return the variables of production, with secrets of this run."""
        return {name: value for name, value in os.environ.items() if name in INHERITED} | {
            "DATABASE_URL": self.database_url,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "JWT_SECRET": self.jwt_secret,
            "CENTRIFUGO_TOKEN_SECRET": self._token_secret,
            "ALLOWED_HOSTS": "127.0.0.1",
            "SERVE": "api",
            "PYTHONUNBUFFERED": "1",
            **WITHOUT_PINGS,
        }

    def start(self) -> None:
        """Start the realtime server and the API; return when both are ready."""
        if self.realtime_kind != "none":
            self.realtime = self._start_realtime()
            _wait_until_ready("realtime", self.realtime, self.realtime_port, "/health", self._log)
        self.start_api()

    def start_api(self, command: list[str] | None = None) -> float:
        """Start the API, by this command if one is given, and wait until it is ready.

        Return after how many seconds it answered for the first time.
        """
        begun = time.monotonic()
        self.api = self._launch(
            command or self.code.api_command(self.port),
            self.environment() | (API_SESSION if command else {}),
            self.code.folder,
        )
        first = "/health/ready" if command else "/health/live"
        _wait_until_ready("API", self.api, self.port, first, self._log)
        seconds = time.monotonic() - begun
        _wait_until_ready("API", self.api, self.port, "/health/ready", self._log)
        return seconds

    def stop_api(self) -> None:
        """Stop the API and wait until it has ended."""
        self.api.send_signal(signal.SIGTERM)
        self.api.wait(30)
        self._processes.remove(self.api)

    def pause(self) -> None:
        """Stop the clock of its processes: another installation is measured."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its processes go on."""
        for process in self._processes:
            process.send_signal(signal.SIGCONT)

    def read_cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each part so far."""
        parts = {"api": self.api, "postgres": self.postgres.process, "realtime": self.realtime}
        return {
            name: read_cpu_seconds(process.pid) if process else 0.0
            for name, process in parts.items()
        }

    def sign(self, user_id: str, **claims: object) -> str:
        """Return the host's token for a user."""
        return sign_token(self.jwt_secret, user_id, **claims)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection to the database, which commits each statement."""
        return psycopg.connect(self.database_url, autocommit=True)

    def make_devices(self, user_ids: list[str]) -> list[Device]:
        """Return a device for each user, with tokens from the API."""
        with Connection(self.address) as connection:
            return [make_device(connection, user_id, self.sign(user_id)) for user_id in user_ids]

    def stop(self) -> None:
        """Stop its processes and wait until they have ended."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()
        self._processes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_realtime(self) -> subprocess.Popen[bytes]:
        if self.realtime_kind == "gateway":
            environment = self.environment() | {"REALTIME_PORT": str(self.realtime_port)}
            command = [sys.executable, "-m", "embedded.gateway"]
            return self._launch(command, environment, self.code.folder)
        binary = find_centrifugo()
        if binary is None:
            raise FileNotFoundError("There is no Centrifugo on PATH or in CENTRIFUGO_BIN.")
        with self.connect() as connection:
            row = connection.execute("SELECT outbox_partitions FROM chat_installation").fetchone()
        environment = self.environment() | centrifugo_environment(
            database_url=self.database_url,
            token_secret=self._token_secret,
            partitions=int(str(row[0])) if row else 0,
            port=self.realtime_port,
        )
        configuration = self.code.folder / "centrifugo" / "config.json"
        return self._launch(
            centrifugo_command(binary, configuration), environment, self.code.folder
        )

    def _launch(
        self, command: list[str], environment: dict[str, str], folder: Path
    ) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=prepare_child(signal.SIGKILL),  # noqa: PLW1509 - it takes no lock
                # Ctrl-C ends the benchmark, which then ends its processes in order.
                start_new_session=True,
            )
        self._processes.append(process)
        return process


def _wait_until_ready(
    name: str, process: subprocess.Popen[bytes], port: int, path: str, log: Path
) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(OSError, ValueError),
            Connection(Address("127.0.0.1", port), timeout=5) as connection,
        ):
            if connection.request("GET", path, "")[0] == 200:
                return
        time.sleep(0.01)  # nothing signals that another process has begun to listen
    raise RuntimeError(f"the {name} did not start: {log.read_text(errors='replace')[-2000:]}")
