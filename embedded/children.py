"""The processes of a run: how one is described, started, read and ended."""

import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.processes import prepare_child
from embedded.terminal import DIM

REMEMBERED_LINES = 12


@dataclass(frozen=True)
class Command:
    """A command that ends before a run is ready; its output is shown only if it fails."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Part:
    """A process that runs as long as the run; it is ready when `health` answers 200."""

    name: str
    command: Sequence[str]
    host: str
    port: int
    port_variable: str
    health: str = "/health"
    starts_prepared: bool = False  # only after the plan's commands have succeeded
    # Called when the part starts, because the database's address and contents are known then.
    environment: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda _shared: {}
    style: str = DIM


class Child:
    """A started process and its output."""

    def __init__(
        self, described: Command | Part, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.described = described
        self.name = described.name
        self._unfinished = b""
        self.process = subprocess.Popen(
            described.command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=prepare_child(signal.SIGKILL),  # noqa: PLW1509 - it takes no lock
            # Ctrl-C is sent to the whole terminal group, but only the supervisor knows the order.
            start_new_session=True,
        )
        is_part = isinstance(described, Part)
        self.lines: deque[str] = deque(maxlen=REMEMBERED_LINES if is_part else None)
        os.set_blocking(self.fileno(), False)

    def fileno(self) -> int:
        """Return the descriptor that selectors wait on."""
        if self.process.stdout is None:
            raise ValueError("the output is always a pipe")
        return self.process.stdout.fileno()

    def read_lines(self) -> tuple[list[str], bool]:
        """Return its new lines, and whether more can follow; never wait."""
        more = True
        data = b""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.fileno(), 65536):
                data += chunk
            more = False
        *whole, rest = (self._unfinished + data).split(b"\n")
        self._unfinished = rest if more else b""
        if not more and rest:
            whole.append(rest)
        lines = [line.decode(errors="replace").rstrip() for line in whole]
        self.lines.extend(lines)
        return lines, more

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        return self.process.poll() is None

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to it and its children, if it still runs."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signum)

    def ending(self) -> str:
        """Return in words how it ended."""
        code = self.process.returncode
        if code is not None and code < 0:
            return f"{self.name} was ended by {signal.Signals(-code).name}"
        return f"{self.name} ended with exit code {code}"
