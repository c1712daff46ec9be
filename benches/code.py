"""The code under test: this checkout, or another commit of it, taken from git."""

import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements-embedded.lock", "requirements.lock")


@dataclass(frozen=True, slots=True)
class Code:
    """A folder with the project's code, and what reports call it."""

    name: str
    folder: Path

    def api_command(self, port: int) -> list[str]:
        """Return the command of its Dockerfile that serves the API, on a port of this machine."""
        text = (self.folder / "Dockerfile").read_text(encoding="utf-8")
        found = re.findall(r"^CMD (\[(?:[^\]]|\n)*\])", text, re.MULTILINE)
        server, *options = json.loads(found[-1].replace("\\\n", ""))
        for option, value in {"--host": "127.0.0.1", "--port": str(port)}.items():
            options[options.index(option) + 1] = value
        return [sys.executable, "-m", server, *options]

    def manage(self, *arguments: str, environment: dict[str, str]) -> str:
        """Run `manage.py` of this code to its end; return what it printed, raise if it failed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            command = shlex.join(["manage.py", *arguments])
            raise RuntimeError(f"{command} of {self.name}: {done.stderr or done.stdout}")
        return done.stdout


def read_present() -> Code:
    """Return this checkout; its name is the commit, with `+` where code differs from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD").decode().strip()
        changes = _git("status", "--porcelain", "--", ".", ":!docs")
    except (OSError, subprocess.CalledProcessError):
        return Code("without git", PROJECT)
    return Code(f"{commit}+" if changes else commit, PROJECT)


def write_revision(revision: str, folder: Path) -> Code:
    """Write the code of a commit into an empty folder.

    It runs in the present environment. Errors: `ValueError` for an unknown commit.
    """
    try:
        commit = _git("rev-parse", "--short", f"{revision}^{{commit}}").decode().strip()
        archive = _git("archive", commit)
    except subprocess.CalledProcessError as error:
        raise ValueError(f"{revision}: {error.stderr.decode().strip()}") from error
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return Code(commit, folder)


def has_equal_packages(code: Code) -> bool:
    """Return whether the code asks for the same packages as this checkout."""
    return all((code.folder / name).read_bytes() == (PROJECT / name).read_bytes() for name in LOCKS)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, check=True).stdout
