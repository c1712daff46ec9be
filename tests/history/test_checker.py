"""A correct history passes, the figures are right, and large histories are checked in time."""

import gc
import json
import subprocess
import sys
import time
from math import inf
from pathlib import Path

import pytest

from tests.history.checker import Bounds, Check, check
from tests.history.correct import make_history
from tests.history.operations import merge_sends, read_operations
from tests.history.planted import PLANTED
from tests.history.recorder import HistoryError, Record, read_history
from tests.history.timeline import FirstAfter, RisingValue, count_points
from tests.history.world import KEEP
from tests.support.processes import PROJECT


@pytest.mark.parametrize("seed", range(100, 108))
def test_a_correct_history_passes(seed: int) -> None:
    """Nothing is found if nothing is wrong, and the figures are those of the history."""
    records = make_history(seed)

    verdict = check(records)

    frames = [(each["device"], each["room"], each["version"]) for each in _of(records, "frame")]
    answers = {each["id"] for each in _of(records, "ok") if "seq" in each}
    imported = [each for each in _of(records, "invoke") if each.get("by") == "sql"]
    stored = [row for final in _of(records, "final_db") for row in final["messages"]]
    _, stop = _of(records, "fault")
    (rest,) = _of(records, "rest")
    assert verdict.ok, verdict.describe()
    assert verdict.acknowledged == len(answers) - len(imported) > 500
    assert verdict.imported == len(imported) > 0
    assert verdict.recovered_info == len(stored) - len(answers) > 0
    assert verdict.duplicate_frames == len(frames) - len(set(frames)) > 0
    assert (verdict.lost, verdict.doubled, verdict.leaked, verdict.missed) == (0, 0, 0, 0)
    assert verdict.time_to_rest == rest["at"] - stop["at"]


@pytest.mark.parametrize(
    "name, figures",
    [
        ("message_is_lost", (1, 0, 0)),
        ("message_is_stored_twice", (0, 1, 0)),
        ("event_is_applied_twice", (0, 1, 0)),
        ("events_are_applied_again_after_a_snapshot", (0, 11, 0)),
        ("imported_message_is_lost", (1, 0, 0)),
        ("user_who_left_receives_more", (0, 0, 1)),
        ("user_who_left_applies_more", (0, 0, 2)),
    ],
)
def test_the_figures_count_what_happened(name: str, figures: tuple[int, int, int]) -> None:
    """What is lost, doubled or leaked once is counted once."""
    (planted,) = [planted for planted in PLANTED if planted.name == name]

    verdict = check(planted.plant(make_history(2)))

    assert (verdict.lost, verdict.doubled, verdict.leaked) == figures


def test_a_correct_history_has_all_that_happens_in_a_run() -> None:
    """The planted defects are put into histories that use the whole format."""
    records = make_history(2)
    kinds = {record["type"] for record in records}
    actions = {record["action"] for record in records if record["type"] == "invoke"}
    calls = [record for record in records if record["type"] == "invoke"]
    sent = [(call["room"], call["user"], call["key"]) for call in calls if "key" in call]

    assert kinds == {
        "run", "connect", "invoke", "ok", "fail", "info", "frame", "subscribed", "fetch", "apply",
        "snapshot", "forget", "fault", "rest", "final_api", "final_db", "final_device",
    }  # fmt: skip
    assert actions == {
        "send", "add", "remove", "delete", "rename", "read_page", "mark_read", "unread",
    }  # fmt: skip
    assert len(sent) > len(set(sent))
    assert {record["recovered"] for record in records if record.get("was_recovering")} == {
        True,
        False,
    }
    assert any(call.get("by") == "sql" for call in calls)


def test_two_operations_that_overlap_may_have_either_order() -> None:
    """Real time orders two messages only if one was answered before the other was sent."""
    records = _two_sends((1.0, 2.0), (1.5, 1.6))

    assert Check.ONE_ORDER not in check(records).failures


def test_a_message_answered_before_another_was_sent_comes_before_it() -> None:
    """Seq 1 was sent after seq 2 had been answered."""
    records = _two_sends((1.0, 2.0), (0.5, 0.9))

    (text,) = check(records).failures[Check.ONE_ORDER]
    assert "seq 2 was acknowledged 0.1" in text


def test_a_retry_is_the_same_message_from_its_first_call() -> None:
    """The first call and the first answer count, not the last."""
    records = [
        {"at": 0.1, "type": "invoke", "op": 9, "process": "p", "action": "send"}
        | {"room": 1, "user": "u", "key": "k1", "content": "c"},
        *_two_sends((1.0, 2.0), (0.5, 0.9)),
    ]

    assert Check.ONE_ORDER not in check(records).failures


