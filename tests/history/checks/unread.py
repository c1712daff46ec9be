"""C8: the unread counts that devices show."""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from math import inf
from typing import Any

from tests.history.operations import Operation
from tests.history.rooms import Room
from tests.history.runs import Place, Run
from tests.history.timeline import RisingValue, count_points
from tests.history.verdict import Check, Verdict

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Question:
    """A request for a device's unread count in a room, and what the device knew then.

    `held` is the version that it had applied at the request. Up to the seq `surely` everything was
    marked as read at the request; up to `maybe` it may have been marked by the time of the answer.
    """

    call: Operation
    user: str
    held: int
    surely: int
    maybe: int


def check_unread(run: Run, verdict: Verdict, reach: int | None) -> None:
    """C8: unread are the messages of others, not deleted, above what the device marked as read.

    At rest the last count that a device showed of a room is exactly that. During traffic there are
    bounds, as for any counter. The count is at least what the device had applied at the request,
    without what may have been marked or deleted by the time of the answer. It is at most what may
    have been sent by the time of the answer, without what the device had marked or seen deleted at
    the request. Acknowledgements of other clients are no lower bound: a device that is cut off
    cannot know of them.

    A device that holds only the newest `reach` messages of a room counts among those.
    """
    questions = _read_questions(run)
    at_rest = _find_last_at_rest(run)
    if run.rest is not None and run.owners and not at_rest:
        verdict.add(Check.UNREAD_COUNTS, "no device was asked for an unread count at rest")
    for number, asked in questions.items():
        room = run.rooms[number]
        moving = _bound_while_moving(run, room, asked, reach)
        resting = _bound_at_rest(room, asked, reach)
        for question, in_motion, still in zip(asked, moving, resting, strict=True):
            is_still = id(question.call) in at_rest
            low, high = still if is_still else in_motion
            if not low <= (count := question.call.result["count"]) <= high:
                verdict.add(
                    Check.UNREAD_COUNTS,
                    f"{question.call.arguments['device']} showed {count} unread in room {number}"
                    f" {'at rest' if is_still else 'during traffic'}, not {low} to {high}",
                )


def _bound_at_rest(room: Room, asked: list[_Question], reach: int | None) -> list[Range]:
    """Count what is unread in the table at the end."""
    points = [(0.0, row.seq, row.user) for row in room.rows if not row.deleted]
    oldest = 0 if reach is None else room.last_seq - reach
    low = count_points(points, [(0.0, max(each.maybe, oldest), each.user) for each in asked])
    high = count_points(points, [(0.0, max(each.surely, oldest), each.user) for each in asked])
    return list(zip(low, high, strict=True))


def _bound_while_moving(
    run: Run, room: Room, asked: list[_Question], reach: int | None
) -> list[Range]:
    """Count what a device must have counted, and what it can have counted at most."""
    owners = {row.id: (row.seq, row.user) for row in room.rows}
    applied = [(version, *owners[id_]) for id_, version in room.added.items() if id_ in owners]
    seen_gone = [(version, *owners[id_]) for id_, version in room.deleted.items() if id_ in owners]
    sent = [
        (send.invoke if send else -inf, row.seq, row.user)
        for row in room.rows
        for send in [run.sends.get((room.id, row.user, row.key))]
    ]
    maybe_gone = [
        (min(call.invoke for call in calls), *owners[id_])
        for id_, calls in run.deletions.items()
        if id_ in owners
    ]
    newest = RisingValue((at, seq) for at, seq, _ in sent)
    low = []
    for each in asked:
        # Messages that may have arrived by the answer can have pushed out older ones.
        oldest = 0 if reach is None else newest.before(each.call.complete) - reach
        low.append((each, max(each.maybe, oldest)))
    low_in = count_points(applied, [(each.held, above, each.user) for each, above in low])
    low_out = count_points(
        maybe_gone, [(each.call.complete, above, each.user) for each, above in low]
    )
    high_in = count_points(sent, [(each.call.complete, each.surely, each.user) for each in asked])
    high_out = count_points(seen_gone, [(each.held, each.surely, each.user) for each in asked])
    return [(low_in[n] - low_out[n], high_in[n] - high_out[n]) for n in range(len(asked))]


def _read_questions(run: Run) -> dict[Any, list[_Question]]:
    """Return the requests for unread counts and their answers, by room."""
    marked: defaultdict[Place, list[Operation]] = defaultdict(list)
    for call in run.calls.get("mark_read", ()):
        if call.status != "fail":
            marked[call.arguments["device"], call.arguments["room"]].append(call)
    by_place: defaultdict[Place, list[Operation]] = defaultdict(list)
    for call in run.calls.get("unread", ()):
        if call.status == "ok" and call.arguments["room"] in run.rooms:
            by_place[call.arguments["device"], call.arguments["room"]].append(call)
    questions: defaultdict[Any, list[_Question]] = defaultdict(list)
    for place, calls in by_place.items():
        marks = marked[place]
        surely = RisingValue(
            (call.complete, call.arguments["seq"]) for call in marks if call.status == "ok"
        )
        maybe = RisingValue((call.invoke, call.arguments["seq"]) for call in marks)
        steps = run.steps.get(place, [])
        times = [step["at"] for step in steps]
        for call in calls:
            before = bisect_left(times, call.invoke)
            # A room that the device dropped has no version: then it need not count anything.
            held = steps[before - 1].get("version", 0) if before else 0
            user = call.arguments["user"]
            known = surely.before(call.invoke)
            questions[place[1]].append(
                _Question(call, user, held, known, maybe.before(call.complete))
            )
    return questions


def _find_last_at_rest(run: Run) -> set[int]:
    """Return the last request of each member's device in each room, if it was after rest.

    The operations are identified by `id`, because they have no order.
    """
    last: dict[Place, Operation] = {}
    for call in run.calls.get("unread", ()):
        room = run.rooms.get(call.arguments["room"])
        if call.status == "ok" and room and call.arguments["user"] in room.members:
            last[call.arguments["device"], room.id] = call
    return {id(call) for call in last.values() if run.rest is not None and call.invoke > run.rest}
