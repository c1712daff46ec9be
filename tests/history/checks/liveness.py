"""C10 and C11: the service went on, work came to an end, and enough happened to say so."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from math import inf

from tests.history.operations import Key, Operation
from tests.history.runs import Run
from tests.history.verdict import Bounds, Check, Verdict

Window = tuple[float, float]
_CHANGES = ("add", "remove", "delete", "rename")


def check_liveness(run: Run, verdict: Verdict, bounds: Bounds) -> None:
    """C10: sends are acknowledged throughout, and after the last fault all work is done in time.

    The silences are the times between acknowledgements, from the first call of a send to the last;
    sends by SQL do not count. The part of a silence within a fault has one bound, each part outside
    has another. The time to rest counts from the end of the last fault or, if there is none, from
    the last call.
    """
    calls = [call for call in run.calls.get("send", ()) if not call.is_imported]
    acknowledged = sorted(call.complete for call in calls if call.status == "ok")
    begin = min((call.invoke for call in calls), default=0.0)
    ended = [call.complete for call in calls if call.complete < inf]
    end = max([begin, *ended, *(call.invoke for call in calls)])
    windows = _merge_windows(run.faults)
    inside, outside = _find_longest(pairwise([begin, *acknowledged, end]), windows)
    verdict.longest_silence_in_fault, verdict.longest_silence_outside = inside, outside
    what = "no send was acknowledged"
    _compare(what, inside, outside, bounds, 0, verdict)
    _check_senders(calls, end, windows, verdict, bounds)

    healed = max((stop for _, stop in windows), default=end)
    if healed == inf:
        verdict.add(Check.SERVICE_GOES_ON, "a fault has no end")
    elif run.rest is None or run.rest < healed:
        verdict.add(Check.SERVICE_GOES_ON, "the system did not come to rest after the last fault")
    else:
        verdict.time_to_rest = run.rest - healed
        if verdict.time_to_rest > bounds.time_to_rest:
            verdict.add(
                Check.SERVICE_GOES_ON,
                f"at rest after {verdict.time_to_rest:.1f} s, not {bounds.time_to_rest} s",
            )


def _check_senders(
    calls: list[Operation], end: float, windows: list[Window], verdict: Verdict, bounds: Bounds
) -> None:
    """C10: no sender waits long for an answer while others have theirs.

    A message is under way from its first call to its first acknowledgement, including retries and
    the pauses between them. Without an acknowledgement it is under way to the end of its last call
    or, if that has none, to the end of all sends. While a sender has a message under way, the times
    between its acknowledgements are its waits.
    """
    for user, (spans, acknowledged) in _group_by_sender(calls, end).items():
        waits: list[Window] = []
        times = sorted(acknowledged)
        for start, stop in _merge_windows(spans):
            within = times[bisect_left(times, start) : bisect_right(times, stop)]
            waits += pairwise([start, *within, stop])
        longest = max((stop - start for start, stop in waits), default=0.0)
        verdict.longest_wait = max(verdict.longest_wait, longest)
        inside, outside = _find_longest(waits, windows)
        what = f"no send of {user} was acknowledged"
        _compare(what, inside, outside, bounds, bounds.patience, verdict)


def _group_by_sender(
    calls: list[Operation], end: float
) -> dict[str, tuple[list[Window], list[float]]]:
    """Return for each sender the times of each message, and those of the acknowledgements."""
    messages: defaultdict[Key, list[Operation]] = defaultdict(list)
    for call in calls:
        asked = call.arguments
        messages[asked["room"], asked["user"], asked["key"]].append(call)
    senders: defaultdict[str, tuple[list[Window], list[float]]] = defaultdict(lambda: ([], []))
    for (_, user, _), tries in messages.items():
        spans, times = senders[user]
        answers = [call.complete for call in tries if call.status == "ok"]
        last = min(answers, default=max(min(call.complete, end) for call in tries))
        spans.append((min(call.invoke for call in tries), last))
        times += answers
    return dict(senders)


def check_enough_happened(run: Run, verdict: Verdict, bounds: Bounds) -> None:
    """C11: enough was acknowledged; a run in which little happened proves nothing.

    Only sends by HTTP count, each message once. Each kind of change must have been acknowledged.
    """
    stored = [send for send in run.sends.values() if send.status == "ok"]
    verdict.imported = sum(send.is_imported for send in stored)
    verdict.acknowledged = len(stored) - verdict.imported
    done = {
        action: sum(call.status == "ok" for call in run.calls.get(action, ()))
        for action in (*_CHANGES, "read_page")
    }
    for what, count, least in (
        ("messages were acknowledged", verdict.acknowledged, bounds.min_sends),
        *((f"calls of {action} were acknowledged", done[action], 1) for action in _CHANGES),
        ("pages were read", done["read_page"], bounds.min_pages),
        ("frames were received", len(run.frames), bounds.min_frames),
    ):
        if count < least:
            verdict.add(Check.ENOUGH_HAPPENED, f"{count} {what}, not {least}")


def _find_longest(times: Iterable[Window], windows: list[Window]) -> tuple[float, float]:
    """Return the longest part of any within a fault, and the longest outside."""
    parts = [_split_silence(each, windows) for each in times]
    return (
        max((inside for inside, _ in parts), default=0.0),
        max((outside for _, outside in parts), default=0.0),
    )


def _compare(
    what: str, inside: float, outside: float, bounds: Bounds, more: float, verdict: Verdict
) -> None:
    for where, silence, bound in (
        ("in a fault", inside, bounds.silence_in_fault + more),
        ("outside", outside, bounds.silence_outside + more),
    ):
        if silence > bound:
            verdict.add(Check.SERVICE_GOES_ON, f"{what} for {silence:.1f} s {where}, not {bound} s")


def _merge_windows(faults: list[Window]) -> list[Window]:
    """Merge the faults that overlap."""
    merged: list[Window] = []
    for start, stop in sorted(faults):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


def _split_silence(silence: Window, windows: list[Window]) -> tuple[float, float]:
    """Return the longest part of a silence within one fault, and the longest outside of all."""
    begin, end = silence
    inside = outside = 0.0
    for start, stop in windows:
        inside = max(inside, min(stop, end) - max(start, begin))
        outside = max(outside, min(start, end) - begin)
        begin = max(begin, min(stop, end))
    return inside, max(outside, end - begin)
