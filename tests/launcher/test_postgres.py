"""The embedded PostgreSQL starts, keeps what it was given, and says why when it cannot."""

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
    """Give an empty folder, and check that no server outlives the test."""
    yield tmp_path
    assert find_postgres(tmp_path / "postgres") == []


def start(folder: Path) -> PostgresServer:
    """Start without fsync: no test here cuts the power."""
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
    """What was committed before an orderly stop is there after the next start."""
    with start(folder) as server:
        write_note(server, "kept")
    assert server.process.returncode == 0
    with start(folder) as server:
        assert read_notes(server) == ["kept"]


def test_cyrillic_is_folded_by_the_builtin_locale(folder: Path) -> None:
    """The database is UTF-8 with PostgreSQL's own C.UTF-8, so that case works for Cyrillic."""
    with start(folder) as server, psycopg.connect(server.url()) as connection:
        row = connection.execute(
            "SELECT datlocprovider::text, datlocale, lower('ПРИВЕТ'), current_setting('fsync') "
            "FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("b", "C.UTF-8", "привет", "off")


def test_promised_commits_are_durable(folder: Path) -> None:
    """Unless a test asks for less, every commit is on the disk before it is confirmed."""
    with PostgresServer.start(folder) as server, psycopg.connect(server.url()) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row == ("on",)


def test_only_its_user_can_reach_it(folder: Path) -> None:
    """The server listens on no network address, and its socket lies in a private folder."""
    with start(folder) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert (folder / "socket").stat().st_mode & 0o777 == 0o700


def test_the_environment_does_not_reconfigure_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PG… variables of somebody's shell change neither the server nor where the URL leads."""
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with start(folder) as server:
        write_note(server, "reached")


def test_a_killed_server_recovers(folder: Path) -> None:
    """What was committed before a kill -9 of the postmaster is there after the next start."""
    with start(folder) as server:
        write_note(server, "kept")
        server.process.kill()
        server.process.wait()
    assert (folder / "postgres" / "postmaster.pid").exists()
    with start(folder) as server:
        assert read_notes(server) == ["kept"]


def test_a_busy_orphan_of_a_killed_server_is_ended(folder: Path) -> None:
    """A backend that outlives its killed postmaster does not keep the next one from starting."""
    with start(folder) as server, psycopg.connect(server.url(), autocommit=True) as connection:
        backend = connection.info.backend_pid
        write_note(server, "kept")
        with Watched([backend]) as watched:
            os.kill(backend, signal.SIGSTOP)  # it cannot even notice the death
            server.process.kill()
            server.process.wait()
            server.stop()
            with start(folder) as successor:
                assert read_notes(successor) == ["kept"]
            assert watched.alive_after(0) == []


def test_it_ends_with_the_process_that_started_it(folder: Path) -> None:
    """A kill -9 of the starting process takes the server along, in order, on Linux."""
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
    """A second server on one folder is refused, and the first stays."""
    with start(folder) as server:
        with pytest.raises(PostgresError, match=r"Another process runs the PostgreSQL in .+\.$"):
            start(folder)
        write_note(server, "still here")


def test_a_reused_pid_is_left_alone(folder: Path) -> None:
    """A stale postmaster.pid with the pid of a stranger neither stops the start nor harms it."""
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
    """A folder of another PostgreSQL version is refused with both versions, and is unchanged."""
    version = folder / "postgres" / "PG_VERSION"
    version.parent.mkdir()
    version.write_text("16\n")
    with pytest.raises(PostgresError, match=r"PostgreSQL 16, and this is PostgreSQL 18"):
        start(folder)
    assert list(version.parent.iterdir()) == [version]


def test_a_strangers_folder_is_refused(folder: Path) -> None:
    """A folder that is no PostgreSQL's is refused, and what is in it stays."""
    (folder / "postgres").mkdir()
    (folder / "postgres" / "thesis.txt").write_text("years of work")
    with pytest.raises(PostgresError, match=r"is in the way: it is not a PostgreSQL data folder"):
        start(folder)
    assert (folder / "postgres" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_named(folder: Path) -> None:
    """A file where the folder belongs is named in the refusal."""
    (folder / "data").write_text("")
    with pytest.raises(PostgresError, match=r"data is in the way: a folder is needed there\.$"):
        start(folder / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(folder: Path) -> None:
    """A data folder of another user is refused by both names, before anything is touched."""
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
    """What an interrupted initdb left is never taken for a database."""
    (folder / "postgres.unfinished" / "base").mkdir(parents=True)
    (folder / "postgres.unfinished" / "PG_VERSION").write_text("18\n")
    with start(folder) as server:
        write_note(server, "works")
    assert not (folder / "postgres.unfinished").exists()


def test_a_damaged_database_is_named_as_such(folder: Path) -> None:
    """Damage is reported in one sentence that names it, and nothing is deleted."""
    with start(folder):
        pass
    control = folder / "postgres" / "global" / "pg_control"
    control.write_bytes(control.read_bytes()[:100])
    with pytest.raises(PostgresError, match=r"The PostgreSQL data is damaged: .+ `make reset`\.$"):
        start(folder)
    assert control.exists()


def test_a_long_path_moves_the_socket(folder: Path) -> None:
    """Where a path is too long for a socket, a private folder elsewhere holds it for the run."""
    deep = folder / ("a" * 60) / ("b" * 60)
    for _ in range(2):
        with start(deep) as server:
            elsewhere = (deep / "socket").readlink()
            assert elsewhere.stat().st_mode & 0o777 == 0o700
            write_note(server, "reached")
        assert not elsewhere.exists()


def test_a_path_with_awkward_characters_works(folder: Path) -> None:
    """Spaces, quotes, commas, percent signs and Cyrillic in the path change nothing."""
    with start(folder / 'чат, "a%20b" &c') as server:
        write_note(server, "reached")


def in_namespace(prepare: str, folder: Path) -> str:
    """Start a server behind walls that hold for root too, and return what it says."""
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
    """A disk that fills while the database is made is named as the reason."""
    said = in_namespace(f"mount -t tmpfs -o size=8m none '{folder}'", folder)
    assert said == "The disk is full: PostgreSQL has no space left to start."


def test_a_kernel_without_user_namespaces_is_named(folder: Path) -> None:
    """Root on a kernel that refuses user namespaces reads what to do instead."""
    said = in_namespace("echo 0 > /proc/sys/user/max_user_namespaces", folder)
    assert said.startswith("PostgreSQL does not run as root, and this kernel refuses")
    assert "DATABASE_URL" in said
