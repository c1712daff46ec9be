"""Defects of devices, and of the service during and after a fault."""

from collections import defaultdict
from itertools import pairwise

from tests.history.draft import Draft
from tests.history.planted.planting import caught_by
from tests.history.recorder import Record
from tests.history.verdict import Check


def read_steps(draft: Draft) -> dict[tuple[str, int], list[Record]]:
    """Return what each device did in each room, in order."""
    steps: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in draft.finish():
        if record["type"] in {"apply", "snapshot", "forget"}:
            steps[record["device"], record["room"]].append(record)
    return steps


def _two_applies(draft: Draft) -> tuple[Record, Record]:
    """Return two applies of messages that follow each other, in the middle of the run."""
    return next(
        (one, other)
        for steps in read_steps(draft).values()
        for one, other in list(pairwise(steps))[20:]
        if one["type"] == other["type"] == "apply"
        and one["event_type"] == other["event_type"] == "message_added"
    )


@caught_by(Check.APPLIED_AS_LOGGED)
def event_is_not_applied(draft: Draft) -> None:
    """A device skips an event."""
    draft.drop(_two_applies(draft)[0])


@caught_by(Check.APPLIED_AS_LOGGED)
def events_are_applied_out_of_order(draft: Draft) -> None:
    """A device applies two events in the wrong order."""
    one, other = _two_applies(draft)
    one["at"], other["at"] = other["at"], one["at"]


@caught_by(Check.APPLIED_AS_LOGGED)
def event_is_applied_with_another_text(draft: Draft) -> None:
    """A device applies a message with a text that it never had."""
    _two_applies(draft)[0]["content"] = "another"


@caught_by(Check.APPLIED_AS_LOGGED)
def event_is_applied_as_another_message(draft: Draft) -> None:
    """A device applies an event with the id of the next message."""
    one, other = _two_applies(draft)
    one["id"] = other["id"]


@caught_by(Check.APPLIED_AS_LOGGED)
def event_is_applied_as_another_type(draft: Draft) -> None:
    """A device applies an event with another type."""
    draft.one("apply", event_type="room_updated")["event_type"] = "user_joined"


@caught_by(Check.APPLIED_AS_LOGGED)
def room_is_not_read_first(draft: Draft) -> None:
    """A device applies events to a room that it never read."""
    first = next(
        one
        for steps in read_steps(draft).values()
        for one, other in pairwise(steps)
        if (one["type"], other["type"]) == ("snapshot", "apply")
    )
    draft.drop(first)


@caught_by(Check.APPLIED_AS_LOGGED)
def event_is_applied_that_the_room_had(draft: Draft) -> None:
    """A device applies an event to a room that it had read after that event."""
    read = draft.of("snapshot", room=1)[-1]
    event = draft.of("apply", room=1, version=read["version"])[0]
    where = {name: read[name] for name in ("device", "user")}
    draft.records.append({**event, **where, "at": read["at"] + 1e-7})


@caught_by(Check.APPLIED_AS_LOGGED, Check.CHANGES_LAST, Check.PAGES_COMPLETE)
def text_changes_after_it_was_published(draft: Draft) -> None:
    """The table has another text than the devices applied, and nobody deleted it."""
    _, row = draft.stored("ok")[100]
    for final in draft.of("final_api"):
        for entry in final["messages"]:
            if entry[1] == row["id"]:
                entry[4] = "altered"
    row["content"] = "altered"


@caught_by(Check.APPLIED_AS_LOGGED)
def device_is_behind_at_rest(draft: Draft) -> None:
    """A member's device did not apply the last event of a room."""
    members = draft.one("final_db", room=1)["members"]
    draft.drop(
        next(
            steps[-1]
            for (_, room), steps in read_steps(draft).items()
            if room == 1 and steps[-1]["type"] == "apply" and steps[-1]["user"] in members
        )
    )


@caught_by(Check.APPLIED_AS_LOGGED)
def device_lacks_a_room_at_rest(draft: Draft) -> None:
    """A member's device does not have a room."""
    user = draft.one("final_db", room=1)["members"][0]
    device = draft.one("final_device", user=user)["device"]
    draft.add(draft.end, "forget", device=device, user=user, room=1)


@caught_by(Check.APPLIED_AS_LOGGED, Check.CHANGES_LAST)
def log_has_a_hole(draft: Draft) -> None:
    """A version has no event."""
    events = draft.one("final_db", room=1)["events"]
    events.remove(next(event for event in events if event["type"] == "room_updated"))


