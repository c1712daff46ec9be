"""The code of other releases, for faults in which two releases run beside each other.

The release before is real code, taken from git. The next release is a copy of this code with a
made-up migration.
"""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.support.processes import PROJECT

RELEASE_BEFORE = "546a0a989897c826048c274bf1be93de73865326"
"""The commit of the release before this one.

After a release, set it to the commit that was released: the next deployment replaces that code.
"""
SHIPPED = ("app", "chat", "manage.py")
"""What an image of a release contains."""

NEXT_MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("chat", {last!r})]
    operations = [
        migrations.RunSQL(
            f"ALTER TABLE chat_{{table}} ADD COLUMN next_release integer NOT NULL DEFAULT 1")
        for table in ("room", "member", "message", "event", "outbox", "installation")
    ]
"""


def find_reason_unavailable() -> str | None:
    """Say why the release before cannot be had, and what to do; None when it can."""
    if shutil.which("git") is None:
        return "no git on PATH"
    commit = f"{RELEASE_BEFORE}^{{commit}}"
    done = subprocess.run(
        ["git", "cat-file", "-e", commit], cwd=PROJECT, capture_output=True, check=False
    )
    if done.returncode == 0:
        return None
    return (
        f"the commit of the release before, {RELEASE_BEFORE[:7]}, is not in this clone;"
        " run `git fetch --unshallow`"
    )


def write_release_before(folder: Path) -> None:
    """Write the code of the release before into a folder."""
    done = subprocess.run(
        ["git", "archive", RELEASE_BEFORE, *SHIPPED], cwd=PROJECT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def write_next_release(folder: Path) -> None:
    """Write the code as the next release may be: a column more in each table, other functions."""
    folder.mkdir()
    for name in SHIPPED:
        source, target = PROJECT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    migrations = folder / "chat/migrations"
    last = max(migrations.glob("0*.py")).stem
    (migrations / "9999_next_release.py").write_text(NEXT_MIGRATION.format(last=last))
    functions = folder / "chat/sql/functions/identity.sql"
    functions.write_text(functions.read_text() + "\n-- As it is in the next release.\n")
