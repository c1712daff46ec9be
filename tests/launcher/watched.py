"""Watches real processes from outside."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]


class Watched:
    """Processes that are opened by pid while they run, so that their end is seen without a race."""

    def __init__(self, pids: list[int]) -> None:
        self._descriptors = {pid: os.pidfd_open(pid) for pid in pids}

    def alive_after(self, seconds: float) -> list[int]:
        """Wait up to this many seconds for each to end; return those that still run."""
        return [
            pid
            for pid, descriptor in self._descriptors.items()
            if not select.select([descriptor], [], [], seconds)[0]
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


class Started:
    """A started command whose output is read line by line."""

    def __init__(
        self, command: list[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.said: list[str] = []
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**inherited(), "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def wait_for(self, words: str) -> str:
        """Read until a line contains these words; if none does, fail with all that was printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"never said {words!r}:\n{''.join(self.said)}")

    def finish(self, seconds: float = 10.0) -> tuple[int, str]:
        """Wait for the end; return the exit code and all that was printed."""
        rest, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, "".join([*self.said, rest])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)  # also what a shell started
            self.process.communicate(timeout=20)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def inherited() -> dict[str, str]:
    """Return the environment of the tests without the variables that configure a run."""
    steering = {"DATABASE_URL", "DEBUG", "HOST", "PORT", "REALTIME_PORT", "CENTRIFUGO_BIN"}
    return {name: value for name, value in os.environ.items() if name not in steering}


def python(*arguments: str) -> list[str]:
    """Return a command that runs this Python."""
    return [sys.executable, *arguments]
