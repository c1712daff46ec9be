"""Writing the lines of the log in a thread, so that no request waits for their reader."""

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable

import structlog

COLLECT_SECONDS = 0.05
"""How long the thread waits for more lines before it writes: one system call for all of them."""
LINES_MAX = 10_000
"""How many lines wait where nobody reads: about 3 MB."""
FLUSH_SECONDS = 1.0
"""How long the end of the process waits for the last lines to be read."""


class LineWriter:
    """Writes lines to a descriptor in the background, in the order in which they are given.

    `write` never blocks. If the other side does not read, for example a full pipe, lines wait;
    beyond `LINES_MAX` they are dropped. Once lines are read again, `report_dropped` is called, in
    the thread, with how many were. The last lines are written when the interpreter exits; only a
    process that is killed loses those of the last `COLLECT_SECONDS`.
    """

    def __init__(self, descriptor: int, report_dropped: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._report_dropped = report_dropped
        # An event in it is set when all lines before it are written.
        self._waiting: deque[bytes | threading.Event] = deque()
        self._dropped = 0  # changed by the writing side only
        self._reported = 0  # changed by the thread only
        self._is_wanted = threading.Event()
        self._is_urgent = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Write a line, which ends with a newline, soon."""
        if len(self._waiting) >= LINES_MAX:
            self._dropped += 1
            return
        self._waiting.append(line)
        # Set before the thread empties the queue, it covers this line as well.
        if not self._is_wanted.is_set():
            self._wake()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until the lines given so far are written; return whether they are."""
        written = threading.Event()
        self._waiting.append(written)
        self._is_urgent.set()
        self._wake()
        return written.wait(seconds)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
            atexit.register(self.flush)
        self._is_wanted.set()

    def _run(self) -> None:
        while True:
            self._is_wanted.wait()
            self._is_urgent.wait(COLLECT_SECONDS)
            self._is_urgent.clear()
            self._is_wanted.clear()
            self._write_waiting()
            if dropped := self._dropped - self._reported:
                self._reported += dropped
                self._report_dropped(dropped)

    def _write_waiting(self) -> None:
        lines: list[bytes] = []
        flushed: list[threading.Event] = []
        while self._waiting:
            taken = self._waiting.popleft()
            if isinstance(taken, bytes):
                lines.append(taken)
            else:
                flushed.append(taken)
        self._write_out(b"".join(lines))
        for event in flushed:
            event.set()

    def _write_out(self, text: bytes) -> None:
        left = memoryview(text)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Whoever gave the descriptor made it non-blocking.
                writable = select.poll()
                writable.register(self._descriptor, select.POLLOUT)
                writable.poll()
            except OSError:
                return  # closed, or its reader has gone: nobody misses the rest


def _report_dropped(count: int) -> None:
    structlog.get_logger("besedka.log").warning("log_lines_dropped", count=count)


STDERR = LineWriter(2, _report_dropped)
"""Every line of this process, also those of libraries, goes through it."""
