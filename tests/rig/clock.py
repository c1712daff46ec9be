"""A wall clock that jumps, for processes started with it.

    clock = FakeClock(folder)
    with serve_api(database_url, **clock.environment) as url:
        clock.jump(3600)

Only the time of day jumps: the monotonic clock, which measures waiting, and the times of files do
not. It is libfaketime, loaded before the C library, so a program that asks the kernel itself, as
those written in Go do, sees the true time.

Needs the program `faketime`.
"""

import functools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


class FakeClock:
    """The clock of all processes that are started with its `environment`; at first it is right.

    `folder` gets the file with the offset. The processes read it each time they ask for the time,
    so all of them see a jump at once.
    """

    def __init__(self, folder: Path) -> None:
        self.offset = 0.0
        """Seconds ahead of the true time."""
        self._file = folder.resolve() / "offset of the clock"
        self.jump(0)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process with this clock; its children inherit it.

        Raises LookupError when there is no libfaketime.
        """
        return {
            "LD_PRELOAD": _find_library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # its name before 0.9.8
            "NO_FAKE_STAT": "1",
        }

    def jump(self, seconds: float) -> None:
        """Move the clock forward, or back if `seconds` is negative."""
        self.offset += seconds
        unfinished = self._file.with_suffix(".unfinished")
        unfinished.write_text(f"{self.offset:+f}\n", encoding="ascii")
        unfinished.replace(self._file)  # so nobody reads half an offset


@functools.cache
def find_reason_unavailable() -> str | None:
    """Say why this machine has no such clock; None when it has: one is tried."""
    try:
        library = _find_library()
    except LookupError as error:
        return str(error)
    ahead = 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env=os.environ | {"LD_PRELOAD": library, "FAKETIME": f"+{ahead}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and float(done.stdout) > time.time() + ahead / 2:
        return None
    return f"libfaketime moves no clock: {done.stderr.strip() or 'it has no effect'}"


@functools.cache
def _find_library() -> str:
    """Ask `faketime` for the path of its library, which differs between systems.

    Raises LookupError when the program is missing or prints nothing.
    """
    program = shutil.which("faketime")
    if program is None:
        raise LookupError("no faketime on PATH")
    done = subprocess.run(
        [program, "-m", "-f", "+0", "printenv", "LD_PRELOAD"],
        env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.strip():
        raise LookupError(f"faketime names no library: {done.stderr.strip()}")
    return done.stdout.strip()
