"""The embedded PostgreSQL starts, keeps its data, and says why if it cannot."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from embedded.postgres import PostgresError, PostgresServer
from embedded.processes import find_postgres
from tests.launcher.watched import ROOT, Started, Watched, python

START_AND_WAIT = """
import sys
from pathlib import Path
from embedded.postgres import PostgresServer
server = PostgresServer.start(Path(sys.argv[1]), durable=False)
print("ready", server.process.pid, flush=True)
sys.stdin.read()
"""
START_AND_REPORT = """
import sys
from pathlib import Path
from embedded.postgres import PostgresError, PostgresServer
try:
    PostgresServer.start(Path(sys.argv[1]), durable=False).stop()
    print("started")
except PostgresError as error:
    print(error)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder, and check that no server runs after the test."""
    yield tmp_path
    assert find_postgres(tmp_path / "postgres") == []


def start(folder: Path) -> PostgresServer:
    """Start without fsync: no test here has a power failure."""
    return PostgresServer.start(folder, durable=False)


def write_note(server: PostgresServer, text: str) -> None:
    """Commit one row."""
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES (%s)", [text])


def read_notes(server: PostgresServer) -> list[str]:
    """Read the committed rows."""
    with psycopg.connect(server.url()) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note")]


def test_data_is_kept_over_a_stop_and_a_start(folder: Path) -> None:
    """Rows that were committed before an orderly stop are there after the next start."""
    with start(folder) as server:
        write_note(server, "kept")
    assert server.process.returncode == 0
    with start(folder) as server:
        assert read_notes(server) == ["kept"]


def test_cyrillic_is_folded_by_the_builtin_locale(folder: Path) -> None:
    """The database uses PostgreSQL's own C.UTF-8, so that upper and lower case work in Cyrillic."""
    with start(folder) as server, psycopg.connect(server.url()) as connection:
        row = connection.execute(
            "SELECT datlocprovider::text, datlocale, lower('ПРИВЕТ'), current_setting('fsync') "
            "FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("b", "C.UTF-8", "привет", "off")


def test_promised_commits_are_durable(folder: Path) -> None:
    """By default, every commit is on the disk before it is confirmed."""
    with PostgresServer.start(folder) as server, psycopg.connect(server.url()) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row == ("on",)


def test_only_its_user_can_reach_it(folder: Path) -> None:
    """The server listens on no network address, and its socket is in a private folder."""
    with start(folder) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert (folder / "socket").stat().st_mode & 0o777 == 0o700


def test_the_environment_does_not_reconfigure_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PG… variables in the environment change neither the server nor the address."""
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with start(folder) as server:
        write_note(server, "reached")


def test_a_killed_server_recovers(folder: Path) -> None:
    """Rows that were committed before a kill -9 of the postmaster are there after a start."""
    with start(folder) as server:
        write_note(server, "kept")
        server.process.kill()
        server.process.wait()
    assert (folder / "postgres" / "postmaster.pid").exists()
    with start(folder) as server:
        assert read_notes(server) == ["kept"]


def test_a_busy_orphan_of_a_killed_server_is_ended(folder: Path) -> None:
    """A backend that still runs after its postmaster was killed does not prevent a start."""
    with start(folder) as server, psycopg.connect(server.url(), autocommit=True) as connection:
        backend = connection.info.backend_pid
        write_note(server, "kept")
        with Watched([backend]) as watched:
            os.kill(backend, signal.SIGSTOP)  # it cannot notice that the postmaster ended
            server.process.kill()
            server.process.wait()
            server.stop()
            with start(folder) as successor:
                assert read_notes(successor) == ["kept"]
            assert watched.alive_after(0) == []


def test_it_ends_with_the_process_that_started_it(folder: Path) -> None:
    """On Linux, a kill -9 of the starting process stops the server in order."""
    command = python("-c", START_AND_WAIT, str(folder))
    with Started(command, ROOT) as started:
        postmaster = int(started.wait_for("ready").split()[1])
        with Watched([postmaster]) as watched:
            started.process.kill()
            assert watched.alive_after(10) == []
    assert not (folder / "postgres" / "postmaster.pid").exists()
    with start(folder):
        pass


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    """A second server on one folder is refused, and the first one still runs."""
    with start(folder) as server:
        with pytest.raises(PostgresError, match=r"Another process runs the PostgreSQL in .+\.$"):
            start(folder)
        write_note(server, "still here")


def test_a_reused_pid_is_left_alone(folder: Path) -> None:
    """If postmaster.pid has the pid of another process, the start works and that process stays."""
    with start(folder):
        pass
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (folder / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n/elsewhere\n")
        with start(folder):
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_another_versions_folder_is_refused(folder: Path) -> None:
    """Data of another PostgreSQL version is refused, with both versions named, and unchanged."""
    version = folder / "postgres" / "PG_VERSION"
    version.parent.mkdir()
    version.write_text("16\n")
    with pytest.raises(PostgresError, match=r"PostgreSQL 16, and this is PostgreSQL 18"):
        start(folder)
    assert list(version.parent.iterdir()) == [version]


def test_a_strangers_folder_is_refused(folder: Path) -> None:
    """A folder without PostgreSQL's data is refused, and its files stay."""
    (folder / "postgres").mkdir()
    (folder / "postgres" / "thesis.txt").write_text("years of work")
    with pytest.raises(PostgresError, match=r"is in the way: it is not a PostgreSQL data folder"):
        start(folder)
    assert (folder / "postgres" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_named(folder: Path) -> None:
    """A file in place of the folder is named in the error."""
    (folder / "data").write_text("")
    with pytest.raises(PostgresError, match=r"data is in the way: a folder is needed there\.$"):
        start(folder / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(folder: Path) -> None:
    """A data folder of another user is refused with both names, before anything is changed."""
    with start(folder):
        pass
    os.chown(folder / "postgres", 1, 1)
    with pytest.raises(PostgresError, match=r"belongs to \w+, not to root: start as its owner\.$"):
        start(folder)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("postgres", 0o755), ("postgres", 0o770), ("socket", 0o755), ("socket", 0o750)],
)
def test_loosened_permissions_are_refused_with_the_chmod_that_mends_them(
    folder: Path, name: str, mode: int
) -> None:
    """A folder that was opened to other users is refused, and pasting the command mends it."""
    with start(folder):
        shutil.copytree(folder / "socket", folder / "kept", copy_function=os.link)
    (folder / "kept").rename(folder / "socket")  # a killed run leaves it behind
    (folder / name).chmod(mode)
    with pytest.raises(PostgresError, match=rf"permissions are {mode:04o}.+ `chmod") as error:
        start(folder)
    assert "\n" not in str(error.value)
    (command,) = re.findall("`(chmod .+)`", str(error.value))
    subprocess.run(["sh", "-c", command], check=True)
    with start(folder):
        pass


def test_a_half_made_database_is_made_again(folder: Path) -> None:
    """The files of an interrupted initdb are not used as a database."""
    (folder / "postgres.unfinished" / "base").mkdir(parents=True)
    (folder / "postgres.unfinished" / "PG_VERSION").write_text("18\n")
    with start(folder) as server:
        write_note(server, "works")
    assert not (folder / "postgres.unfinished").exists()


def test_a_damaged_database_is_named_as_such(folder: Path) -> None:
    """Damage is reported in one sentence, and nothing is deleted."""
    with start(folder):
        pass
    control = folder / "postgres" / "global" / "pg_control"
    control.write_bytes(control.read_bytes()[:100])
    with pytest.raises(PostgresError, match=r"The PostgreSQL data is damaged: .+ `make reset`\.$"):
        start(folder)
    assert control.exists()


def test_a_long_path_moves_the_socket(folder: Path) -> None:
    """If a path is too long for a socket, a private temporary folder is used during the run."""
    deep = folder / ("a" * 60) / ("b" * 60)
    for _ in range(2):
        with start(deep) as server:
            elsewhere = (deep / "socket").readlink()
            assert elsewhere.stat().st_mode & 0o777 == 0o700
            write_note(server, "reached")
        assert not elsewhere.exists()


def test_a_path_with_awkward_characters_works(folder: Path) -> None:
    """A path with spaces, quotes, commas, percent signs and Cyrillic works."""
    with start(folder / 'чат, "a%20b" &c') as server:
        write_note(server, "reached")


def in_namespace(prepare: str, folder: Path) -> str:
    """Start a server in a namespace that restricts root too, and return its output."""
    script = f'{prepare}\nexec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh"]
    command += python("-c", START_AND_REPORT, str(folder))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_read_only_disk_is_named(folder: Path) -> None:
    """A folder on a read-only file system is refused in one sentence."""
    said = in_namespace(f"mount -t tmpfs -o ro none '{folder}'", folder)
    assert said.endswith("cannot be written: the file system is read-only.")
    assert said.count("\n") == 0


def test_a_full_disk_is_named(folder: Path) -> None:
    """A disk that becomes full while the database is made is named as the reason."""
    said = in_namespace(f"mount -t tmpfs -o size=8m none '{folder}'", folder)
    assert said == "The disk is full: PostgreSQL has no space left to start."


def test_a_kernel_without_user_namespaces_is_named(folder: Path) -> None:
    """Root on a kernel without user namespaces reads what to do instead."""
    said = in_namespace("echo 0 > /proc/sys/user/max_user_namespaces", folder)
    assert said.startswith("PostgreSQL does not run as root, and this kernel refuses")
    assert "DATABASE_URL" in said
