"""C1 for members, deletions and names: every acknowledged change is stored."""

from collections import defaultdict
from typing import Any

from tests.history.operations import Operation
from tests.history.rooms import Room
from tests.history.runs import Run
from tests.history.verdict import Check, Verdict


def check_changes(run: Run, verdict: Verdict) -> None:
    """C1: an acknowledged change is in the log and in the final state.

    A deleted message is deleted in the table, and the log has its `message_deleted`. After a change
    of members the log, read up to the version in the answer, has the user in or out, by an event of
    that user. Each rename is the `room_updated` of the version in its answer, and the room has the
    name of the last one. If the log has a later `room_updated`, the name is one of a rename that
    had no answer.
    """
    _check_deletions(run, verdict)
    _check_members(run, verdict)
    renames: defaultdict[Any, list[Operation]] = defaultdict(list)
    for call in run.calls.get("rename", ()):
        renames[call.arguments["room"]].append(call)
    for number, calls in renames.items():
        if number in run.rooms:
            _check_names(run.rooms[number], calls, verdict)


def _check_deletions(run: Run, verdict: Verdict) -> None:
    for number, calls in run.deletions.items():
        for asked in {call.arguments["room"] for call in calls if call.status == "ok"}:
            room = run.rooms.get(asked)
            row = room.by_id.get(number) if room else None
            if row is None or not row.deleted:
                verdict.add(
                    Check.CHANGES_LAST,
                    f"message {number} was deleted, as the answer said, and the table still has it",
                )
            if room is None or number not in room.deleted:
                verdict.add(
                    Check.CHANGES_LAST,
                    f"message {number} was deleted, as the answer said, and the log has no event",
                )


def _check_members(run: Run, verdict: Verdict) -> None:
    for action in ("add", "remove"):
        for call in run.calls.get(action, ()):
            number, user = call.arguments["room"], call.arguments["user"]
            if call.status != "ok" or number not in run.rooms:
                continue
            room, version = run.rooms[number], call.result["version"]
            # A user who never was a member is not in the log: without an event nobody was removed.
            was_ever = user in room.stays and room.stays[user].firsts[0] <= version
            if not was_ever or room.had_member(user, version) != (action == "add"):
                verdict.add(
                    Check.CHANGES_LAST,
                    f"{action} of {user} in room {number} was acknowledged at version {version}"
                    " and is not in the log",
                )


def _check_names(room: Room, calls: list[Operation], verdict: Verdict) -> None:
    """Compare the names that a room was given with the log, and the last one with the room."""
    named: dict[int, str] = {}
    for call in calls:
        if call.status != "ok":
            continue
        version, name = call.result["version"], call.arguments["name"]
        event = room.log.get(version)
        if event is None or event["type"] != "room_updated":
            found = event["type"] if event else "nothing"
            verdict.add(
                Check.CHANGES_LAST,
                f"room {room.id} was renamed {name!r} at {version}, as the answer said;"
                f" the log has {found} there",
            )
        if named.setdefault(version, name) != name:
            verdict.add(Check.CHANGES_LAST, f"room {room.id} was renamed twice at {version}")
    if not named:
        return
    last = max(
        (
            version
            for version, event in room.log.items()
            if event["type"] == "room_updated" and version <= room.version
        ),
        default=0,
    )
    allowed = {named[max(named)]}
    if last > max(named):
        allowed = {call.arguments["name"] for call in calls if call.status == "info"}
    if room.name not in allowed:
        verdict.add(
            Check.CHANGES_LAST, f"room {room.id} is named {room.name!r}, not {sorted(allowed)}"
        )
