"""The supervisor runs all parts or none, says why it stops, and leaves no process."""

import json
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from embedded.postgres import PostgresServer
from embedded.processes import find_identity, find_postgres
from tests.launcher.watched import ROOT, Started, Watched, python
from tests.support.processes import find_free_port

pytestmark = pytest.mark.slow  # about two seconds each: every run makes a database
Habits = Mapping[str, str]
ORDINARY: Habits = {"api": "ordinary", "realtime": "ordinary"}


def command(
    folder: Path, habits: Habits = ORDINARY, ports: Mapping[str, int] | None = None, **more: object
) -> list[str]:
    """Return the command of a run with these stand-ins."""
    ports = ports or {}
    parts = {name: (ports.get(name) or find_free_port(), habit) for name, habit in habits.items()}
    wanted = json.dumps({"parts": parts, **more})
    return python("-m", "tests.launcher.stand_in", str(folder), wanted)


def pids(folder: Path) -> list[int]:
    """List every process of the run in this folder, PostgreSQL's workers included."""
    recorded = json.loads((folder / ".data" / "processes.json").read_text())
    return [pid for pid, _ in recorded.values()] + find_postgres(folder / ".data" / "postgres")


def pid_of(folder: Path, name: str) -> int:
    """Return the pid of one part."""
    recorded = json.loads((folder / ".data" / "processes.json").read_text())
    return int(recorded[name][0])


@pytest.mark.parametrize(
    ("signum", "reason"),
    [
        (signal.SIGINT, "Ctrl-C"),
        (signal.SIGTERM, "SIGTERM"),
        (signal.SIGHUP, "The terminal was closed"),
    ],
)
def test_a_signal_stops_everything_in_order(
    tmp_path: Path, signum: signal.Signals, reason: str
) -> None:
    """Each stop signal ends every process within ten seconds, PostgreSQL last, with code 0."""
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
        with Watched(pids(tmp_path)) as watched:
            began = monotonic()
            os.killpg(started.process.pid, signum)  # as a terminal does
            code, said = started.finish()
            assert monotonic() - began < 10
            assert watched.alive_after(0) == []
    assert code == 0, said
    assert f"{reason}: stopping." in said
    assert said.count("ended in order") == 2
    log = (tmp_path / ".data" / "postgres.log").read_text()
    assert "received fast shutdown request" in log
    assert "database system is shut down" in log
    assert sorted(path.name for path in (tmp_path / ".data").iterdir()) == [
        *("lock", "postgres", "postgres.lock", "postgres.log"),
    ]


