"""C5: a page has no gap, nothing that was rolled back, and everything that was known."""

from bisect import bisect_right
from collections import defaultdict
from math import inf
from typing import Any

from tests.history.operations import Operation
from tests.history.rooms import Room, Row
from tests.history.runs import Run
from tests.history.timeline import RisingValue
from tests.history.verdict import Check, Verdict


def check_pages(run: Run, verdict: Verdict) -> None:
    """C5: a page after k that ends at s is exactly the messages with k < seq <= s, up to its limit.

    Unless it reached its limit, it has every message that was acknowledged, or that another read
    had shown, before it began. Pages are compared with what the rooms held at the end: a gap that
    was filled later and a message that was rolled back later both differ from that. A deleted text
    may be shown until the deletion was acknowledged, and be missing from when it was requested.
    """
    calls: defaultdict[Any, list[Operation]] = defaultdict(list)
    for call in run.calls.get("read_page", ()):
        if call.status == "ok" and call.arguments["room"] in run.rooms:
            calls[call.arguments["room"]].append(call)
    for number, reads in calls.items():
        room = run.rooms[number]
        seqs = [row.seq for row in room.rows]
        known = _find_known(run, room, reads)
        for call in reads:
            after, page = call.arguments["after"], call.result["messages"]
            last = page[-1][0] if page else after
            rows = room.rows[bisect_right(seqs, after) : bisect_right(seqs, last)]
            for text in (
                _find_difference(page, rows),
                _find_staleness(call, last, known.before(call.invoke)),
                _find_wrong_text(run, call, rows),
            ):
                if text:
                    verdict.add(Check.PAGES_COMPLETE, f"room {number}, read after {after}: {text}")


def _find_known(run: Run, room: Room, reads: list[Operation]) -> RisingValue:
    """Return the greatest seq that any client knew, by time."""
    acknowledged = [
        (send.acknowledged_at(row.id), row.seq)
        for row in room.rows
        if (send := run.sends.get((room.id, row.user, row.key)))
    ]
    shown = [
        (call.complete, seq)
        for call in reads
        for seq, number, *_ in call.result["messages"][-1:]
        if number in room.by_id
    ]
    return RisingValue([*acknowledged, *shown])


def _find_difference(page: list[list[Any]], rows: list[Row]) -> str:
    """Compare everything but the texts."""
    shown = [(seq, number, key) for seq, number, key, _ in page]
    stored = [(row.seq, row.id, row.key) for row in rows]
    if shown == stored:
        return ""
    strange = [entry for entry in shown if entry not in stored]
    missing = [entry for entry in stored if entry not in shown]
    return f"shown but not in the table: {strange[:3]}; in the table but not shown: {missing[:3]}"


def _find_staleness(call: Operation, last: int, known: int) -> str:
    """Compare the page's end with what was known; a full page may end earlier."""
    size, limit = len(call.result["messages"]), call.arguments["limit"]
    if size > limit:
        return f"{size} messages, more than the limit of {limit}"
    if size < limit and known > last:
        return f"stale: ends at {last}, and {known} was known before it began"
    return ""


def _find_wrong_text(run: Run, call: Operation, rows: list[Row]) -> str:
    """Compare the texts, and the times at which they were shown, with sends and deletions."""
    for row, (*_, content) in zip(rows, call.result["messages"], strict=False):
        send = run.sends.get((call.arguments["room"], row.user, row.key))
        if send and send.invoke > call.complete:
            return f"shows seq {row.seq} before it was sent"
        deletions = run.deletions.get(row.id, ())
        if content:
            was_gone = min(
                (each.complete for each in deletions if each.status == "ok"), default=inf
            )
            if was_gone < call.invoke:
                return f"shows the text of seq {row.seq} after its deletion was acknowledged"
            if content != (send.content if send else row.content):
                return f"shows seq {row.seq} as {content!r}"
        elif min((each.invoke for each in deletions), default=inf) > call.complete:
            return f"shows seq {row.seq} without its text"
    return ""
