"""Starts the realtime servers under test as real processes."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedded.centrifugo import centrifugo_command, centrifugo_environment, find_centrifugo
from embedded.gateway.origins import parse_origins
from embedded.processes import die_with_parent
from tests.support.processes import find_free_port

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "a-secret-of-the-conformance-suite-0123456789"
START_TIMEOUT = 15.0

# The same delays for both servers, short enough to wait for.
SHORT_DELAYS = {
    "PING_INTERVAL": "1s",
    "PONG_TIMEOUT": "500ms",
    "STALE_CLOSE_DELAY": "500ms",
    "EXPIRED_CLOSE_DELAY": "1s",
    "EXPIRED_SUB_CLOSE_DELAY": "1s",
    # Centrifugo looks for expired subscriptions on this tick; the gateway has a timer for each.
    "PRESENCE_UPDATE_INTERVAL": "500ms",
    # Centrifugo counts these in whole seconds, and looks for what has expired once a second.
    "HISTORY_TTL": "1s",
    "HISTORY_META_TTL": "3s",
}


@dataclass
class RunningServer:
    """A server under test."""

    kind: str
    port: int
    process: subprocess.Popen[bytes]
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    """The file for its log; without one, the log is shown with a failing test."""
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://{self.host}:{self.port}/connection/websocket"

    @property
    def is_gateway(self) -> bool:
        """Whether it is the gateway, which is part of this project."""
        return self.kind == "gateway"

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator would; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def find_kinds() -> list[str]:
    """Return the servers that can be tested here."""
    return ["gateway", "centrifugo"] if find_centrifugo() else ["gateway"]


def describe_centrifugo() -> str:
    """Return the version of the binary, or say that there is none."""
    binary = find_centrifugo()
    if binary is None:
        return "centrifugo: not covered, no binary in CENTRIFUGO_BIN or on PATH"
    answer = subprocess.run([binary, "version"], capture_output=True, text=True, check=True)
    return f"centrifugo: {answer.stdout.strip()}"


def start_server(
    kind: str,
    database_url: str,
    partitions: int,
    delays: dict[str, str] | None = None,
    *,
    port: int | None = None,
    log: Path | None = None,
    host: str = "127.0.0.1",
    prefix: Sequence[str] = (),
    origins: str = "",
) -> RunningServer:
    """Start a server, on a free port unless one is given, and wait until it accepts clients.

    `prefix` is a command that runs another command elsewhere, for example in another network;
    `origins` is what `ALLOWED_ORIGINS` has.
    """
    port = port or find_free_port()
    if kind == "gateway":
        command = [sys.executable, "-m", "embedded.gateway"]
        environment = _gateway_environment(database_url, host, port) | {"ALLOWED_ORIGINS": origins}
    else:
        binary = find_centrifugo()
        assert binary is not None
        command = centrifugo_command(binary)
        environment = centrifugo_environment(
            database_url=database_url,
            token_secret=SECRET,
            partitions=partitions,
            host=host,
            port=port,
            allowed_origins=parse_origins(origins),
        )
    environment |= _name_delays(kind, delays or {})
    command = [*prefix, *command]
    process = _start(command, environment, log)
    return _launch(RunningServer(kind, port, process, command, environment, log, host))


def _name_delays(kind: str, delays: dict[str, str]) -> dict[str, str]:
    """Return the environment that sets delays like `{"PING_INTERVAL": "1s"}`, and numbers."""
    if kind == "gateway":
        return {f"GATEWAY_{name}": _seconds(value) for name, value in delays.items()}
    sections = {
        "HISTORY_TTL": "CHANNEL_NAMESPACES_PERSONAL_HISTORY_TTL",
        # Not the namespace's: Centrifugo prolongs a position that is read by the common value.
        "HISTORY_META_TTL": "CHANNEL_HISTORY_META_TTL",
    }
    return {
        f"CENTRIFUGO_{sections.get(name, f'CLIENT_{name}')}": value
        for name, value in delays.items()
    }


def _seconds(value: str) -> str:
    if value.endswith("ms"):
        return str(float(value[:-2]) / 1000)
    return value.removesuffix("s")


def _gateway_environment(database_url: str, host: str, port: int) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "CENTRIFUGO_TOKEN_SECRET": SECRET,
        "REALTIME_PORT": str(port),
        "HOST": host,
    }


def restart(server: RunningServer) -> RunningServer:
    """Start a server again with the same command, port and environment."""
    process = _start(server.command, server.environment, server.log)
    return _launch(dataclasses.replace(server, process=process))


def _start(
    command: list[str], environment: dict[str, str], log: Path | None
) -> subprocess.Popen[bytes]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CENTRIFUGO_", "GATEWAY_", "ALLOWED_ORIGINS"))
    }
    with log.open("ab") if log else contextlib.nullcontext() as stderr:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited, **environment},
            stdout=subprocess.DEVNULL,  # the log is on stderr
            stderr=stderr,
            preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it takes no lock
        )


def _launch(server: RunningServer) -> RunningServer:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(
                f"http://{server.host}:{server.port}/health", timeout=1
            ) as answer:
                if answer.status == 200:
                    return server
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)  # nothing signals that another process has begun to listen
    server.kill()
    raise AssertionError(f"{server.kind} did not start")
