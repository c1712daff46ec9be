"""Fails where a module or a function outgrew what a reader can hold; `make check` runs it.

A module has at most 400 lines, a Python function at most 40 (its docstring counts: it is read
too). Migrations are exempt; SQL functions are one statement of intent each and are exempt.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
MODULE_LINES = 400
FUNCTION_LINES = 40


def find_modules() -> list[Path]:
    """Return the Python files that are the project's own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.py"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (PROJECT / line for line in listed.stdout.splitlines())
    return [path for path in paths if "migrations" not in path.parts and path.exists()]


def find_oversized(path: Path) -> Iterator[str]:
    """Name the module and its functions where they are too long."""
    text = path.read_text(encoding="utf-8")
    place = path.relative_to(PROJECT)
    if (lines := len(text.splitlines())) > MODULE_LINES:
        yield f"{place}: {lines} lines; a module has at most {MODULE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield (
                    f"{place}:{node.lineno}: {node.name} has {lines} lines; "
                    f"a function has at most {FUNCTION_LINES}"
                )


if __name__ == "__main__":
    found = [line for path in find_modules() for line in find_oversized(path)]
    sys.exit("\n".join(found) or 0)
