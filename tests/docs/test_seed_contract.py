"""docs/seed-contract.md names tests that exist."""

import re

from tests.support.processes import PROJECT


def test_every_line_names_a_test_that_exists() -> None:
    """Each promise of the contract names at least one test, and each of these tests exists."""
    page = (PROJECT / "docs/seed-contract.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    promises = [line for line in rows if not line.startswith("| promise")]

    unproven = [line for line in promises if "`tests/" not in line]
    missing = [
        f"{path}::{name}"
        for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
        if f"def {name or 'test_'}" not in (PROJECT / path).read_text(encoding="utf-8")
    ]

    assert len(promises) > 25
    assert unproven == []
    assert missing == []
