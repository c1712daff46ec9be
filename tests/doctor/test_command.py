"""`manage.py doctor` as monitoring runs it: exit codes, the report, the options."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from django.core.management import execute_from_command_line

from chat.doctor import examination
from chat.doctor.catalogue import CODES
from tests.doctor.conftest import BUSY, HALF_FORGOTTEN, TOLERANT, Examined, examine, execute
from tests.doctor.damages import DAMAGES
from tests.support.processes import PROJECT

WARNING = DAMAGES["a row waits for two hours"].sql
ERROR = DAMAGES["members are counted wrong"].sql


def run_doctor(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "manage.py", "doctor", *TOLERANT, *options],
        cwd=PROJECT,
        env={"DATABASE_URL": url, "PATH": "", "DEBUG": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_healthy_database_says_so_and_exits_0(url: str) -> None:
    """Nothing is wrong, also without a single secret in the environment."""
    done = run_doctor(url)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Nothing is wrong."
    assert "6 rooms, 1,013 members, 21 messages, 1,031 events" in done.stdout


@pytest.mark.slow
def test_a_person_reads_what_is_wrong_where_and_what_to_do(url: str) -> None:
    """The code, the count, the meaning and the place stand in the output; the exit code is 1."""
    execute(url, ERROR)

    done = run_doctor(url)

    assert done.returncode == 1
    assert "error: member_count (1)" in done.stdout
    assert CODES["member_count"].meaning in done.stdout
    assert f'{{"room": {BUSY}, "member_count": 7, "members": 4}}' in done.stdout


def test_warnings_alone_exit_0_unless_strict(url: str) -> None:
    """A late outbox is a warning, not a failure; with `--strict` it is a failure."""
    execute(url, WARNING)

    assert examine(url).codes == {"outbox_late"}
    assert examine(url).exit_code == 0
    assert examine(url, "--strict").exit_code == 1


def test_what_is_ignored_is_not_reported(url: str) -> None:
    """A code that was ignored neither appears nor fails."""
    execute(url, ERROR)

    examined = examine(url, "--ignore", "member_count")

    assert (examined.exit_code, examined.codes) == (0, set())


def test_what_is_ignored_is_not_mended(url: str) -> None:
    """A repair does not change places of an ignored code."""
    execute(url, ERROR)

    examine(url, "--repair", "--ignore=member_count")

    assert examine(url).codes == {"member_count"}


def test_no_database_exits_2(tmp_path: Path) -> None:
    """A database that cannot be reached is a problem in the report, not a finding."""
    examined = examine(f"postgresql://besedka@/besedka?host={tmp_path}")

    assert examined.exit_code == 2
    assert not examined.report["complete"]
    assert str(tmp_path) in examined.report["problem"]


def test_an_empty_database_exits_with_a_reason(url: str) -> None:
    """Without tables the check cannot finish, and says that they were never made."""
    execute(url, "DROP TABLE django_migrations")

    examined = examine(url)

    assert examined.exit_code == 1
    assert examined.codes == {"migration_missing"}
    assert "run `migrate` first" in examined.report["problem"]


def test_a_wrong_address_exits_2() -> None:
    """A mistake in the environment is one line, and not a finding."""
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=PROJECT,
        env={"DATABASE_URL": "mysql://somewhere", "DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr == "DATABASE_URL must begin with postgresql://, not 'mysql'.\n"


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_closed_pipe_ends_the_run_quietly(url: str, options: list[str]) -> None:
    """After `| head` the command ends as SIGPIPE ends other programs, and prints nothing."""
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", *TOLERANT, *options],
        cwd=PROJECT,
        env={"DATABASE_URL": url},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("options", [["--seconds=nan"], ["--seconds=-5"], ["--late=soon"]])
def test_a_wrong_option_exits_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Monitoring never takes a mistake of its own for damage."""
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", "doctor", *options])

    assert ended.value.code == 2
    assert options[0].split("=")[0] in capsys.readouterr().err


