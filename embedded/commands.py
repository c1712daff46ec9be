"""Runs several management commands in one process: `… commands migrate , token --sub u`.

To start Django for each of them would take longer than the rest of a start.
"""

import os
import sys
from collections.abc import Iterator

from django.core.management import execute_from_command_line


def split(arguments: list[str]) -> Iterator[list[str]]:
    """Yield the command lines between the commas."""
    line: list[str] = []
    for argument in [*arguments, ","]:
        if argument != ",":
            line.append(argument)
        elif line:
            yield line
            line = []


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    for command in split(sys.argv[1:]):
        execute_from_command_line(["manage.py", *command])  # exits with 1 if one fails
