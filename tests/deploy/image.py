"""Following the Dockerfile without a container engine: its steps in a folder, its commands."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import PROJECT

Instruction = tuple[str, str]
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
# As root, a user namespace makes a process that is not root and may not write read-only files.
NOT_ROOT = (
    ["unshare", "--user", "--map-user=10001", "--map-group=10001"] if os.geteuid() == 0 else []
)
_CONTAINER_PATH = re.compile(r"(?<![\w./-])/(venv|app|srv)\b")


def read_stages() -> dict[str, list[Instruction]]:
    """Return the instructions of each stage of the Dockerfile."""
    lines = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in filter(str.strip, lines.splitlines()):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            current = stages.setdefault(rest.split()[-1], [])
        current.append((word, " ".join(rest.split())))
    return stages


def read_instruction(stage: str, word: str) -> str:
    """Return the last instruction of a stage with this word."""
    return [rest for found, rest in read_stages()[stage] if found == word][-1]


def read_health_command(text: str) -> list[str]:
    """Return the command in a HEALTHCHECK."""
    command: list[str] = json.loads(text.split("CMD", 1)[1])
    return command


def build_stage(name: str, roots: Path) -> Path:
    """Carry out a stage's steps below a folder of its own and return it."""
    root = roots / name
    folder = root
    for word, rest in read_stages()[name]:
        if word == "WORKDIR":
            folder = root / rest.lstrip("/")
            folder.mkdir(parents=True)
        elif word == "COPY":
            _copy(rest, roots, root, folder)
        elif word == "RUN" and name == "build":
            _run(rest, root, folder)
        elif word == "FROM":
            root.mkdir()
    return root


def _run(command: str, root: Path, folder: Path) -> None:
    command = command.replace("python -m venv", f"{sys.executable} -m venv", 1)
    done = subprocess.run(
        ["bash", "-euc", _CONTAINER_PATH.sub(rf"{root}/\1", command)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _copy(arguments: str, roots: Path, root: Path, folder: Path) -> None:
    option, _, files = arguments.rpartition("--from=")
    assert not option
    origin = PROJECT
    if "--from=" in arguments:
        stage, files = files.split(maxsplit=1)
        origin = roots / stage
    source, target = files.split()
    destination = root / target.lstrip("/") if target.startswith("/") else folder / target
    if source == "/venv":
        # Its scripts name the folder it was made in; in the image it is the same one.
        destination.symlink_to(origin / "venv")
    elif (origin / source.lstrip("/")).is_dir():
        ignored = shutil.ignore_patterns("__pycache__") if origin == PROJECT else None
        shutil.copytree(origin / source.lstrip("/"), destination, ignore=ignored)
    else:
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(origin / source.lstrip("/"), destination)


@contextmanager
def serve_command(
    environment: dict[str, str],
    *,
    folder: Path = PROJECT,
    program: tuple[str, ...] = (sys.executable, "-m", "uvicorn"),
) -> Iterator[int]:
    """Run the image's command on a socket of the test's and give its port.

    A client that connects early waits in the socket's backlog.
    """
    command: list[str] = json.loads(read_instruction("service", "CMD"))
    assert command[0] == "uvicorn"
    at = command.index("--host")
    assert command[at : at + 4] == ["--host", "0.0.0.0", "--port", "8000"]
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        process = subprocess.Popen(
            [
                *program,
                *command[1:at],
                *command[at + 4 :],
                *("--fd", str(listener.fileno()), "--log-level", "warning"),
            ],
            cwd=folder,
            env={"PATH": os.environ["PATH"]} | environment,
            pass_fds=[listener.fileno()],
        )
        port: int = listener.getsockname()[1]
    try:
        yield port
    finally:
        process.terminate()
        status = process.wait(timeout=25)
    # uvicorn stops in order and then ends by the signal it was sent.
    assert status in {0, -15}, status
