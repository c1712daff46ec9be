"""Real processes for tests."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

PROJECT = Path(__file__).parents[2]


def find_free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call_manage(
    *arguments: str, folder: Path | str = PROJECT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` in a process of its own to its end, and return the ended process.

    `folder` holds the code, `environment` is added to that of the tests.
    """
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_manage(*arguments: str, folder: Path | str = PROJECT, **environment: str) -> str:
    """Do as `call_manage`, require success, and return what the command printed."""
    done = call_manage(*arguments, folder=folder, **environment)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@contextmanager
def start_api(
    database_url: str,
    *,
    output: IO[bytes] | None = None,
    options: Sequence[str] = (),
    **environment: str,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start the API under uvicorn, as production does; give its address and its process.

    The socket is opened here and passed to the process: a client that connects early waits in its
    backlog, so there is nothing to poll, and nobody else can take the port. `output` receives what
    the process writes to stderr, in place of the test's own stderr. `options` are uvicorn's.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # uvicorn assumes that a descriptor is a Unix socket and does not set this option. Without
        # it each answer waits 40 ms until its head is acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "app.asgi:application"),
                *("--fd", str(listener.fileno()), "--no-access-log", "--log-level", "warning"),
                *("--http", "app.draining:DrainingProtocol", *options),
            ],
            cwd=PROJECT,
            env=os.environ
            | {"DATABASE_URL": database_url, "DEBUG": "1", "LOG_LEVEL": "WARNING"}
            | environment,
            pass_fds=[listener.fileno()],
            stderr=output,
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield url, process
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def serve_api(
    database_url: str,
    *,
    output: IO[bytes] | None = None,
    options: Sequence[str] = (),
    **environment: str,
) -> Iterator[str]:
    """Run the API until the block ends; give its address once it is ready."""
    with start_api(database_url, output=output, options=options, **environment) as (url, _):
        httpx.get(f"{url}/health/ready", timeout=30).raise_for_status()
        yield url
