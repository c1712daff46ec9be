"""How long all senders, or one, may wait for an answer, and what a run must contain."""

from math import inf

from tests.history.checker import Bounds, Check, check
from tests.history.checks.liveness import _merge_windows, _split_silence
from tests.history.correct import make_history
from tests.history.recorder import Record


def test_an_empty_run_fails() -> None:
    """A run that did nothing proves nothing."""
    assert check([]).failures.keys() == {Check.SERVICE_GOES_ON, Check.ENOUGH_HAPPENED}


def test_a_silence_is_split_where_faults_begin_and_end() -> None:
    """The part within a fault and the parts outside have bounds of their own."""
    windows = _merge_windows([(10, 20), (15, 30), (50, inf)])

    assert windows == [(10, 30), (50, inf)]
    assert _split_silence((5, 8), windows) == (0, 3)
    assert _split_silence((12, 14), windows) == (2, 0)
    assert _split_silence((8, 33), windows) == (20, 3)
    assert _split_silence((25, 60), windows) == (10, 20)


def test_a_sender_who_waits_is_named_although_others_have_answers() -> None:
    """The other sender has an answer each second; this one's message is refused again and again."""
    records: list[Record] = []
    for n in range(40):
        for user, end in (("u", "ok"), ("w", "info")):
            asked = {"room": 1, "user": user, "key": f"k{n}" if user == "u" else "k", "content": ""}
            op = f"{user}{n}"
            records += [
                {"at": n, "type": "invoke", "op": op, "process": "p", "action": "send", **asked},
                {"at": n + 0.5, "type": end, "op": op, "id": n, "seq": n},
            ]
    records.sort(key=lambda record: float(record["at"]))

    verdict = check(records, Bounds(silence_outside=30))
    assert [text for text in verdict.failures[Check.SERVICE_GOES_ON] if "w" in text.split()] == [
        "no send of w was acknowledged for 39.5 s outside, not 35.0 s"
    ]
    assert verdict.longest_wait == 39.5
    assert verdict.longest_silence_outside == 1.0
    assert "longest wait of one sender 39.5 s" in verdict.describe()


def test_what_a_run_lacks_is_named() -> None:
    """The verdict says which part of the traffic did not happen."""
    texts = check([]).failures[Check.ENOUGH_HAPPENED]

    assert [text.split(" were ")[0].removeprefix("0 ") for text in texts] == [
        "messages",
        "calls of add",
        "calls of remove",
        "calls of delete",
        "calls of rename",
        "pages",
        "frames",
    ]


def test_imported_messages_are_shown_if_there_are_any() -> None:
    """They do not count as traffic, and the verdict has their number."""
    records = make_history(2)
    verdict = check(records)
    none = [record for record in records if record.get("by") != "sql"]
    left = {record["op"] for record in records if record.get("by") == "sql"}
    without = check([record for record in none if record.get("op") not in left])

    assert f"acknowledged, {verdict.imported} imported, 0 lost" in verdict.describe()
    assert "imported" not in without.describe().split("\n")[1]