@pytest.mark.parametrize(
    "ends, status",
    [
        (["ok", "info"], "ok"),
        (["info", "ok"], "ok"),
        (["fail", "ok"], "ok"),
        (["info", "fail"], "info"),
        (["fail", "info"], "info"),
        (["fail", "none"], "info"),
        (["none"], "info"),
        (["fail", "fail"], "fail"),
    ],
)
def test_the_status_of_a_message_follows_from_all_its_calls(ends: list[str], status: str) -> None:
    """A message is acknowledged if any call was, and refused only if every call was."""
    records: list[Record] = []
    for n, end in enumerate(ends):
        asked = {"room": 1, "user": "u", "key": "k", "content": "c"}
        records += [
            {"at": n, "type": "invoke", "op": n, "process": "p", "action": "send", **asked},
            {"at": n + 0.5, "type": end, "op": n, "id": 1, "seq": 1},
        ]
    known = [record for record in records if record["type"] != "none"]

    (send,) = merge_sends(read_operations(known)["send"]).values()

    assert send.status == status
    assert send.invoke == 0
    assert send.complete == (ends.index("ok") + 0.5 if "ok" in ends else inf)


@pytest.mark.parametrize(
    "reach, count, is_right",
    [(200, 200, True), (200, 250, False), (None, 250, True), (None, 200, False)],
)
def test_a_device_counts_as_unread_what_it_holds(
    reach: int | None, count: int, *, is_right: bool
) -> None:
    """Of 250 unread messages a device that holds 200 shows 200, and one that holds all, 250."""
    for at_rest in (9.0, 11.0):
        records = [
            *_many_sends(250),
            {"at": 8.0, "type": "snapshot", "device": "d", "user": "v", "room": 1, "version": 250},
            *_unread(at_rest, count),
            {"at": 10.0, "type": "rest"},
        ]
        failures = check(records, Bounds(unread_reach=reach)).failures.get(Check.UNREAD_COUNTS, [])
        is_named = any(f"showed {count}" in text for text in failures)

        # During traffic it is not known exactly what a device holds: only the lower bound is exact.
        assert is_named != (is_right or (at_rest == 9.0 and count == 250))


def test_a_device_does_not_count_what_it_saw_deleted() -> None:
    """After it applied the deletion, the message is not unread; before, it may be either."""
    sends = _many_sends(10)
    final = sends[-1]
    final["version"] = 11
    final["messages"][4] |= {"deleted": True, "content": ""}
    final["events"].append(
        {"version": 11, "type": "message_deleted", "user": "u", "id": 5, "change": 11}
    )
    deletion = {"op": 88, "process": "p", "action": "delete", "room": 1, "id": 5}
    seen = {"type": "snapshot", "device": "d", "user": "v", "room": 1}
    for version, counts in ((10, [9, 10]), (11, [9])):
        allowed = [
            count
            for count in range(12)
            if Check.UNREAD_COUNTS
            not in check(
                [
                    *sends,
                    {"at": 7.0, "type": "invoke", **deletion},
                    {"at": 7.1, "type": "ok", "op": 88},
                    {"at": 8.0, "version": version, **seen},
                    *_unread(9.0, count),
                ]
            ).failures
        ]

        assert allowed == counts


def test_failures_are_counted_and_the_first_twenty_are_shown() -> None:
    """The verdict on a run with thousands of failures names each failed check by its sentence."""
    records = make_history(2)
    for record in records:
        if record["type"] == "final_api":
            record["messages"] = []
        if record["type"] == "apply":
            record["event_type"] = "nothing"

    verdict = check(records)

    assert len(verdict.failures[Check.APPLIED_AS_LOGGED]) == 20
    assert verdict.counts[Check.APPLIED_AS_LOGGED] > 1000
    assert len(verdict.failures[Check.FINAL_READS_AGREE]) == 3
    more = verdict.counts[Check.APPLIED_AS_LOGGED] - 20
    assert f"C6a: and {more} more" in verdict.describe()
    assert (
        "not true: every device applies the events of the log, all and in order (C6a)\n"
        in verdict.describe()
    )


@pytest.mark.parametrize(
    "record",
    [
        {"type": "ok", "op": 77},
        {"type": "invoke", "op": 1},
        {"type": "invented"},
        {"type": "fault", "name": "never begun", "phase": "stop"},
        {"type": "apply", "room": 1},
        {"type": "final_db", "room": 1, "version": 0, "last_seq": 0, "members": []}
        | {"messages": [], "events": []},
    ],
)
def test_a_record_that_the_format_does_not_have_is_refused(record: Record) -> None:
    """A misspelt record is an error: otherwise its content would be ignored silently."""
    with pytest.raises(HistoryError):
        check([{"at": 1.0, **record}])


@pytest.mark.parametrize("action", ["add", "remove", "rename"])
def test_an_answer_without_its_version_is_refused(action: str) -> None:
    """Without a version the answer cannot be checked."""
    asked = {"op": 1, "process": "p", "action": action, "room": 1, "user": "u", "name": "n"}
    with pytest.raises(HistoryError, match=f"{action} has no version"):
        check([{"at": 1.0, "type": "invoke", **asked}, {"at": 2.0, "type": "ok", "op": 1}])


def test_the_least_later_value_is_found() -> None:
    """Only values with a later time count, not those at the time itself."""
    value = FirstAfter([(3.0, 5), (1.0, 2), (2.0, 9)])

    assert [value.after(at) for at in (0.5, 1.0, 2.0, 3.0)] == [2, 5, 5, inf]