PRINT_IGNORED = """
import signal
endings = signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP
print("ignored:", [s.name for s in endings if signal.getsignal(s) is signal.SIG_IGN])
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stops_although_its_shell_ignores_signals(
    tmp_path: Path, signum: signal.Signals
) -> None:
    """A run in the background of a shell that ignores SIGINT stops on SIGINT and on SIGTERM.

    Its processes begin with no signal ignored, so that SIGINT can end each of them too.
    """
    script = 'trap "" INT QUIT HUP; "$@" & echo "supervisor $!"; wait $!'
    run = command(tmp_path, commands={"migrate": PRINT_IGNORED})
    with Started(["sh", "-c", script, "sh", *run], ROOT) as started:
        supervisor = int(started.wait_for("supervisor").split()[1])
        assert "ignored: []" in started.wait_for("ready")
        parts = [pid_of(tmp_path, name) for name in ORDINARY]
        postgres = find_postgres(tmp_path / ".data" / "postgres")
        with Watched([supervisor, *parts, *postgres]) as watched:
            os.kill(supervisor, signum)
            code, said = started.finish()
            assert watched.alive_after(0) == []
    assert code == 0, said
    assert "stopping." in said


def test_a_stubborn_part_is_killed_in_time(tmp_path: Path) -> None:
    """A stop takes at most ten seconds, also if a part ignores SIGTERM."""
    run = command(tmp_path, {"api": "stubborn", "realtime": "ordinary"})
    with Started(run, ROOT) as started:
        started.wait_for("ready")
        with Watched(pids(tmp_path)) as watched:
            began = monotonic()
            started.process.terminate()
            started.finish()
            assert monotonic() - began < 10
            assert watched.alive_after(0) == []


def test_a_signal_during_the_start_stops_it(tmp_path: Path) -> None:
    """A start that is interrupted during a migration leaves no process."""
    run = command(tmp_path, commands={"migrate": "import signal; signal.pause()"})
    with Started(run, ROOT) as started:
        started.wait_for("Making a new database")
        started.process.terminate()
        code, said = started.finish()
    assert code == 0, said
    assert find_postgres(tmp_path / ".data" / "postgres") == []
    assert not (tmp_path / ".data" / "processes.json").exists()


@pytest.mark.parametrize("name", ["api", "realtime"])
def test_the_death_of_a_part_stops_the_rest(tmp_path: Path, name: str) -> None:
    """If a part ends, the run says which and how, ends the others and exits with 1."""
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
        with Watched(pids(tmp_path)) as watched:
            os.kill(pid_of(tmp_path, name), signal.SIGKILL)
            code, said = started.finish()
            assert watched.alive_after(0) == []
    assert code == 1
    assert f"{name} was ended by SIGKILL: stopping the rest." in said


def test_the_death_of_postgresql_stops_the_rest(tmp_path: Path) -> None:
    """If PostgreSQL ends, the run says so, ends the parts and exits with 1."""
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
        with Watched(pids(tmp_path)) as watched:
            os.kill(find_postgres(tmp_path / ".data" / "postgres")[0], signal.SIGKILL)
            code, said = started.finish()
            assert watched.alive_after(5) == []
    assert code == 1
    assert "PostgreSQL ended by itself (exit code -9)." in said


def test_a_part_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    """A part that ends before it is ready is named with its exit code and its last lines."""
    run = command(tmp_path, {"api": "ordinary", "realtime": "fatal"})
    with Started(run, ROOT) as started:
        code, said = started.finish()
    assert code == 1
    assert "  the reason of the death\nrealtime ended with exit code 3: stopping the rest." in said
    assert find_postgres(tmp_path / ".data" / "postgres") == []


def test_a_failed_command_is_quoted(tmp_path: Path) -> None:
    """A failing migration is shown with its output; that of other commands is not shown."""
    commands = {"token": "print('quiet')", "migrate": "import sys; print('no such table'); exit(5)"}
    with Started(command(tmp_path, commands=commands), ROOT) as started:
        code, said = started.finish()
    assert code == 1
    assert "  no such table\nmigrate ended with exit code 5." in said
    assert "quiet" not in said
    assert find_postgres(tmp_path / ".data" / "postgres") == []


@pytest.mark.parametrize("name", ["api", "realtime"])
def test_a_port_in_use_is_refused(tmp_path: Path, name: str) -> None:
    """A port in use is named in one sentence before anything is started or made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Started(command(tmp_path, ports={name: port}), ROOT) as started:
            code, said = started.finish()
    assert code == 1
    assert said.startswith(f"Port {port} on 127.0.0.1 is in use, and {name} needs one")
    assert said.count("\n") == 1
    assert not (tmp_path / ".data" / "postgres").exists()


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    """A second run in the folder is refused with the first one's pid, and the first continues."""
    run = command(tmp_path)
    with Started(run, ROOT) as first:
        first.wait_for("ready")
        with Started(run, ROOT) as second:
            code, said = second.finish()
        assert code == 1
        assert said == (
            "Besedka is already running in this folder "
            f"(process {first.process.pid}): stop it first.\n"
        )
        assert all(find_identity(pid) for pid in pids(tmp_path))


def test_a_killed_supervisor_takes_everything_along(tmp_path: Path) -> None:
    """After a kill -9 of the supervisor its processes end, and the next run has the data."""
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
        url = (tmp_path / ".data" / "run.env").read_text().splitlines()[0].partition("=")[2]
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        with Watched(pids(tmp_path)) as watched:
            started.process.kill()
            assert watched.alive_after(10) == []
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT text FROM note").fetchone() == ("kept",)


