"""Defects of changes of rooms, and of messages that did not go by HTTP."""

from tests.history.draft import Draft
from tests.history.planted.planting import caught_by
from tests.history.verdict import Check


@caught_by(Check.CHANGES_LAST)
def rename_does_nothing(draft: Draft) -> None:
    """A rename was acknowledged at a version that is another event's."""
    call, end = draft.calls("rename", "ok")[0]
    events = draft.one("final_db", room=call["room"])["events"]
    end["version"] = next(
        event["version"] for event in events[20:] if event["type"] == "message_added"
    )


@caught_by(Check.CHANGES_LAST)
def rename_is_undone(draft: Draft) -> None:
    """A room has the name from before its last rename."""
    call, _ = draft.calls("rename", "ok")[0]
    draft.one("final_db", room=call["room"])["name"] = "room"


@caught_by(Check.CHANGES_LAST)
def name_is_of_an_earlier_rename(draft: Draft) -> None:
    """A room has the name of the rename before the last one."""
    for final in draft.of("final_db"):
        calls = [
            (end["version"], call["name"])
            for call, end in draft.calls("rename", "ok")
            if call["room"] == final["room"]
        ]
        if len(calls) > 1:
            final["name"] = sorted(calls)[-2][1]


@caught_by(Check.CHANGES_LAST)
def two_renames_are_one(draft: Draft) -> None:
    """Two renames were acknowledged at one version."""
    call, end = draft.calls("rename", "ok")[0]
    where = {"room": call["room"], "name": "another"}
    draft.add_call(end["at"], "rename", "ok", {"version": end["version"]}, **where)


@caught_by(Check.CHANGES_LAST)
def deletion_is_not_in_the_log(draft: Draft) -> None:
    """A message was deleted, and the log has another event in place of the deletion."""
    deleted = {call["id"] for call, _ in draft.calls("delete", "ok")}
    final = draft.one("final_db", room=1)
    event = next(
        event
        for event in final["events"]
        if event["type"] == "message_deleted" and event["id"] in deleted
    )
    event |= {"type": "room_bumped", "id": None}
    for kind in ("frame", "apply"):
        for record in draft.of(kind, room=1, version=event["version"]):
            record["event_type"] = "room_bumped"
            del record["id"], record["content"]


@caught_by(Check.CHANGES_LAST)
def removal_is_not_in_the_log(draft: Draft) -> None:
    """The removal of a user was acknowledged, and the log has no event of the user."""
    version = draft.one("final_db", room=1)["version"]
    at = draft.one("rest")["at"] - 1.5
    draft.add_call(at, "remove", "ok", {"version": version}, room=1, user="nobody")


@caught_by(Check.CHANGES_LAST)
def change_is_beyond_the_room(draft: Draft) -> None:
    """A user was added at a version that the room never had."""
    final = draft.one("final_db", room=1)
    answer = {"version": final["version"] + 1}
    at = draft.one("rest")["at"] - 1.5
    draft.add_call(at, "add", "ok", answer, room=1, user=final["members"][0])


@caught_by(Check.CHANGES_LAST)
def imported_message_is_lost(draft: Draft) -> None:
    """An import was acknowledged, and the message does not exist."""
    last = draft.one("final_db", room=1)["messages"][-1]
    asked = {"room": 1, "user": "user1", "key": "gone", "content": "gone", "by": "sql"}
    answer = {"id": last["id"] + 1, "seq": last["seq"] + 1}
    draft.add_call(draft.one("rest")["at"] - 1.5, "send", "ok", answer, **asked)


@caught_by(Check.ONE_KEY_ONE_MESSAGE)
def import_is_answered_with_two_ids(draft: Draft) -> None:
    """An import that was repeated got another id."""
    call = draft.one("invoke", action="send", by="sql")
    end = draft.one("ok", op=call["op"])
    again = {name: call[name] for name in ("room", "user", "key", "content", "by")}
    draft.add_call(end["at"] + 1, "send", "ok", {"id": end["id"] + 1, "seq": end["seq"]}, **again)
