#!/usr/bin/env python3
"""Django's command line for this project: `manage.py help` lists the commands."""

import os
import sys
from pathlib import Path

RUN_ENVIRONMENT = Path(__file__).resolve().parent / ".data" / "run.env"


def adopt_run_environment() -> None:
    """Point this command at the service that `make up` is running, unless told otherwise.

    `make up` writes the variables of its run (database address, ports) to `.data/run.env` and
    removes the file when it stops. A `DATABASE_URL` in the environment wins over the file.
    """
    if "DATABASE_URL" in os.environ or not RUN_ENVIRONMENT.is_file():
        return
    for line in RUN_ENVIRONMENT.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        os.environ.setdefault(name, value)


def main() -> None:
    """Run one management command."""
    adopt_run_environment()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    from django.conf import settings  # noqa: PLC0415 - after the environment is set
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - the same

    try:
        settings.DEBUG  # noqa: B018 - the first look reads them all
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