def test_orphans_of_a_killed_run_are_ended(tmp_path: Path) -> None:
    """If processes still run after their supervisor, the next run ends them, and no others."""
    orphan, stranger = (subprocess.Popen(["sleep", "60"], process_group=0) for _ in range(2))
    try:
        (tmp_path / ".data").mkdir()
        recorded = {
            "api": [orphan.pid, find_identity(orphan.pid)],
            "realtime": [stranger.pid, "another process that had this pid"],
        }
        (tmp_path / ".data" / "processes.json").write_text(json.dumps(recorded))
        with Started(command(tmp_path), ROOT) as started:
            started.wait_for("ready")
            assert orphan.wait(5) == -signal.SIGTERM
            assert stranger.poll() is None
    finally:
        for process in (orphan, stranger):
            process.kill()
            process.wait()


def test_an_orphaned_postgresql_is_succeeded(tmp_path: Path) -> None:
    """A PostgreSQL that still runs after its supervisor is shut down in order by the next run."""
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
    data = tmp_path / ".data"
    # Its starter ends at once, so it gets no signal when a process ends.
    script = (
        "import subprocess, sys; from embedded import cluster as c;"
        "subprocess.Popen(c.as_ordinary_user([c.binary('postgres'), '-D', sys.argv[1],"
        "'-c', 'listen_addresses=', '-c', f'unix_socket_directories={sys.argv[1]}']),"
        "stderr=open(sys.argv[2], 'w'))"
    )
    log = tmp_path / "orphan.log"
    subprocess.run(python("-c", script, str(data / "postgres"), str(log)), cwd=ROOT, check=True)
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
    assert "shutdown request" in log.read_text()


def test_the_run_is_published_to_its_owner_only(tmp_path: Path) -> None:
    """`.data/run.env` has the variables during the run, for the owner only; then it is removed."""
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
        published = tmp_path / ".data" / "run.env"
        assert published.stat().st_mode & 0o777 == 0o600
        lines = dict(line.split("=", 1) for line in published.read_text().splitlines())
        psycopg.connect(lines["DATABASE_URL"]).close()
        assert lines["JWT_SECRET"] == "a secret"
        started.process.terminate()
        started.finish()
    assert not published.exists()


def test_a_database_of_ones_own_is_used(tmp_path: Path) -> None:
    """With DATABASE_URL no PostgreSQL is started, and the given one still runs afterwards."""
    with PostgresServer.start(tmp_path / "own", durable=False) as server:
        code = "import os; print(os.environ['DATABASE_URL'])"
        run = command(tmp_path, commands={"show": code}, database_url=server.url())
        with Started(run, ROOT) as started:
            assert server.url() in started.wait_for("ready")
            started.process.terminate()
            assert started.finish()[0] == 0
        assert not (tmp_path / ".data" / "postgres").exists()
        assert server.process.poll() is None


def test_an_unreachable_database_is_refused(tmp_path: Path) -> None:
    """A DATABASE_URL without a server is reported in one sentence, without the password."""
    url = f"postgresql://somebody:hunter2@127.0.0.1:{find_free_port()}/chat"
    with Started(command(tmp_path, database_url=url), ROOT) as started:
        code, said = started.finish()
    assert code == 1
    assert said.startswith("The PostgreSQL of DATABASE_URL cannot be used: ")
    assert "hunter2" not in said


def test_a_closed_output_stops_the_run(tmp_path: Path) -> None:
    """If the output is closed, as in `make up | head`, the run stops in order."""
    with Started(command(tmp_path), ROOT) as started:
        started.wait_for("ready")
        assert started.process.stdout is not None
        with Watched(pids(tmp_path)) as watched:
            started.process.stdout.close()
            started.process.terminate()
            assert started.process.wait(10) == 0
            assert watched.alive_after(0) == []


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colours(tmp_path: Path, no_color: str, *, coloured: bool) -> None:
    """A terminal sees colours unless NO_COLOR is set."""
    ours, theirs = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        subprocess.run(
            command(tmp_path, ports={"api": taken.getsockname()[1]}),
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": no_color, "TERM": "xterm"},
            stdout=theirs,
            check=False,
        )
    os.close(theirs)
    said = os.read(ours, 4096).decode()
    os.close(ours)
    assert "is in use" in said
    assert ("\x1b[31m" in said) == coloured
