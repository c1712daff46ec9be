"""The SQL of the domain: functions (the only writers) and named statements (how Python calls)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

FOLDER = Path(__file__).parent
_STATEMENT = re.compile(
    r"^-- name: (?P<name>\w+)\n(?P<text>.*?);\s*(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL
)

Row = TypeVar("Row")


@cache
def load_statements() -> Mapping[str, str]:
    """Return every named statement of `chat/sql/statements`, its name line left out."""
    statements: dict[str, str] = {}
    for path in sorted((FOLDER / "statements").glob("*.sql")):
        for match in _STATEMENT.finditer(path.read_text(encoding="utf-8")):
            if match["name"] in statements:
                raise LookupError(f"The statement {match['name']} is in two files.")
            statements[match["name"]] = match["text"]
    return statements


@dataclass(frozen=True, slots=True)
class Call(Generic[Row]):
    """One call of a named statement: what is asked, with which values, and what a row is.

    Whoever holds a connection runs it: the API through `chat.sql.database.Database`, the admin
    and commands through `chat.sql.database.run_call`.
    """

    name: str
    row: type[Row]
    parameters: Mapping[str, object]
    is_repeatable: bool = True
    """Whether running it twice does what running it once does, so that it may be repeated when
    the connection was lost and nobody knows whether it was carried out."""

    is_prepared: bool = True
    """Whether the server may plan it once for all values; off where the plan hangs on them."""

    @property
    def statement(self) -> str:
        """The SQL text."""
        return load_statements()[self.name]