def test_out_of_time_exits_2_and_says_where_to_go_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time ends among the rooms: one is named, and a run from it on finds what was left."""
    execute(url, f"UPDATE chat_room SET member_count = 0 WHERE id = {BUSY}")
    monkeypatch.setattr(examination, "ROOMS", 1)
    with monkeypatch.context() as patched:
        # Each look at the clock is a second later, so a run ends at the same place each time.
        runs = (examine_by_steps(url, patched, seconds) for seconds in range(1, 100))
        first = next(run for run in runs if run.report["next_room"] == HALF_FORGOTTEN)

    second = examine(url, "--from-room", str(first.report["next_room"]))

    assert first.exit_code == 2
    assert first.report["problem"] == "The time is over."
    assert first.report["checked"]["rooms"] == 1
    assert second.codes == {"member_count"}
    assert second.report["checked"]["rooms"] == 5


def examine_by_steps(url: str, patched: pytest.MonkeyPatch, seconds: int) -> Examined:
    """Examine under a clock that goes on by a second whenever it is looked at."""
    clock = itertools.count()
    patched.setattr(time, "monotonic", lambda: next(clock))
    return examine(url, f"--seconds={seconds}")


def test_a_finding_outweighs_an_end_too_early(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found before the time was over is certain: 1, and the report is not complete."""
    execute(url, "DROP INDEX chat_room_search_text")

    examined = examine_by_steps(url, monkeypatch, 20)

    assert examined.exit_code == 1
    assert not examined.report["complete"]


@pytest.mark.slow
def test_a_chunk_that_takes_too_long_is_halved(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the members of a room are slow to read, fewer are read at a time, and all are read."""
    execute(
        url,
        # A plan that calls this for each row, as the doctor calls it for each member.
        "CREATE OR REPLACE FUNCTION chat.personal_channel(p_user_id text) RETURNS text"
        " LANGUAGE plpgsql IMMUTABLE STRICT AS $$ BEGIN PERFORM pg_sleep(0.001);"
        " RETURN 'personal:' || p_user_id; END $$",
    )
    monkeypatch.setattr(examination, "STATEMENT_SECONDS", 0.5)
    monkeypatch.setattr(examination, "ROWS", 1000)

    examined = examine(url, "--ignore=function_altered", "--ignore=member_channel")

    assert examined.report["complete"], examined.report["problem"]
    assert examined.report["checked"]["members"] == 1013


def test_a_lock_on_a_table_ends_the_run(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a migration that locks a table the doctor gives up with 2 instead of waiting."""
    monkeypatch.setattr(examination, "STATEMENT_SECONDS", 0.05)
    with psycopg.connect(url) as locking:
        locking.execute("LOCK TABLE chat_event")

        examined = examine(url)

    assert examined.exit_code == 2
    assert examined.report["next_room"] == 1


def test_the_report_has_its_shape(url: str) -> None:
    """The report has the same keys with the same types, whatever was found."""
    execute(url, f"{ERROR};{WARNING}")

    report = examine(url).report

    assert {key: type(value) for key, value in report.items()} == {
        "complete": bool,
        "problem": type(None),
        "next_room": type(None),
        "seconds": float,
        "checked": dict,
        "findings": list,
    }
    assert [finding["code"] for finding in report["findings"]] == ["member_count", "outbox_late"]
    for finding in report["findings"]:
        assert {key: type(value) for key, value in finding.items()} == {
            "code": str,
            "severity": str,
            "count": int,
            "mended": int,
            "is_mendable": bool,
            "examples": list,
            "meaning": str,
        }


def test_every_code_is_documented() -> None:
    """Each code, and each option, has its place in docs/operations.md."""
    page = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")

    options = {"--json", "--repair", "--strict", "--seconds", "--from-room", "--late", "--ignore"}
    assert {code for code in CODES if f"| `{code}`" not in page} == set()
    assert {option for option in options if f"`{option}" not in page} == set()
