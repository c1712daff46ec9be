#!/usr/bin/env python3
"""Django's command line for this project: `manage.py help` lists the commands."""

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
RUN_ENVIRONMENT = ROOT / ".data" / "run.env"
START_OR_SET = "start `make up`, or set DATABASE_URL"
# These need no database and no secrets. Other commands that need no database work with `DEBUG=1`.
NEEDS_NOTHING = {"check", "collectstatic", "diffsettings", "findstatic", "help", "shell", "version"}
HELP_OPTIONS = {"-h", "--help", "--version"}


def adopt_run_environment() -> None:
    """Set the variables of the service that `make up` runs, so that the command works on it.

    `make up` writes them (database address, ports, secrets) to `.data/run.env` and removes the
    file when it stops. A `DATABASE_URL` in the environment has priority over the file.
    """
    if "DATABASE_URL" in os.environ or not RUN_ENVIRONMENT.is_file():
        return
    for line in RUN_ENVIRONMENT.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        os.environ.setdefault(name, value)


def is_unconfigured(arguments: list[str]) -> bool:
    """Return whether the command needs a configuration and the environment has none at all."""
    if not arguments or arguments[0] in NEEDS_NOTHING or HELP_OPTIONS & set(arguments):
        return False
    return not any(os.environ.get(name) for name in ("DATABASE_URL", "DEBUG", "SECRET_KEY"))


def is_about_connection(error: Exception) -> bool:
    """Return whether the database cannot be reached, or refuses the connection."""
    cause = error.__cause__ or error  # Django wraps the driver's error
    state = getattr(cause, "sqlstate", None)
    # 08: connection exceptions. 28: authorization. 3D: no such database. 57: shutting down.
    return state is None or state[:2] in {"08", "28", "3D"} or state.startswith("57P")


def stop(sentence: str) -> NoReturn:
    """Print what is wrong in one line, and exit with 2."""
    sys.stderr.write(f"{sentence}\n")
    sys.exit(2)


def run_command(arguments: list[str]) -> None:
    """Run one management command; if the database cannot be used, say so in one line."""
    import psycopg  # noqa: PLC0415 - after the environment is set
    from django.conf import settings  # noqa: PLC0415 - the same
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - the same
    from django.db import NotSupportedError, OperationalError  # noqa: PLC0415 - the same

    try:
        settings.DEBUG  # noqa: B018 - the first access reads all settings
    except ValueError as error:
        stop(str(error))
    if (ROOT / "embedded").is_dir():
        # The commands for development, such as `watch`. The image for production has none.
        settings.INSTALLED_APPS.append("embedded")
    try:
        execute_from_command_line([sys.argv[0], *arguments])
    except NotSupportedError as error:  # an older PostgreSQL
        if "--traceback" in arguments:
            raise
        stop(f"The database cannot be used: {error}")
    except (OperationalError, psycopg.OperationalError) as error:
        if "--traceback" in arguments:
            raise
        what = " ".join(str(error).split())
        if not is_about_connection(error):
            stop(f"The database says: {what}")
        hint = "" if os.environ.get("DATABASE_URL") else f" ({START_OR_SET})"
        stop(f"The database cannot be used{hint}: {what}")


def main(arguments: list[str]) -> None:
    """Run one management command; the exit code is 2 without a configuration or a database."""
    adopt_run_environment()
    if is_unconfigured(arguments):
        stop(f"No database is configured: {START_OR_SET}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    try:
        run_command(arguments)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports Ctrl-C


if __name__ == "__main__":
    main(sys.argv[1:])
