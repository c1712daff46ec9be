"""The SQL of the domain: functions (the only writers) and named statements (how Python calls)."""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

FOLDER = Path(__file__).parent
_STATEMENT = re.compile(
    r"^-- name: (?P<name>\w+)\n(?P<text>.*?);\s*(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL
)

Result = TypeVar("Result")


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
class Call(Generic[Result]):
    """One call of a named statement: the values it is given, and how its rows are read.

    Anyone who holds a connection runs it and gets the result: the API through
    `chat.sql.database.Database.run`, the admin and commands through `run_call`.
    """

    name: str
    row: type[Any]
    """What one row is: a struct whose fields are the statement's columns."""
    parameters: Mapping[str, object]
    read: Callable[[list[Any]], Result]
    """Turns all rows into the result, or raises the `ChatError` that they report."""
    is_repeatable: bool = True
    """Whether running it twice has the effect of running it once. Such a call is run again where
    the connection was lost and it is unknown whether the first run was committed."""
    publishes: bool = False
    """Whether it can queue events. After the commit realtime is notified that there are some."""
    is_notified: Callable[[list[Any]], bool] = lambda _: False
    """Whether the rows say that realtime was notified by the commit itself."""
    lock: Hashable = None
    """What it waits for if another call has locked it, such as a room's id; see `Bulkhead`."""

    @property
    def statement(self) -> str:
        """The SQL text."""
        return load_statements()[self.name]


def read_single_row(rows: list[Result]) -> Result:
    """Return the row of a statement that always has exactly one."""
    (row,) = rows
    return row
