"""The run folder `.data/`: its lock, the variables and the processes of a run, its deletion."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from embedded import cluster
from embedded.processes import end, find_identity, find_postgres, read_first_number

ENDING = signal.SIGTERM, signal.SIGKILL


class RunError(Exception):
    """A run cannot start or continue; the message is one sentence that says why."""

    def __init__(self, sentence: str, details: Iterable[str] = ()) -> None:
        super().__init__(sentence)
        self.details = tuple(details)


class RunFolder:
    """`.data/` of one checkout; it contains everything that a run writes to the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_env = path / "run.env"
        self._processes = path / "processes.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process; the lock ends with the process."""
        lock = self.path / "lock"
        with cluster.explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = lock.open("a+", encoding="utf-8")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pid = read_first_number(lock)
                holder = f" (process {pid})" if pid else ""
                raise RunError(
                    f"Besedka is already running in this folder{holder}: stop it first."
                ) from None
            with cluster.explained(lock):
                os.ftruncate(file.fileno(), 0)
                os.write(file.fileno(), f"{os.getpid()}\n".encode())
            yield

    def record(self, pids: Mapping[str, int]) -> None:
        """Write down the run's processes, so that the next run can recognise them."""
        identities = {name: [pid, find_identity(pid)] for name, pid in pids.items()}
        self._write(self._processes, json.dumps(identities))

    def publish(self, variables: Mapping[str, str]) -> None:
        """Write the variables of the run for `manage.py`; only the owner can read them."""
        lines = (f"{name}={value}\n" for name, value in variables.items() if "\n" not in value)
        self._write(self.run_env, "".join(lines))

    def forget(self) -> None:
        """Remove the files that are valid only during a run."""
        for file in (self.run_env, self._processes):
            with contextlib.suppress(OSError):
                file.unlink()

    def end_leftovers(self) -> None:
        """End the processes of a run that was killed, and no others; the lock must be held."""
        if not end(self._leftovers, ENDING, 3.0):
            raise RunError(f"Processes of an earlier run do not end: {self._leftovers()}.")
        self.forget()

    def delete(self) -> None:
        """Delete the data of this folder; the lock must be held."""
        self.end_leftovers()
        data = self.path / "postgres"
        with cluster.lock_folder(self.path), cluster.explained(self.path):
            if not end(lambda: find_postgres(data), (signal.SIGQUIT, signal.SIGKILL), 3.0):
                raise RunError(f"A PostgreSQL of an earlier run in {data} does not end.")
            cluster.remove_socket_folder(self.path)
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != "lock":  # a run that starts now must still find it locked
                    entry.unlink()

    def _leftovers(self) -> list[int]:
        try:
            recorded = json.loads(self._processes.read_text(encoding="utf-8")).values()
            return [pid for pid, known in recorded if known and find_identity(pid) == known]
        except (OSError, ValueError):  # there is none, or the kill interrupted its writing
            return []

    def _write(self, file: Path, text: str) -> None:
        part = file.with_suffix(".new")
        mode = stat.S_IRUSR | stat.S_IWUSR
        with cluster.explained(self.path):
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as new:
                new.write(text)
            part.replace(file)
