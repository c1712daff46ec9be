"""Reading whether this service can serve."""

import msgspec

from chat.sql import Call, read_single_row


class ReadinessRow(msgspec.Struct, frozen=True):
    """What the database says about itself."""

    migrations: list[str]
    functions: str | None
    """The comment of the functions' schema; see chat/sql/install.py."""
    outbox_age: float | None
    """Seconds."""
    is_writable: bool


class _CopyRow(msgspec.Struct, frozen=True):
    is_copy: bool


def read_readiness() -> Call[ReadinessRow]:
    """Return the migrations and functions, the outbox's age, and whether the database can write."""
    return Call("read_readiness", ReadinessRow, {}, read_single_row)


def is_copy() -> Call[bool]:
    """Return whether the database is a restored copy that `manage.py after_restore` did not see."""
    return Call("is_copy", _CopyRow, {}, _read_is_copy)


def _read_is_copy(rows: list[_CopyRow]) -> bool:
    return any(row.is_copy for row in rows)
