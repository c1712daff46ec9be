"""`python -m tests.history FILE`: check a history that was kept, without running anything."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.history.checker import Bounds, check
from tests.history.recorder import HistoryError, read_history


def main() -> int:
    """Print the verdict; return 1 if a check failed, 2 if the history cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m tests.history", description=__doc__)
    parser.add_argument("file", type=Path)
    for bound in fields(Bounds):
        name = f"--{bound.name.replace('_', '-')}"
        how: dict[str, Any] = {"type": float if bound.type is float else int}
        if bound.type is bool:
            how = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(name, default=bound.default, help="default: %(default)s", **how)
    options = vars(parser.parse_args())
    try:
        records = read_history(options.pop("file"))
        verdict = check(records, Bounds(**options))
    except (OSError, HistoryError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{verdict.describe()}\n")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
