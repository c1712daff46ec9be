"""`python -m embedded` runs everything; `python -m embedded reset` deletes the data."""

import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psycopg

from embedded.centrifugo import centrifugo_command, centrifugo_environment, find_centrifugo
from embedded.children import Command, Part
from embedded.folder import RunError, RunFolder
from embedded.gateway.origins import parse_origins
from embedded.postgres import PostgresError
from embedded.supervisor import Plan, Supervisor, dial
from embedded.terminal import BLUE, YELLOW, Terminal
from embedded.welcome import (
    DEVELOPMENT_CENTRIFUGO_SECRET,
    Addresses,
    warn_of_published_secrets,
    welcome,
)

ROOT = Path(__file__).resolve().parent.parent
DEMO_USER = "u123"
PUBLISHED = (
    *("DATABASE_URL", "DEBUG", "HOST", "PORT", "REALTIME_PORT"),
    *("JWT_SECRET", "SECRET_KEY", "CENTRIFUGO_TOKEN_SECRET"),
)


def main(arguments: list[str]) -> int:
    """Run the command of the command line and return the exit code."""
    terminal = Terminal()
    try:
        if arguments == ["reset"]:
            return reset(terminal)
        if not arguments:
            return Supervisor(plan(terminal), terminal).run()
    except (RunError, PostgresError) as error:
        terminal.complain(error)
        return 1
    terminal.say("Usage: python -m embedded [reset]")
    return 2


def plan(terminal: Terminal) -> Plan:
    """Return the plan of a run in this checkout, from the environment."""
    host = os.environ.get("HOST") or "127.0.0.1"
    port, realtime_port = read_port("PORT", 9000), read_port("REALTIME_PORT", 8000)
    if port == realtime_port:
        raise RunError(f"PORT and REALTIME_PORT are both {port}: each needs its own.")
    shared = {"DEBUG": "1", "HOST": host, "PORT": str(port), "REALTIME_PORT": str(realtime_port)}
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **shared}
    # The realtime process has no default of its own, so the API's is passed on.
    environment.setdefault("CENTRIFUGO_TOKEN_SECRET", DEVELOPMENT_CENTRIFUGO_SECRET)
    centrifugo = find_realtime()
    realtime = realtime_part(host, realtime_port, centrifugo)
    name = str(centrifugo or "the embedded gateway")
    addresses = Addresses(dial(host), port, realtime_port, name)
    return Plan(
        root=ROOT,
        environment=environment,
        database_url=os.environ.get("DATABASE_URL") or None,
        commands=(prepare_command(),),
        parts=(api_part(host, port), realtime),
        published=PUBLISHED,
        welcome=functools.partial(
            greet, addresses, terminal, warn_of_published_secrets(host, os.environ, terminal)
        ),
    )


def greet(
    addresses: Addresses, terminal: Terminal, warning: list[str], outputs: Mapping[str, str]
) -> str:
    """Return the first page; the token is the last line of the commands' output."""
    token = outputs["manage.py"].strip().splitlines()[-1]
    return "\n".join([welcome(addresses, DEMO_USER, token, terminal), *warning])


def api_part(host: str, port: int) -> Part:
    """Describe the API process."""
    return Part(
        name="api",
        command=(
            *(sys.executable, "-m", "uvicorn", "app.asgi:application"),
            *("--host", host, "--port", str(port), "--no-access-log", "--log-level", "warning"),
            *("--http", "app.draining:DrainingProtocol", "--timeout-graceful-shutdown", "2"),
        ),
        host=host,
        port=port,
        port_variable="PORT",
        health="/health/ready",
        style=BLUE,
    )


def find_realtime() -> Path | None:
    """Return the Centrifugo to run, or None for the gateway; both read `ALLOWED_ORIGINS`."""
    try:
        parse_origins(os.environ.get("ALLOWED_ORIGINS", ""))
        return find_centrifugo()
    except (FileNotFoundError, ValueError) as error:
        raise RunError(str(error).rstrip(".") + ".") from error


def realtime_part(host: str, port: int, centrifugo: Path | None) -> Part:
    """Describe the realtime process: Centrifugo if there is one, else the gateway."""

    def configure(shared: Mapping[str, str]) -> Mapping[str, str]:
        return centrifugo_environment(
            database_url=shared["DATABASE_URL"],
            token_secret=shared["CENTRIFUGO_TOKEN_SECRET"],
            token_secret_before=shared.get("CENTRIFUGO_TOKEN_SECRET_BEFORE", ""),
            partitions=read_partitions(shared["DATABASE_URL"]),
            host=host,
            port=port,
        )

    part = Part(
        name="realtime",
        command=(sys.executable, "-m", "embedded.gateway"),
        host=host,
        port=port,
        port_variable="REALTIME_PORT",
        starts_prepared=True,  # it reads the outbox, and Centrifugo's settings come from there
        style=YELLOW,
    )
    if centrifugo is None:
        return part
    return replace(part, command=centrifugo_command(centrifugo), environment=configure)


def read_partitions(database_url: str) -> int:
    """Read how many partitions the outbox of this installation has."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT outbox_partitions FROM chat_installation").fetchone()
    if row is None:
        raise RunError(
            "The database has no row in chat_installation: run `make reset` to start empty."
        )
    return int(row[0])


def prepare_command() -> Command:
    """Describe the commands that prepare the database and then print a token."""
    lines = (
        *("migrate", "--no-input", "--verbosity=0", ","),
        *("demo_data", ","),
        *("token", "--sub", DEMO_USER, "--ttl", "1d"),
    )
    return Command("manage.py", (sys.executable, "-m", "embedded.commands", *lines))


def read_port(name: str, default: int) -> int:
    """Read a port from the environment."""
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise RunError(f"{name}={text} is not a port: give a number from 1 to 65535.")
    return int(text)


def reset(terminal: Terminal) -> int:
    """Delete the data after the answer `yes`, but not while it is in use."""
    folder = RunFolder(ROOT / ".data")
    if not folder.path.is_dir():
        terminal.say("There is no data to delete.")
        return 0
    with folder.locked():
        question = "This deletes every room and message in .data/. Type yes to go on: "
        print(question, end="", flush=True)
        answer = sys.stdin.readline()
        if answer.strip() != "yes":
            raise RunError("Nothing is deleted: the answer was not yes.")
        folder.delete()
    terminal.say("The data is deleted.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
