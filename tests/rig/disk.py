"""A small disk that can be filled to the last byte.

    with SmallDisk(folder, 256 << 20) as disk, PostgresServer.start(folder) as server:
        disk.fill()
        disk.free()

It is a tmpfs, so its content is gone at the end. Needs root.
"""

import contextlib
import errno
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from embedded.processes import find_identity

MOUNTS = Path("/proc/self/mounts")
SOURCE = re.compile(r"besedka-disk-(?P<pid>\d+)")


class DiskUnavailableError(Exception):
    """This machine does not allow mounting a disk; the message says why."""


class SmallDisk:
    """A disk of `size` bytes at a folder, which is made if missing; `with` unmounts it."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder.resolve(), size
        self._ballast = self.folder / "ballast"

    def fill(self) -> None:
        """Fill the disk; space that others free later stays free until the next call."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):  # the last time, as much of it as there is room
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Free what `fill` took."""
        self._ballast.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Mount it, after unmounting the disks of killed runs.

        Raises DiskUnavailableError when the system refuses.
        """
        _unmount_stale()
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"size={self.size},mode=0700,nosuid,nodev"
        source = f"besedka-disk-{os.getpid()}"
        _run("mount", "-t", "tmpfs", "-o", options, source, str(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it at once, even while a process uses it."""
        _run("umount", "--lazy", str(self.folder))


@functools.cache
def find_reason_unavailable() -> str | None:
    """Say why this machine mounts no disk; None when it does: one is mounted and unmounted."""
    if missing := [name for name in ("mount", "umount") if shutil.which(name) is None]:
        return f"no {' and no '.join(missing)} on PATH"
    if os.geteuid() != 0:
        return "only root mounts a disk"
    with tempfile.TemporaryDirectory(prefix="besedka-disk-") as folder:
        try:
            with SmallDisk(Path(folder), 1 << 20):
                return None
        except DiskUnavailableError as error:
            return str(error)


def _unmount_stale() -> None:
    """Unmount the disks of the dead; a path is escaped in the list, as in the shell."""
    for line in MOUNTS.read_text(encoding="utf-8").splitlines():
        source, folder, *_ = line.split(" ")
        found = SOURCE.fullmatch(source)
        if found and find_identity(int(found["pid"])) is None:
            with contextlib.suppress(DiskUnavailableError):  # another run was quicker
                _run("umount", "--lazy", re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DiskUnavailableError(done.stderr.strip())
