"""The release before: what this code must be able to run beside."""

import re
import subprocess

from chat.sql.install import FUNCTIONS_RELEASE
from tests.rig.releases import RELEASE_BEFORE, find_reason_unavailable
from tests.support.processes import PROJECT


def read_before(path: str) -> str:
    """Return a file of the release before, empty where it had none."""
    shown = subprocess.run(
        ["git", "show", f"{RELEASE_BEFORE}:{path}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout


def test_changed_functions_have_a_higher_release() -> None:
    """A release that changes a function raises `FUNCTIONS_RELEASE`: older code leaves it alone."""
    assert find_reason_unavailable() is None
    found = re.search(
        r"^FUNCTIONS_RELEASE = (\d+)", read_before("chat/sql/install.py"), re.MULTILINE
    )
    is_changed = any(
        path.read_text(encoding="utf-8") != read_before(str(path.relative_to(PROJECT)))
        for path in sorted((PROJECT / "chat/sql/functions").glob("*.sql"))
    )

    assert not is_changed or (int(found[1]) if found else 0) < FUNCTIONS_RELEASE
