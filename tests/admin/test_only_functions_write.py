"""Nothing but the SQL functions changes a chat table: the source is read for what could."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import PROJECT

WRITES = {
    *("save", "asave", "update", "aupdate", "delete", "adelete", "create", "acreate"),
    *("bulk_create", "abulk_create", "bulk_update", "abulk_update", "get_or_create"),
    *("aget_or_create", "update_or_create", "aupdate_or_create", "_raw_delete", "delete_existing"),
}
# Calls of the same names that write no row: where, and why.
HARMLESS = {
    ("chat/sql/install.py", "digest.update(path.read_bytes())"),
    ("chat/admin/roommembers.py", "formset.save(commit=False)"),
    ("chat/admin/rooms.py", "formset.save(commit=False)"),
}
STATEMENT = ("insert into chat_", "update chat_", "delete from chat_", "truncate chat_")


def find_writes(path: Path) -> Iterator[tuple[str, str]]:
    """Name what could write past the functions in a module: calls of the ORM, and SQL."""
    place = str(path.relative_to(PROJECT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_method and node.func.attr in WRITES:  # type: ignore[attr-defined] # narrowed above
            yield place, ast.unparse(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = " ".join(node.value.lower().split())
            if any(word in text for word in STATEMENT):
                yield place, text


def test_the_source_writes_no_chat_table() -> None:
    """No module of the service or the domain saves, updates or deletes a row of its own."""
    modules = [
        path
        for folder in ("app", "chat")
        for path in sorted((PROJECT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    ]

    found = {write for path in modules for write in find_writes(path)}

    assert len(modules) > 30
    assert found - HARMLESS == set()
