"""C6d: every event reaches each subscribed device as a frame, not only when it fetches."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import inf
from typing import Any

from tests.history.rooms import Room
from tests.history.runs import Run
from tests.history.timeline import FirstAfter
from tests.history.verdict import Check, Verdict


@dataclass(slots=True)
class _Segment:
    """The frames of a device from one subscription that was not recovered until the next.

    `firsts` are the versions of each room's first frame, `frames` the versions of all.
    """

    since: float
    is_last: bool = True
    firsts: dict[Any, int] = field(default_factory=dict)
    frames: defaultdict[Any, set[int]] = field(default_factory=lambda: defaultdict(set))


def check_continuity(run: Run, verdict: Verdict) -> None:
    """C6d: after a subscription every event for the device's user reaches it as a frame.

    It does not count that the device fetched the event or has it from a snapshot: a client that
    waits for the next event would not show this one until then. A recovered subscription continues
    the frames before it. One that is not recovered begins a new segment, and only the last events
    before it may be missing. At rest nothing may be missing.

    The first event that must arrive of a room is that of its first frame, or the first event that
    was requested after the subscription was established, if that is earlier: later events of the
    room happened after it. Reads of the device do not count as a beginning, because an answer that
    was under way when it subscribed may show an earlier state.
    """
    requested = {number: _find_requested(run, room) for number, room in run.rooms.items()}
    for device, records in run.received.items():
        user = records[0]["user"]
        for segment in _split(records):
            for number, room in run.rooms.items():
                frames = segment.frames.get(number, set())
                first = min(segment.firsts.get(number, inf), requested[number].after(segment.since))
                last = room.version
                if not segment.is_last or run.rest is None:
                    last = max(frames, default=0)
                if first > last:
                    continue
                visible = room.find_visible(user, int(first), last)
                missing = [version for version in visible if version not in frames]
                verdict.missed += len(missing)
                if missing:
                    verdict.add(
                        Check.EVERY_EVENT_ARRIVES,
                        f"{device} of {user} was subscribed and did not get {len(missing)} events"
                        f" of room {number}, as versions {missing[:5]}",
                    )


def _split(records: list[dict[str, Any]]) -> list[_Segment]:
    """Divide the records of a device at each subscription that was not recovered.

    A frame counts for all the versions that its event stands for; C6a compares these with the log.
    Frames before any subscription count from the first of them.
    """
    segments = [_Segment(inf)]
    for record in records:
        if record["type"] == "subscribed":
            if not record["recovered"] or len(segments) == 1:
                segments[-1].is_last = False
                segments.append(_Segment(record["at"]))
        else:
            first, last = record.get("first") or record["version"], record["version"]
            segments[-1].firsts.setdefault(record["room"], first)
            segments[-1].frames[record["room"]].update(range(first, last + 1))
    return segments


def _find_requested(run: Run, room: Room) -> FirstAfter:
    """Return the versions with a known request, and when each was first requested."""
    requested: list[tuple[float, int]] = []
    for row in room.rows:
        send = run.sends.get((room.id, row.user, row.key))
        if send and row.id in room.added:
            requested.append((send.invoke, room.added[row.id]))
    for number, version in room.deleted.items():
        if calls := run.deletions.get(number):
            requested.append((min(call.invoke for call in calls), version))
    requested += [
        (call.invoke, call.result["version"])
        for call in run.calls.get("rename", ())
        if call.status == "ok" and call.arguments["room"] == room.id
    ]
    return FirstAfter(requested)
