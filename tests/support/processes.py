"""Real processes for tests."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
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


def run_manage(*arguments: str, **environment: str) -> str:
    """Run a management command in a process of its own and return what it printed."""
    return run_manage_of(PROJECT, *arguments, **environment)


def run_manage_of(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a management command of another copy of the code, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@contextmanager
def start_api(
    database_url: str, *, output: IO[bytes] | None = None, **environment: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start the API under uvicorn, as production does; give its address and its process.

    The socket is opened here and handed over: whoever connects early waits in its backlog, so
    there is nothing to poll and no port to lose to somebody else. `output` takes what it writes to
    stderr, in place of the test's own.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # uvicorn takes a descriptor for a Unix socket and leaves the option out; without it each
        # answer waits 40 ms for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "app.asgi:application"),
                *("--fd", str(listener.fileno()), "--no-access-log", "--log-level", "warning"),
                *("--http", "app.draining:DrainingProtocol"),
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
    database_url: str, *, output: IO[bytes] | None = None, **environment: str
) -> Iterator[str]:
    """Run the API until the block ends, and give its address once it is ready."""
    with start_api(database_url, output=output, **environment) as (url, _):
        httpx.get(f"{url}/health/ready", timeout=30).raise_for_status()
        yield url
