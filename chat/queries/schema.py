"""Comparing the functions, constraints and indexes of a database with this code's."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from django.apps import apps
from django.db.models.options import Options

from chat import migrations
from chat.queries.findings import Found, Place
from chat.sql import FOLDER, Call
from chat.sql.install import SCHEMA, functions_fingerprint

_FUNCTION = re.compile(
    rf"^CREATE OR REPLACE FUNCTION {SCHEMA}\.(\w+).*?AS \$\$(.*?)\$\$;", re.MULTILINE | re.DOTALL
)
# Made by a migration, for Django cannot name its expression.
_INDEXES_OF_MIGRATIONS = {("chat_room", "chat_room_name_search")}


class FunctionRow(msgspec.Struct, frozen=True):
    """An installed function with the SHA-256 of its text."""

    name: str
    digest: str


class SchemaRow(msgspec.Struct, frozen=True):
    """A constraint (`kind` as in pg_constraint) or an index, and whether it is in force."""

    table_name: str
    kind: str
    name: str
    columns: list[str]
    is_in_force: bool


def read_functions() -> Call[FunctionRow]:
    """Return the installed functions."""
    return Call("read_functions", FunctionRow, {})


def read_schema() -> Call[SchemaRow]:
    """Return the constraints and indexes of the domain's tables."""
    return Call("read_schema", SchemaRow, {"tables": [meta.db_table for meta in _list_metas()]})


def find_missing_migrations(applied: Iterable[str]) -> Iterator[Found]:
    """Name the migrations of this code that were not applied."""
    known = {path.stem for path in Path(migrations.__path__[0]).glob("[0-9]*.py")}
    yield from _found("migration_missing", [{"migration": n} for n in known - set(applied)])


def find_wrong_functions(rows: Iterable[FunctionRow], fingerprint: str | None) -> Iterator[Found]:
    """Name the functions that are missing, and those of another text than this code's.

    `fingerprint`: the schema's comment, which tells another release from a text changed by hand.
    """
    installed: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        installed[row.name].append(row.digest)
    wanted = _read_digests()
    missing = [{"function": name} for name in wanted.keys() - installed.keys()]
    yield from _found("function_missing", missing)
    if missing:
        return
    other = [{"function": name} for name in wanted if installed[name] != [wanted[name]]]
    is_ours = fingerprint == functions_fingerprint()
    yield from _found("function_altered" if is_ours else "functions_of_other_release", other)


def find_wrong_schema(rows: Iterable[SchemaRow]) -> Iterator[Found]:
    """Name the constraints and indexes that are missing, and those that are not in force."""
    rows = list(rows)
    present = {_name_constraint(row) for row in rows if row.kind != "index"}
    yield from _found(
        "constraint_missing",
        [{"table": t, "constraint": n} for t, n in set(_list_constraints()) - present],
    )
    yield from _found(
        "constraint_not_in_force",
        [
            {"table": row.table_name, "constraint": row.name}
            for row in rows
            if row.kind != "index" and not row.is_in_force
        ],
    )
    indexes = {(row.table_name, row.name): row.is_in_force for row in rows if row.kind == "index"}
    yield from _found(
        "index_missing",
        [{"table": t, "index": n} for t, n in set(_list_indexes()) - indexes.keys()],
    )
    yield from _found(
        "index_invalid",
        [{"table": t, "index": n} for (t, n), is_valid in indexes.items() if not is_valid],
    )


def _found(code: str, places: list[dict[str, str]]) -> Iterator[Found]:
    if places:
        named: list[Place] = sorted(places, key=lambda place: tuple(place.values()))
        yield Found(code, len(places), named)


@cache
def _read_digests() -> dict[str, str]:
    texts = [path.read_text(encoding="utf-8") for path in (FOLDER / "functions").glob("*.sql")]
    return {
        name: hashlib.sha256(body.encode()).hexdigest()
        for text in texts
        for name, body in _FUNCTION.findall(text)
    }


def _list_metas() -> "list[Options[Any]]":
    models = apps.get_app_config("chat").get_models()
    return [model._meta for model in models]  # noqa: SLF001 - documented, for all its underscore


def _name_constraint(row: SchemaRow) -> tuple[str, str]:
    """Return the table and a name: Django makes up the names of primary and foreign keys."""
    if row.kind in {"p", "f"}:
        return row.table_name, f"{row.kind}({', '.join(row.columns)})"
    return row.table_name, row.name


def _list_constraints() -> Iterator[tuple[str, str]]:
    for meta in _list_metas():
        for constraint in meta.constraints:
            yield meta.db_table, constraint.name
        for field in meta.local_concrete_fields:
            if field.primary_key:
                yield meta.db_table, f"p({field.column})"
            if field.remote_field is not None:
                yield meta.db_table, f"f({field.column})"


def _list_indexes() -> Iterator[tuple[str, str]]:
    for meta in _list_metas():
        for index in meta.indexes:
            yield meta.db_table, index.name
    yield from _INDEXES_OF_MIGRATIONS
