"""`manage.py` says in one line what is missing, and ends quietly when it is interrupted."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.launcher.watched import ROOT, Started, python
from tests.support.processes import call_manage, find_free_port
from tests.support.sessions import wait_until_waiting

MISSING = "No database is configured: start `make up`, or set DATABASE_URL.\n"
CONFIGURATION = {
    *("DATABASE_URL", "DEBUG", "SECRET_KEY", "JWT_SECRET", "CENTRIFUGO_TOKEN_SECRET"),
}


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a folder with `manage.py` and the service, without a run of `make up`."""
    for name in ("app", "chat", "client", "embedded"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "manage.py", tmp_path)
    return tmp_path


def call_bare(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with nothing in its environment but `more`."""
    environment = {name: value for name, value in os.environ.items() if name not in CONFIGURATION}
    return subprocess.run(
        python("manage.py", *arguments),
        cwd=folder,
        env=environment | more,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    ["watch --sub u456", "token --sub u123", "prune_events", "migrate", "createsuperuser"],
)
def test_without_a_run_it_says_what_is_missing(bare: Path, command: str) -> None:
    """Beside a stopped `make up`, and without DATABASE_URL, one line says what to do."""
    done = call_bare(bare, *command.split())

    assert (done.returncode, done.stdout, done.stderr) == (2, "", MISSING)


@pytest.mark.parametrize(
    "command",
    ["help", "version", "watch --help", "collectstatic --no-input --dry-run", "diffsettings"],
)
def test_what_needs_no_database_works_without_one(bare: Path, command: str) -> None:
    """Commands that use neither a database nor a secret work without any configuration."""
    done = call_bare(bare, *command.split())

    assert done.returncode == 0, done.stderr
    assert MISSING not in done.stderr


@pytest.mark.parametrize("command", ["makemigrations --check --dry-run", "token --sub u123"])
def test_debug_is_enough_for_what_needs_only_secrets(bare: Path, command: str) -> None:
    """With DEBUG the secrets of development are used, so these commands need nothing else."""
    done = call_bare(bare, *command.split(), DEBUG="1")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", ["prune_events", "after_restore --no-input", "demo_data", "migrate"]
)
def test_an_unreachable_database_is_one_line(command: str) -> None:
    """Where nothing listens, one line says so, without a traceback and without the password."""
    url = f"postgresql://somebody:hunter2@127.0.0.1:{find_free_port()}/chat"
    done = call_manage(*command.split(), DATABASE_URL=url, DEBUG="1")

    assert done.returncode == 2
    assert done.stderr.startswith("The database cannot be used: ")
    assert "Connection refused" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "hunter2" not in done.stderr


def test_the_advice_stands_where_no_address_was_given() -> None:
    """Where the default address cannot be used, the line also says what to do."""
    # The driver refuses this mode before it connects, whatever listens at the default address.
    done = call_manage("showmigrations", DATABASE_URL="", DEBUG="1", PGSSLMODE="none")

    assert done.returncode == 2
    assert "start `make up`, or set DATABASE_URL" in done.stderr


def test_ctrl_c_leaves_no_traceback(clone_database: Callable[[], str]) -> None:
    """A command that is interrupted while it waits for the database prints nothing."""
    url = clone_database()
    environment = {"DATABASE_URL": url, "DEBUG": "1"}
    with (
        psycopg.connect(url, row_factory=dict_row) as holder,
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as observer,
    ):
        holder.execute("LOCK TABLE chat_event")
        with Started(python("manage.py", "prune_events"), ROOT, environment) as started:
            wait_until_waiting(observer)
            os.kill(started.process.pid, signal.SIGINT)
            assert started.finish() == (130, "")
