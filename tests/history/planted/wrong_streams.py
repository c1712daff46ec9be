"""Defects of what a device receives, reads and does."""

from itertools import pairwise

from tests.history.draft import Draft
from tests.history.planted.planting import caught_by
from tests.history.planted.wrong_devices import read_steps
from tests.history.recorder import Record
from tests.history.verdict import Check


def _lose(draft: Draft, frame: Record) -> None:
    """Make an event not reach a device, which fetches it at once."""
    same = ("device", "user", "room")
    where = {name: frame[name] for name in same}
    draft.drop(*draft.of("frame", **where, version=frame["version"]))
    for applied in draft.of("apply", **where, version=frame["version"]):
        after = frame["version"] - 1
        draft.add(applied["at"] - 1e-7, "fetch", **where, after=after, status=200)


def _subscribed_again(draft: Draft, *, recovered: bool) -> Record:
    """Return a subscription after the fault whose device received many events since then."""
    return max(
        draft.of("subscribed", was_recovering=True, recovered=recovered),
        key=lambda record: len(_received_since(draft, record)),
    )


def _received_since(draft: Draft, subscribed: Record) -> list[Record]:
    """Return the frames of the first room since a subscription, in order."""
    frames = draft.of("frame", device=subscribed["device"], room=1)
    since = [frame for frame in frames if frame["at"] > subscribed["at"]]
    return sorted(since, key=lambda frame: float(frame["at"]))


