"""Checks a history against every guarantee that a client relies on."""

from tests.history.checks.changes import check_changes
from tests.history.checks.continuity import check_continuity
from tests.history.checks.liveness import check_enough_happened, check_liveness
from tests.history.checks.messages import (
    check_acknowledged,
    check_finals_agree,
    check_order,
    check_phantoms,
    check_single,
)
from tests.history.checks.read_pages import check_pages
from tests.history.checks.received import (
    check_applied,
    check_frames,
    check_leaks,
    check_log,
    check_publishing,
    check_states,
    check_unasked,
)
from tests.history.checks.unread import check_unread
from tests.history.recorder import Record
from tests.history.runs import read_run
from tests.history.verdict import Bounds, Check, Verdict

__all__ = ["Bounds", "Check", "Verdict", "check"]


def check(records: list[Record], bounds: Bounds | None = None) -> Verdict:
    """Return what every check found, in O(n log n) of the number of records.

    Raises:
        HistoryError: the records contradict the format.
    """
    run, verdict = read_run(records), Verdict()
    bounds = bounds or Bounds()
    for check_one in (
        check_finals_agree,
        check_acknowledged,
        check_changes,
        check_phantoms,
        check_single,
        check_order,
        check_pages,
        check_log,
        check_frames,
        check_applied,
        check_leaks,
        check_publishing,
        check_unasked,
        check_states,
    ):
        check_one(run, verdict)
    if bounds.is_continuous:
        check_continuity(run, verdict)
    check_unread(run, verdict, bounds.unread_reach)
    check_liveness(run, verdict, bounds)
    check_enough_happened(run, verdict, bounds)
    return verdict
