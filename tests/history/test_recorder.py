"""What is recorded is in the file, complete and in order, even if the run is killed."""

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.history.recorder import HistoryError, Recorder, read_history


def test_a_history_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    """Operations have numbers of their own, and all fields are read as they were written."""
    with Recorder(tmp_path / "history") as recorder:
        recorder.write("run", seed=1, fault="none", realtime="gateway")
        first = recorder.invoke("sender", "send", room=1, user="я", key="k", content='"\n\ud800')
        second = recorder.invoke("sender", "delete", room=1, id=5)
        recorder.info(second, why="timeout")
        recorder.ok(first, id=7, seq=1)
        third = recorder.invoke("sender", "delete", room=1, id=7)
        recorder.fail(third, status=403)

    records = read_history(tmp_path / "history")

    assert [{**record, "at": 0} for record in records[1:3]] == [
        {
            "at": 0,
            "type": "invoke",
            "op": first,
            "process": "sender",
            "action": "send",
            "room": 1,
            "user": "я",
            "key": "k",
            "content": '"\n\ud800',
        },
        {
            "at": 0,
            "type": "invoke",
            "op": second,
            "process": "sender",
            "action": "delete",
            "room": 1,
            "id": 5,
        },
    ]
    ends = [(record["type"], record["op"]) for record in records[3:] if "why" not in record]
    assert ends == [("ok", first), ("invoke", third), ("fail", third)]
    assert len({first, second, third}) == 3


def test_a_record_is_in_the_file_when_the_call_returns(tmp_path: Path) -> None:
    """If the run is killed the next moment, the record is still there."""
    path = tmp_path / "history"
    program = (
        "import os, pathlib, sys; from tests.history.recorder import Recorder;"
        "recorder = Recorder(pathlib.Path(sys.argv[1])); recorder.write('rest'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, path], check=False, timeout=60)

    assert [record["type"] for record in read_history(path)] == ["rest"]


def test_threads_and_a_loop_write_whole_lines_with_rising_times(tmp_path: Path) -> None:
    """No line is mixed with another, no number is used twice, and no time decreases."""

    def record_many(process: int) -> None:
        for n in range(500):
            recorder.ok(recorder.invoke(f"process {process}", "send", content="x" * n))

    async def record_in_loop() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(4) as threads:
            running = [loop.run_in_executor(threads, record_many, n) for n in range(4)]
            for n in range(500):
                recorder.write("frame", n=n)
                await asyncio.sleep(0)
            await asyncio.gather(*running)

    with Recorder(tmp_path / "history") as recorder:
        asyncio.run(record_in_loop())

    records = read_history(tmp_path / "history")
    times = [record["at"] for record in records]
    begun = [record["op"] for record in records if record["type"] == "invoke"]
    assert len(records) == 4500
    assert times == sorted(times)
    assert len(set(begun)) == len(begun) == 2000


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_last_line_that_was_cut_in_half_is_left_out(tmp_path: Path, kept: int) -> None:
    """A kill in the middle of a write loses that record and no other."""
    whole = json.dumps({"at": 1.5, "type": "rest"})
    path = tmp_path / "history"
    path.write_text(f"{whole}\n{whole}\n{whole[:kept]}")

    assert read_history(path) == [json.loads(whole)] * 2


def test_a_last_line_without_a_line_break_counts(tmp_path: Path) -> None:
    """A complete record is not left out."""
    path = tmp_path / "history"
    path.write_text('{"at": 1, "type": "rest"}')

    assert len(read_history(path)) == 1


@pytest.mark.parametrize(
    "line", ["{", "", "7", '{"at": 1}', '{"at": 1, "type": "rest"}, {}', '{"at": 1, "type": "re']
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    """The error for an edited history names the wrong line."""
    path = tmp_path / "history"
    path.write_text(f'{{"at": 1, "type": "rest"}}\n{line}\n{{"at": 2, "type": "rest"}}\n')

    with pytest.raises(HistoryError, match="line 2"):
        read_history(path)


def test_a_field_that_is_no_json_is_refused_and_the_file_is_unchanged(tmp_path: Path) -> None:
    """A mistake of the caller does not write a broken line."""
    with Recorder(tmp_path / "history") as recorder:
        recorder.write("rest")
        with pytest.raises(TypeError):
            recorder.write("frame", event=object())
        recorder.write("rest")

    assert [record["type"] for record in read_history(tmp_path / "history")] == ["rest", "rest"]


def test_the_end_of_a_fault_is_recorded_even_if_its_block_raises(tmp_path: Path) -> None:
    """The error is raised again, and the time after it does not count as part of the fault."""

    def fail(recorder: Recorder) -> None:
        with recorder.fault("cut"):
            recorder.write("rest")
            raise ConnectionError

    with Recorder(tmp_path / "history") as recorder, pytest.raises(ConnectionError):
        fail(recorder)

    start, rest, stop = read_history(tmp_path / "history")
    assert (start["type"], start["name"], start["phase"]) == ("fault", "cut", "start")
    assert rest["type"] == "rest"
    assert (stop["type"], stop["name"], stop["phase"]) == ("fault", "cut", "stop")