def test_a_rising_value_is_known_at_any_time() -> None:
    """It is the greatest value with an earlier time, in any order of input."""
    value = RisingValue([(3.0, 5), (1.0, 2), (2.0, 9)])

    assert [value.before(at) for at in (1.0, 1.5, 2.5, 4.0)] == [0, 2, 9, 9]


def test_points_are_counted_as_one_by_one() -> None:
    """One pass counts the same as a loop over all points."""
    points = [(float(n % 7), n % 11, f"user{n % 3}") for n in range(200)]
    queries = [(float(n % 9), n % 12, f"user{n % 4}") for n in range(100)]

    assert count_points(points, queries) == [
        sum(when <= until and seq > above and owner != user for when, seq, owner in points)
        for until, above, user in queries
    ]


def test_the_world_holds_as_many_messages_as_the_bounds_say() -> None:
    """The unread counts of the simulated devices are those that the checker expects."""
    assert Bounds().unread_reach == KEEP


def test_a_kept_history_is_checked_from_its_file(tmp_path: Path) -> None:
    """`python -m tests.history FILE` prints the verdict and returns 0, 1, or 2 if it cannot."""
    path = tmp_path / "history"
    records = make_history(3)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))

    assert _check_file(path) == (0, check(read_history(path)).describe() + "\n")
    assert _check_file(path, "--min-sends", "5000")[0] == 1
    assert _check_file(path, "--no-is-continuous")[0] == 0
    path.write_text("nothing\n")
    assert _check_file(path)[0] == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_large_history_is_checked_in_a_few_seconds(tmp_path: Path) -> None:
    """50,000 operations and 200,000 records of devices take about as long as reading them.

    The bound is three times that, in CPU time of this process, so that it holds on any machine.
    """
    path = tmp_path / "history"
    with path.open("w") as file:
        for record in make_history(1, sends=40_000, users=4):
            file.write(f"{json.dumps(record)}\n")
    # The collector's share depends on how many objects earlier tests have left in this process.
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        with path.open() as file:
            records = [json.loads(line) for line in file]
        parsed = time.process_time()
        verdict = check(records, Bounds(time_to_rest=inf))
        checked = time.process_time()
    finally:
        gc.enable()

    kinds = [record["type"] for record in records]
    assert kinds.count("invoke") >= 50_000
    assert sum("device" in record for record in records) >= 200_000
    assert verdict.ok, verdict.describe()
    assert checked - parsed < 3 * (parsed - began)


def _of(records: list[Record], kind: str) -> list[Record]:
    return [record for record in records if record["type"] == kind]


def _two_sends(first: tuple[float, float], second: tuple[float, float]) -> list[Record]:
    """Return a history of the sends of seqs 1 and 2, begun and answered at these times."""
    records: list[Record] = []
    for n, (invoke, complete) in enumerate((first, second), start=1):
        asked = {"room": 1, "user": "u", "key": f"k{n}", "content": "c"}
        records += [
            {"at": invoke, "type": "invoke", "op": n, "process": "p", "action": "send", **asked},
            {"at": complete, "type": "ok", "op": n, "id": n, "seq": n},
        ]
    rows = [
        {"seq": n, "id": n, "user": "u", "key": f"k{n}", "content": "c", "deleted": False}
        for n in (1, 2)
    ]
    final: Record = {
        "room": 1,
        "name": "n",
        "version": 0,
        "last_seq": 2,
        "messages": rows,
        "events": [],
        "members": [],
    }
    return [*records, {"at": 9.0, "type": "final_db", **final}]


def _many_sends(count: int) -> list[Record]:
    """Return a history of a room with messages of u; v is there too."""
    records: list[Record] = []
    for n in range(1, count + 1):
        asked = {"room": 1, "user": "u", "key": f"k{n}", "content": "c"}
        records += [
            {"at": n / 100, "type": "invoke", "op": n, "process": "p", "action": "send", **asked},
            {"at": n / 100 + 0.001, "type": "ok", "op": n, "id": n, "seq": n},
        ]
    row = {"user": "u", "content": "c", "deleted": False}
    event = {"type": "message_added", "user": "u"}
    rows = [{**row, "seq": n, "id": n, "key": f"k{n}"} for n in range(1, count + 1)]
    events = [{**event, "version": n, "id": n, "change": n} for n in range(1, count + 1)]
    final = {"room": 1, "name": "n", "version": count, "last_seq": count, "members": ["u", "v"]}
    return [*records, {"at": 20.0, "type": "final_db", "messages": rows, "events": events, **final}]


def _unread(at: float, count: int) -> list[Record]:
    """Return the question, and the answer, of what v's device shows."""
    asked = {"action": "unread", "device": "d", "user": "v", "room": 1}
    return [
        {"at": at, "type": "invoke", "op": 99, "process": "p", **asked},
        {"at": at + 0.1, "type": "ok", "op": 99, "count": count},
    ]


def _check_file(path: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.history", path, *options],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout
