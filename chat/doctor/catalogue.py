"""Everything that can be wrong with a database, as `findings/*.sql` lists it.

Each statement there is one check. Its name is the code of what it finds, its comment the severity
and the meaning, and each row it returns is a place where something is wrong. The checks of a file
share a snapshot; in a file named after a table they look at one `{chunk}` of its rows.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from chat.conf import BIGINT_MAX, USER_ID_MAX_LENGTH

FOLDER = Path(__file__).parent / "findings"
_CHECK = re.compile(
    r"^-- name: (\w+)\n-- (error|warning): (.*\n(?:-- .*\n)*)((?s:.)*?);\n", re.MULTILINE
)
_ADVICE = {
    "{restore}": "Find out who wrote without the functions, or restore a backup.",
    "{reset}": "Find out who wrote without the functions; `manage.py after_restore` empties the "
    "log and makes every client read its rooms again.",
}

Place = dict[str, Any]
Key = tuple[Any, ...]


class Check(msgspec.Struct, frozen=True):
    """A statement, the code of what it finds, how bad that is, what it means and what to do."""

    code: str
    severity: str
    meaning: str
    sql: str = ""


class Table(msgspec.Struct, frozen=True):
    """A table that is walked in the order of a unique key."""

    name: str
    key: tuple[str, ...]
    greatest: Any = BIGINT_MAX
    """No value of the key's last column is greater."""

    def select(self, columns: str) -> str:
        """Return the statement for the rows after one key, up to and including another.

        Because it is ordered, PostgreSQL reads the key's index, whatever else it has to do.
        """
        key, after, last = (
            ", ".join(form % column for column in self.key)
            for form in ("%s", "%%(after_%s)s", "%%(last_%s)s")
        )
        where = f"({key}) > ({after}) AND ({key}) <= ({last})"
        return f"SELECT {columns} FROM {self.name} WHERE {where} ORDER BY {key}"  # noqa: S608 - names of ours

    def bounds(self, after: Key, last: Key) -> dict[str, Any]:
        """Return the statement's parameters."""
        lower = {f"after_{column}": value for column, value in zip(self.key, after, strict=True)}
        upper = {f"last_{column}": value for column, value in zip(self.key, last, strict=True)}
        return lower | upper


TABLES: Mapping[str, Table] = {
    "outbox": Table("chat_outbox", ("id",)),
    "listeners": Table("chat_listener", ("user_id",), "\U0010ffff" * USER_ID_MAX_LENGTH),
    "rooms": Table("chat_room", ("id",)),
    "members": Table("chat_member", ("room_id", "user_id"), "\U0010ffff" * USER_ID_MAX_LENGTH),
    "messages": Table("chat_message", ("room_id", "seq")),
    "events": Table("chat_event", ("room_id", "version")),
}


def _read_checks(path: Path) -> list[Check]:
    text = path.read_text(encoding="utf-8")
    for name, advice in _ADVICE.items():
        text = text.replace(name, advice)
    if path.stem in TABLES:
        text = text.replace("{chunk}", f"({TABLES[path.stem].select('*')})")
    return [
        Check(code, severity, " ".join(meaning.replace("\n-- ", " ").split()), sql)
        for code, severity, meaning, sql in _CHECK.findall(text)
    ]


CHECKS = {path.stem: _read_checks(path) for path in FOLDER.glob("*.sql")}
"""The checks of each file."""
TABLE_ALTERED = Check(
    "table_altered",
    "error",
    "A table, a column or a sequence of this code does not exist, so nothing else was checked. "
    "Restore a backup.",
)
CODES = {check.code: check for checks in [*CHECKS.values(), [TABLE_ALTERED]] for check in checks}
"""Every code there is. Monitoring depends on them: a code is never renamed."""