@caught_by(Check.EVERY_EVENT_ARRIVES)
def frame_never_comes(draft: Draft) -> None:
    """An event did not reach a device, which fetched it when the next one came."""
    frames = draft.of("frame", device="phone0", room=1)
    _lose(draft, frames[len(frames) // 4])


@caught_by(Check.EVERY_EVENT_ARRIVES)
def frame_is_lost_after_a_recovery(draft: Draft) -> None:
    """The subscription was recovered, except for one event."""
    back = draft.one("subscribed", was_recovering=True, recovered=True)
    before = {
        (frame["room"], frame["version"])
        for frame in draft.of("frame", device=back["device"])
        if frame["at"] < back["at"]
    }
    _lose(
        draft,
        next(
            frame
            for frame in draft.of("frame", device=back["device"])
            if frame["at"] > back["at"] and (frame["room"], frame["version"]) not in before
        ),
    )


@caught_by(Check.EVERY_EVENT_ARRIVES)
def subscription_is_called_recovered(draft: Draft) -> None:
    """The server answered that it had recovered what was missed, and had not."""
    _subscribed_again(draft, recovered=False)["recovered"] = True


@caught_by(Check.EVERY_EVENT_ARRIVES)
def frames_begin_late(draft: Draft) -> None:
    """The first events after a subscription did not arrive."""
    for frame in _received_since(draft, _subscribed_again(draft, recovered=False))[:20]:
        _lose(draft, frame)


@caught_by(Check.NOTHING_UNASKED)
def event_for_a_user_without_a_token(draft: Draft) -> None:
    """A message by HTTP was published to a member who had asked for no token."""
    (call, answer), row = next(found for found in draft.stored("ok") if "by" not in found[0][0])
    draft.add(
        answer["at"],
        "unasked",
        user="idler",
        room=call["room"],
        version=1,
        event_type="message_added",
        id=row["id"],
    )


@caught_by(Check.EVERY_EVENT_ARRIVES)
def nothing_comes_after_a_subscription(draft: Draft) -> None:
    """After a subscription no event of one room arrived."""
    for frame in _received_since(draft, _subscribed_again(draft, recovered=False)):
        _lose(draft, frame)


@caught_by(Check.EVERY_EVENT_ARRIVES)
def last_frame_never_comes(draft: Draft) -> None:
    """The last event of a room did not reach a member's device, which fetched it."""
    final = draft.one("final_db", room=1)
    _lose(draft, draft.one("frame", room=1, version=final["version"], user=final["members"][0]))


@caught_by(Check.STATES_AGREE)
def device_without_an_end(draft: Draft) -> None:
    """A device connected, received nothing, and was not compared at the end."""
    draft.add(draft.one("rest")["at"] - 1, "connect", device="silent", user="nobody")


@caught_by(Check.APPLIED_AS_LOGGED)
def frame_has_another_text(draft: Draft) -> None:
    """An event came again, which the device drops, with a text that the message never had."""
    event = draft.of("frame", room=1, event_type="message_added")[50]
    draft.records.append({**event, "at": event["at"] + 1e-7, "content": "wrong"})


@caught_by(Check.APPLIED_AS_LOGGED)
def frame_is_of_another_message(draft: Draft) -> None:
    """An event came again with the id of the message before."""
    one, other = draft.of("frame", room=1, device="phone0", event_type="message_added")[50:52]
    draft.records.append({**other, "at": other["at"] + 1e-7, "id": one["id"]})


def _bulk_joins(draft: Draft) -> list[tuple[Record, list[Record]]]:
    """Return the logged events that stand for others, each with the room's log."""
    return [
        (event, final["events"])
        for final in draft.of("final_db")
        for event in final["events"]
        if "first" in event
    ]


def _claim(draft: Draft, change: int) -> Record:
    """Make a published event stand for so many more versions; return a record of its frame."""
    frames = [record for record in draft.of("frame", event_type="user_joined") if "first" in record]
    wrong = {"room": frames[0]["room"], "version": frames[0]["version"]}
    for record in [*draft.of("frame", **wrong), *draft.of("apply", **wrong)]:
        record["first"] -= change
    return frames[0]


@caught_by(Check.APPLIED_AS_LOGGED)
def frame_stands_for_one_version_too_many(draft: Draft) -> None:
    """A published event claims to stand for an event that is not of its call."""
    _claim(draft, 1)


@caught_by(Check.APPLIED_AS_LOGGED, Check.EVERY_EVENT_ARRIVES)
def frame_stands_for_one_version_too_few(draft: Draft) -> None:
    """A published event leaves out the first of its call."""
    _claim(draft, -1)


@caught_by(Check.APPLIED_AS_LOGGED)
def log_stands_for_one_version_too_many(draft: Draft) -> None:
    """The log and what was published agree on a `first_version` that is not of the call."""
    frame = _claim(draft, 1)
    final = draft.one("final_db", room=frame["room"])
    final["events"][frame["version"] - 1]["first"] -= 1


@caught_by(Check.APPLIED_AS_LOGGED, Check.EVERY_EVENT_ARRIVES)
def event_before_the_end_of_its_call_stands_for_it(draft: Draft) -> None:
    """Not the last event of a call stands for it, so its last users would be missing."""
    event, log = _bulk_joins(draft)[0]
    log[event["version"] - 2]["first"] = event.pop("first")
    where = {"version": event["version"], "event_type": "user_joined"}
    for record in [*draft.of("frame", **where), *draft.of("apply", **where)]:
        record.pop("first", None)


@caught_by(Check.APPLIED_AS_LOGGED)
def device_skips_more_than_the_event_stands_for(draft: Draft) -> None:
    """A device was a version behind what the event stands for, and applied it all the same."""
    for steps in read_steps(draft).values():
        for one, other in pairwise(steps):
            if (
                one["type"] == other["type"] == "apply"
                and other.get("first") == one["version"] + 1
                and other["version"] > one["version"] + 1
            ):
                draft.drop(one)
                return
    raise LookupError("no event stood for others")


def _go_back(draft: Draft) -> list[Record]:
    """Make a device read an old version of a room; return the later events it had applied."""
    applied: list[Record] = []
    for steps in read_steps(draft).values():
        applied = []
        for step in steps:
            applied = [*applied, step] if step["type"] == "apply" else []
            if len(applied) == 12:
                break
        else:
            continue
        break
    where = {name: applied[0][name] for name in ("device", "user", "room", "version")}
    draft.add(applied[-1]["at"] + 1e-7, "snapshot", **where)
    return applied[1:]


@caught_by(Check.APPLIED_AS_LOGGED)
def snapshot_goes_back(draft: Draft) -> None:
    """A device reads an old version of a room, and then the current one."""
    last = _go_back(draft)[-1]
    where = {name: last[name] for name in ("device", "user", "room", "version")}
    draft.add(last["at"] + 2e-7, "snapshot", **where)


@caught_by(Check.APPLIED_ONCE, Check.APPLIED_AS_LOGGED)
def events_are_applied_again_after_a_snapshot(draft: Draft) -> None:
    """A device reads an old version of a room, and applies the later events again."""
    again = _go_back(draft)
    end = again[-1]["at"]
    for n, step in enumerate(again, start=2):
        draft.records.append({**step, "at": end + n * 1e-7})


def _end_of_stay(draft: Draft) -> tuple[Record, Record]:
    """Return a device's own `user_left` and the forget after it, if a message follows."""
    for steps in read_steps(draft).values():
        for one, other in pairwise(steps):
            if (one.get("event_type"), other["type"]) != ("user_left", "forget"):
                continue
            final = draft.one("final_db", room=one["room"])
            following = final["events"][one["version"] :][:1]
            if following and following[0]["type"] == "message_added":
                return one, other
    raise LookupError("nobody left")


@caught_by(Check.NO_LEAK)
def user_who_left_reads_the_room(draft: Draft) -> None:
    """A user left, and could still read the room."""
    left, forgot = _end_of_stay(draft)
    where = {name: left[name] for name in ("device", "user", "room")}
    draft.add(forgot["at"] + 1e-7, "snapshot", **where, version=left["version"])
    draft.add(forgot["at"] + 2e-7, "forget", **where)


@caught_by(Check.NO_LEAK)
def user_who_left_applies_more(draft: Draft) -> None:
    """A user left, and his device applied a later event."""
    left, forgot = _end_of_stay(draft)
    where = {name: left[name] for name in ("device", "user", "room")}
    event = draft.one("frame", room=left["room"], version=left["version"] + 1)
    at = forgot["at"]
    draft.add(at + 1e-7, "snapshot", **where, version=left["version"])
    draft.records.append({**event, **where, "type": "apply", "at": at + 2e-7})
    draft.add(at + 3e-7, "forget", **where)


@caught_by(Check.NO_LEAK)
def stranger_reads_a_room(draft: Draft) -> None:
    """A user could read a room of which he never was a member."""
    draft.add(draft.end, "final_device", device="spy", user="stranger", held={}, fresh={})
    draft.add(draft.end, "snapshot", device="spy", user="stranger", room=1, version=9)


@caught_by(Check.NO_LEAK, Check.APPLIED_AS_LOGGED)
def snapshot_is_of_what_was_rolled_back(draft: Draft) -> None:
    """A member read a room at a version that it never had."""
    final = draft.one("final_db", room=1)
    user = final["members"][0]
    device = draft.one("final_device", user=user)["device"]
    where = {"device": device, "user": user, "room": 1}
    draft.add(draft.end, "snapshot", **where, version=final["version"] + 1)