@caught_by(Check.APPLIED_AS_LOGGED)
def log_goes_on_beyond_the_room(draft: Draft) -> None:
    """The log has an event after the room's version."""
    final = draft.one("final_db", room=1)
    extra = {"type": "room_updated", "user": None, "id": None}
    version = final["version"] + 1
    final["events"].append({**extra, "version": version, "change": version})


@caught_by(Check.APPLIED_AS_LOGGED)
def messages_are_published_in_another_order(draft: Draft) -> None:
    """The log, and so each device, has two messages in another order than their seqs."""
    events = draft.one("final_db", room=3)["events"]
    one, other = [event for event in events if event["type"] == "message_added"][5:7]
    texts = {record["id"]: record["content"] for record in draft.of("apply") if record.get("id")}
    one["id"], other["id"] = other["id"], one["id"]
    for kind in ("frame", "apply"):
        for event in (one, other):
            for record in draft.of(kind, room=3, version=event["version"]):
                record |= {"id": event["id"], "content": texts[event["id"]]}


@caught_by(Check.APPLIED_ONCE)
def event_is_applied_twice(draft: Draft) -> None:
    """A device applies an event again."""
    one, _ = _two_applies(draft)
    draft.records.append(one | {"at": one["at"] + 1e-7})


@caught_by(Check.APPLIED_ONCE)
def event_is_applied_again_much_later(draft: Draft) -> None:
    """A device applies an event again after others."""
    one, _ = _two_applies(draft)
    draft.records.append(one | {"at": one["at"] + 0.1})


def _left(draft: Draft) -> tuple[int, str, int]:
    """Return a room, a user who left it and did not rejoin at once, and the version."""
    for final in draft.of("final_db"):
        back = {(event["user"], event["change"]) for event in final["events"]}
        for event in final["events"][:-1]:
            if event["type"] == "user_left" and (event["user"], event["version"] + 1) not in back:
                return final["room"], event["user"], event["version"]
    raise LookupError("nobody left")


def _leak(draft: Draft, room: int, user: str, version: int, kind: str = "frame") -> None:
    """Make a user's device receive, or apply, an event."""
    found = draft.of("frame", room=room, version=version)
    event = found[0] if found else {"event_type": "room_updated"}
    where = {"room": room, "version": version, "user": user}
    where["device"] = draft.one("final_device", user=user)["device"]
    draft.records.append({**event, **where, "at": draft.end, "type": kind})


@caught_by(Check.PUBLISHED_IN_ORDER)
def events_are_published_out_of_order(draft: Draft) -> None:
    """A device receives two events of a room in the wrong order."""
    place = {name: draft.one("frame", room=1)[name] for name in ("device", "room")}
    one, other = draft.of("frame", **place)[3:5]
    one["at"], other["at"] = other["at"], one["at"]


@caught_by(Check.NO_LEAK, Check.PUBLISHED_IN_ORDER)
def user_who_left_receives_more(draft: Draft) -> None:
    """A user receives the event after his `user_left`."""
    room, user, version = _left(draft)
    _leak(draft, room, user, version + 1)


@caught_by(Check.NO_LEAK, Check.PUBLISHED_IN_ORDER)
def user_who_joins_receives_earlier_events(draft: Draft) -> None:
    """A user receives the event before the change that added him."""
    final = draft.one("final_db", room=1)
    joined = [event for event in final["events"] if event["type"] == "user_joined"]
    first = {event["user"]: event["change"] for event in reversed(joined)}
    user = max(first, key=lambda user: first[user])
    _leak(draft, 1, user, first[user] - 1)


@caught_by(Check.NO_LEAK)
def stranger_receives_events(draft: Draft) -> None:
    """A user receives an event of a room of which he never was a member."""
    draft.add(draft.end, "final_device", device="spy", user="stranger", held={}, fresh={})
    _leak(draft, 1, "stranger", 9)


@caught_by(Check.NO_LEAK)
def event_of_an_unknown_room_is_received(draft: Draft) -> None:
    """A frame names a room that does not exist."""
    _leak(draft, 77, "user1", 1)


@caught_by(Check.NO_LEAK)
def rolled_back_event_is_published(draft: Draft) -> None:
    """A member receives an event that is not in the log."""
    final = draft.one("final_db", room=1)
    _leak(draft, 1, final["members"][0], final["version"] + 1)


