"""C10: the service went on working, and came to rest; and the run was long enough to tell."""

from itertools import pairwise
from math import inf

from tests.history.runs import Run
from tests.history.verdict import Bounds, Verdict

Window = tuple[float, float]


def check_liveness(run: Run, verdict: Verdict, bounds: Bounds) -> None:
    """C10: sends are acknowledged throughout, and after the last fault all comes to rest in time.

    From the first send to the last call of one, the times between acknowledgements are the
    silences. What of a silence lies in a fault is measured by one bound, each part outside by the
    other. Rest counts from the stop of the last fault; without one, from the last call.
    """
    calls = run.calls.get("send", [])
    acknowledged = sorted(call.complete for call in calls if call.status == "ok")
    begin = min((call.invoke for call in calls), default=0.0)
    ended = [call.complete for call in calls if call.complete < inf]
    end = max([begin, *ended, *(call.invoke for call in calls)])
    windows = _merge_windows(run.faults)
    for silence in pairwise([begin, *acknowledged, end]):
        inside, outside = _split_silence(silence, windows)
        verdict.longest_silence_in_fault = max(verdict.longest_silence_in_fault, inside)
        verdict.longest_silence_outside = max(verdict.longest_silence_outside, outside)
    _compare("in a fault", verdict.longest_silence_in_fault, bounds.silence_in_fault, verdict)
    _compare("outside", verdict.longest_silence_outside, bounds.silence_outside, verdict)

    healed = max((stop for _, stop in windows), default=end)
    if healed == inf:
        verdict.add("C10", "a fault did not stop")
    elif run.rest is None or run.rest < healed:
        verdict.add("C10", "nobody saw the system at rest after the last fault")
    else:
        verdict.time_to_rest = run.rest - healed
        if verdict.time_to_rest > bounds.time_to_rest:
            verdict.add(
                "C10", f"at rest after {verdict.time_to_rest:.1f} s, not {bounds.time_to_rest} s"
            )


def check_power(run: Run, verdict: Verdict, bounds: Bounds) -> None:
    """power: enough sends were acknowledged; a run in which little happened proves nothing."""
    verdict.acknowledged = sum(send.status == "ok" for send in run.sends.values())
    if verdict.acknowledged < bounds.min_sends:
        verdict.add(
            "power", f"{verdict.acknowledged} messages were acknowledged, not {bounds.min_sends}"
        )


def _compare(where: str, silence: float, bound: float, verdict: Verdict) -> None:
    if silence > bound:
        verdict.add("C10", f"no send was acknowledged for {silence:.1f} s {where}, not {bound} s")


def _merge_windows(faults: list[Window]) -> list[Window]:
    """Join the faults that overlap."""
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
