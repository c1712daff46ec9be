"""What this code expects of a database: its migrations, functions, constraints and indexes."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models.options import Options

from chat.migrations import known_migrations
from chat.sql.install import function_digests, functions_fingerprint


def list_expected() -> dict[str, Any]:
    """Return the parameters of `findings/schema.sql` and `findings/release.sql`."""
    functions = sorted(function_digests().items())
    metas = [model._meta for model in apps.get_app_config("chat").get_models()]  # noqa: SLF001 - documented all the same
    constraints = [(meta.db_table, name) for meta in metas for name in _list_constraints(meta)]
    indexes = [(meta.db_table, index.name) for meta in metas for index in meta.indexes]
    # Created by a migration, because Django cannot name its expression.
    indexes.append(("chat_room", "chat_room_search_text"))
    return {
        "migrations": sorted(known_migrations()),
        "fingerprint": functions_fingerprint(),
        "functions": [name for name, _ in functions],
        "digests": [digest for _, digest in functions],
        "constraint_tables": [table for table, _ in constraints],
        "constraints": [name for _, name in constraints],
        "index_tables": [table for table, _ in indexes],
        "indexes": [name for _, name in indexes],
    }


def _list_constraints(meta: "Options[Any]") -> Iterator[str]:
    """Name a table's constraints; keys as `p(column)`, `f(column)`: Django makes up their names."""
    for constraint in meta.constraints:
        yield constraint.name
    for field in meta.local_concrete_fields:
        if field.primary_key:
            yield f"p({field.column})"
        if getattr(field, "db_constraint", False):
            yield f"f({field.column})"
