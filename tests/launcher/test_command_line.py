"""`python -m embedded` and its `reset`, on a copy of the checkout."""

import os
import shutil
from pathlib import Path

import pytest

from embedded.folder import RunFolder
from embedded.postgres import PostgresServer
from embedded.processes import find_postgres
from tests.launcher.watched import ROOT, Started, python

RESET = python("-m", "embedded", "reset")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the launcher with its own data folder."""
    shutil.copytree(ROOT / "embedded", tmp_path / "embedded")
    (tmp_path / ".data" / "postgres").mkdir(parents=True)
    (tmp_path / ".data" / "postgres" / "PG_VERSION").write_text("18\n")
    return tmp_path


def answer(checkout: Path, text: str) -> tuple[int, str]:
    """Run `reset` and answer its question."""
    with Started(RESET, checkout) as started:
        assert started.process.stdin is not None
        started.process.stdin.write(text)
        return started.finish()


def test_reset_deletes_after_a_yes(checkout: Path) -> None:
    """The answer `yes` deletes all data, and nothing outside the data folder."""
    code, said = answer(checkout, "yes\n")
    assert code == 0
    assert "The data is deleted." in said
    assert [path.name for path in (checkout / ".data").iterdir()] == ["lock"]
    assert (checkout / "embedded").is_dir()


@pytest.mark.parametrize("text", ["", "\n", "y\n", "YES\n", "no\n"])
def test_reset_keeps_everything_otherwise(checkout: Path, text: str) -> None:
    """Any other answer, or no answer, deletes nothing and fails."""
    code, said = answer(checkout, text)
    assert code == 1
    assert "Nothing is deleted" in said
    assert (checkout / ".data" / "postgres" / "PG_VERSION").exists()


def test_reset_refuses_while_running(checkout: Path) -> None:
    """Data in use is not deleted, whatever the answer."""
    with RunFolder(checkout / ".data").locked():
        code, said = answer(checkout, "yes\n")
    assert code == 1
    assert "already running" in said
    assert str(os.getpid()) in said
    assert (checkout / ".data" / "postgres" / "PG_VERSION").exists()


def test_reset_refuses_a_database_in_use(checkout: Path) -> None:
    """The data of a PostgreSQL that another process runs from the folder is not deleted."""
    shutil.rmtree(checkout / ".data")
    with PostgresServer.start(checkout / ".data", durable=False) as server:
        code, said = answer(checkout, "yes\n")
        assert code == 1
        assert "Another process runs the PostgreSQL" in said
        assert server.process.poll() is None
    assert find_postgres(checkout / ".data" / "postgres") == []


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PORT": "http"}, "PORT=http is not a port: give a number from 1 to 65535.\n"),
        ({"PORT": "65536"}, "PORT=65536 is not a port: give a number from 1 to 65535.\n"),
        (
            {"PORT": "9", "REALTIME_PORT": "9"},
            "PORT and REALTIME_PORT are both 9: each needs its own.\n",
        ),
        ({"CENTRIFUGO_BIN": "/nowhere"}, "CENTRIFUGO_BIN=/nowhere is no executable file.\n"),
        (
            {"ALLOWED_ORIGINS": "https://app.example.com/"},
            (
                "ALLOWED_ORIGINS contains 'https://app.example.com/', which is no origin: write "
                "the scheme, the host and the port, with nothing after them, like "
                "https://app.example.com; `*` stands for any characters.\n"
            ),
        ),
    ],
)
def test_mistakes_in_the_environment_are_one_sentence(
    checkout: Path, environment: dict[str, str], sentence: str
) -> None:
    """A wrong variable is named before anything starts."""
    with Started(python("-m", "embedded"), checkout, environment) as started:
        assert started.finish() == (1, sentence)
