"""Files of the tests have names that say which one is meant"""

from collections import defaultdict

from tests.support.processes import PROJECT

SHARED = {"__init__.py", "__main__.py", "conftest.py"}
"""Names that Python and pytest require."""


def test_no_two_files_have_one_name() -> None:
    """A name that appears in a traceback or in a search belongs to one file."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in (PROJECT / "tests").rglob("*.py"):
        if path.name not in SHARED and "node_modules" not in path.parts:
            folders[path.name].append(str(path.parent.relative_to(PROJECT)))

    assert {name: found for name, found in folders.items() if len(found) > 1} == {}
