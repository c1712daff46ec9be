"""The migrations of the chat's tables."""

from functools import cache
from pathlib import Path


@cache
def known_migrations() -> frozenset[str]:
    """Return the names of the migrations that this code has, such as `0001_initial`."""
    return frozenset(path.stem for path in Path(__file__).parent.glob("[0-9]*.py"))
