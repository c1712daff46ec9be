"""C6d: whoever is subscribed gets every event that is for him, and not only what he asks for."""

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
    """What a device got while nothing may be missing: since an unrecovered subscription.

    `firsts` are the versions that came first of each room, `frames` all that came.
    """

    since: float
    is_last: bool = True
    firsts: dict[Any, int] = field(default_factory=dict)
    frames: defaultdict[Any, set[int]] = field(default_factory=lambda: defaultdict(set))


def check_continuity(run: Run, verdict: Verdict) -> None:
    """C6d: from a subscription on every event that is for the device's user comes as a frame.

    That a device fetched it, or held it by a snapshot, makes up for nothing: clients that wait for
    the next event would show a room without it until then. A subscription that was recovered goes
    on with what came before; one that was not begins anew, and only then the last events before it
    may be missing. At rest nothing is.

    What must come of a room begins with the first that came, or with the first event that was
    asked for when the subscription stood, if that is earlier: later events of the room happened
    after it. What the device reads is no beginning, for an answer that it was waiting for when it
    subscribed may tell of a time before.
    """
    asked = {number: _find_asked(run, room) for number, room in run.rooms.items()}
    for device, records in run.heard.items():
        user = records[0]["user"]
        for segment in _split(records):
            for number, room in run.rooms.items():
                frames = segment.frames.get(number, set())
                first = min(segment.firsts.get(number, inf), asked[number].after(segment.since))
                last = room.version
                if not segment.is_last or run.rest is None:
                    last = max(frames, default=0)
                if first > last:
                    continue
                audible = room.find_audible(user, int(first), last)
                missing = [version for version in audible if version not in frames]
                verdict.missed += len(missing)
                if missing:
                    verdict.add(
                        Check.EVERY_EVENT_ARRIVES,
                        f"{device} of {user} was subscribed and did not get {len(missing)} events"
                        f" of room {number}, as versions {missing[:5]}",
                    )


def _split(records: list[dict[str, Any]]) -> list[_Segment]:
    """Divide what a device heard where it subscribed anew.

    Frames before any subscription count from the first of them.
    """
    segments = [_Segment(inf)]
    for record in records:
        if record["type"] == "subscribed":
            if not record["recovered"] or len(segments) == 1:
                segments[-1].is_last = False
                segments.append(_Segment(record["at"]))
        else:
            segments[-1].firsts.setdefault(record["room"], record["version"])
            segments[-1].frames[record["room"]].add(record["version"])
    return segments


def _find_asked(run: Run, room: Room) -> FirstAfter:
    """Return the versions of which it is known when they were asked for, at the earliest."""
    asked: list[tuple[float, int]] = []
    for row in room.rows:
        send = run.sends.get((room.id, row.user, row.key))
        if send and row.id in room.added:
            asked.append((send.invoke, room.added[row.id]))
    for number, version in room.deleted.items():
        if calls := run.deletions.get(number):
            asked.append((min(call.invoke for call in calls), version))
    asked += [
        (call.invoke, call.result["version"])
        for call in run.calls.get("rename", ())
        if call.status == "ok" and call.arguments["room"] == room.id
    ]
    return FirstAfter(asked)