@caught_by(Check.STATES_AGREE)
def device_differs_from_a_fresh_read(draft: Draft) -> None:
    """A device holds another last message than the API shows."""
    state = next(iter(draft.one("final_device")["held"].values()))
    state["last_message"]["content"] = "another"


@caught_by(Check.STATES_AGREE)
def device_is_not_compared(draft: Draft) -> None:
    """What a device holds at the end was not recorded."""
    draft.drop(draft.one("final_device"))


def _shown_counts(draft: Draft, *, at_rest: bool) -> list[Record]:
    """Return the answers with unread counts, before or after rest."""
    rest = draft.one("rest")["at"]
    return [end for call, end in draft.calls("unread", "ok") if (call["at"] > rest) == at_rest]


@caught_by(Check.UNREAD_COUNTS)
def unread_is_off_by_one_at_rest(draft: Draft) -> None:
    """A device shows one unread message too many."""
    _shown_counts(draft, at_rest=True)[0]["count"] += 1


@caught_by(Check.UNREAD_COUNTS)
def unread_misses_one_at_rest(draft: Draft) -> None:
    """A device shows one unread message too few."""
    next(end for end in _shown_counts(draft, at_rest=True) if end["count"])["count"] -= 1


@caught_by(Check.UNREAD_COUNTS)
def unread_is_impossibly_high(draft: Draft) -> None:
    """A device shows more unread messages than were sent until then."""
    min(_shown_counts(draft, at_rest=False), key=lambda end: end["at"])["count"] += 100


@caught_by(Check.UNREAD_COUNTS)
def unread_is_impossibly_low(draft: Draft) -> None:
    """Devices show no unread messages while they hold many that were not marked as read."""
    for end in _shown_counts(draft, at_rest=False):
        end["count"] = 0


@caught_by(Check.UNREAD_COUNTS)
def unread_ignores_what_was_marked(draft: Draft) -> None:
    """A device still counts what it marked as read."""
    call, _ = max(draft.calls("mark_read", "ok"), key=lambda each: each[0]["seq"])
    place = {name: call[name] for name in ("device", "user", "room")}
    draft.add_call(call["at"] + 0.0001, "unread", "ok", {"count": call["seq"]}, **place)


@caught_by(Check.UNREAD_COUNTS)
def unread_is_not_asked_at_rest(draft: Draft) -> None:
    """No unread count was requested after rest, when it must be exact."""
    rest = draft.one("rest")["at"]
    for call, end in draft.calls("unread", "ok"):
        if call["at"] > rest:
            draft.drop(call, end)


@caught_by(Check.SERVICE_GOES_ON)
def there_is_no_rest(draft: Draft) -> None:
    """The system never came to rest."""
    draft.drop(draft.one("rest"))


@caught_by(Check.SERVICE_GOES_ON)
def rest_comes_too_late(draft: Draft) -> None:
    """Rest came a minute after the last fault."""
    draft.shift(draft.one("rest")["at"] - 0.5, 60)


@caught_by(Check.SERVICE_GOES_ON)
def fault_comes_after_rest(draft: Draft) -> None:
    """Another fault came after rest."""
    at = draft.one("rest")["at"]
    draft.add(at + 0.1, "fault", name="again", phase="start")
    draft.add(at + 0.2, "fault", name="again", phase="stop")


@caught_by(Check.SERVICE_GOES_ON)
def fault_does_not_stop(draft: Draft) -> None:
    """The run ended during a fault."""
    draft.drop(draft.one("fault", phase="stop"))


@caught_by(Check.SERVICE_GOES_ON)
def service_is_silent(draft: Draft) -> None:
    """No message was acknowledged for eleven seconds; each request got an error."""
    begin = draft.one("fault", phase="start")["at"] - 0.5
    draft.shift(begin, 11)
    for n in range(11):
        wanted = {"room": 1, "user": "user1", "key": f"error{n}", "content": "text"}
        draft.add_call(begin + n, "send", "info", {"why": "503"}, **wanted)


@caught_by(Check.SERVICE_GOES_ON)
def service_is_silent_in_a_fault(draft: Draft) -> None:
    """No message was acknowledged for half a minute of a fault."""
    draft.shift(draft.one("fault", phase="start")["at"] + 0.2, 31)


@caught_by(Check.ENOUGH_HAPPENED)
def hardly_anything_is_acknowledged(draft: Draft) -> None:
    """A run with too few acknowledged sends proves nothing."""
    for _, end in draft.calls("send", "ok")[:400]:
        end["type"] = "info"
