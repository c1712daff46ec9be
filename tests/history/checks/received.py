"""C6 and C7: what each device received and applied, and what it held at the end."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.history.recorder import Record
from tests.history.rooms import Room
from tests.history.runs import Run
from tests.history.verdict import Check, Verdict

Known = tuple[str, Any, tuple[Any, ...], int | None]
Expected = dict[int, Known]
_NOTHING: Known = ("nothing", None, (), None)


def check_log(run: Run, verdict: Verdict) -> None:
    """C6a: the log has versions 1, 2, 3… to the room's, and each message once, in order of seq.

    The events that devices applied are compared with the log, so the log is first compared with
    the table. An event that stands for others is the last of a call that added users, and stands
    for all of the call.
    """
    for room in run.rooms.values():
        if sorted(room.log) != list(range(1, room.version + 1)):
            verdict.add(
                Check.APPLIED_AS_LOGGED,
                f"room {room.id}: the log's versions are not 1 to {room.version}",
            )
        logged = [
            event["id"] for _, event in sorted(room.log.items()) if event["type"] == "message_added"
        ]
        if logged != (stored := [row.id for row in room.rows]):
            wrong = [number for number in logged if number not in room.by_id]
            missing = [number for number in stored if number not in room.added]
            verdict.add(
                Check.APPLIED_AS_LOGGED,
                f"room {room.id}: the log does not have the table's messages in their order;"
                f" unknown {wrong[:3]}, left out {missing[:3]}",
            )
        for version, event in room.log.items():
            if event.get("first") is not None and not _stands_for_its_call(room, event):
                verdict.add(
                    Check.APPLIED_AS_LOGGED,
                    f"room {room.id}: version {version} stands for those from {event['first']},"
                    " which are not the others of its call",
                )


def _stands_for_its_call(room: Room, event: Record) -> bool:
    first, version = event["first"], event["version"]
    call = [
        number
        for number, other in room.log.items()
        if other["type"] == "user_joined" and other["change"] == event["change"]
    ]
    return sorted(call) == list(range(first, version + 1)) and first < version


def check_frames(run: Run, verdict: Verdict) -> None:
    """C6a: a frame has what the log and the table have at its version, even if it is dropped.

    A version that the log does not have is a leak, and reported as one.
    """
    expected = {number: _read_expected(run, room) for number, room in run.rooms.items()}
    for frame in run.frames:
        known = expected.get(frame["room"], {}).get(frame["version"])
        if known and (text := _compare_event(frame, known)):
            verdict.add(
                Check.APPLIED_AS_LOGGED, f"{frame['device']} in room {frame['room']}: got {text}"
            )


def check_applied(run: Run, verdict: Verdict) -> None:
    """C6a, C6: a device applies each event of a room once, in order, as the log has it.

    It begins after a snapshot; from a snapshot or an apply of version v it goes on with v + 1, or
    with an event that stands for v + 1 and those up to its own. A
    snapshot of an earlier version than the held one goes back, which breaks C6a. A version that is
    applied again is doubled, which breaks C6, even after a snapshot in between. At rest the device
    of a member holds every room of its user, at the room's version.
    """
    expected = {number: _read_expected(run, room) for number, room in run.rooms.items()}
    held: dict[tuple[str, Any], int | None] = {}
    for (device, number), steps in run.steps.items():
        following = _Following(f"{device} in room {number}", expected.get(number, {}))
        for step in steps:
            for check, text in following.take(step):
                verdict.doubled += check == Check.APPLIED_ONCE
                verdict.add(check, f"{following.name}: {text}")
        held[device, number] = following.held
    if run.rest is None:
        return
    for device, user in run.owners.items():
        for room in run.rooms.values():
            if user in room.members and (last := held.get((device, room.id))) != room.version:
                verdict.add(
                    Check.APPLIED_AS_LOGGED,
                    f"{device} in room {room.id}: at rest at {last}, not {room.version}",
                )


class _Following:
    """One device in one room: the version that it holds, and what it applied to get there."""

    def __init__(self, name: str, expected: Expected) -> None:
        self.name = name
        self.held: int | None = None
        self._expected = expected
        self._applied: set[int] = set()

    def take(self, step: Record) -> Iterator[tuple[Check, str]]:
        """Take a step; yield what is wrong with it, as the check and a text."""
        if step["type"] == "forget":
            self.held = None
        elif step["type"] == "snapshot":
            if self.held is not None and step["version"] < self.held:
                yield (
                    Check.APPLIED_AS_LOGGED,
                    f"went back to {step['version']} by a snapshot, from {self.held}",
                )
            self.held = step["version"]
        else:
            yield from self._apply(step["version"], step)

    def _apply(self, version: int, step: Record) -> Iterator[tuple[Check, str]]:
        if self.held is None:
            yield Check.APPLIED_AS_LOGGED, f"applied {version} before it had read the room"
        elif version in self._applied:
            yield Check.APPLIED_ONCE, f"applied {version} twice"
        elif version <= self.held:
            yield Check.APPLIED_AS_LOGGED, f"applied {version} after {self.held}"
        elif (step.get("first") or version) > self.held + 1:
            yield (
                Check.APPLIED_AS_LOGGED,
                f"applied {version} after {self.held}, leaving out what is between",
            )
        if "first" in step and self.held is not None:
            self._applied.update(range(self.held + 1, version))
        self.held = max(version, self.held or 0)
        self._applied.add(version)
        if text := _compare_event(step, self._expected.get(version, _NOTHING)):
            yield Check.APPLIED_AS_LOGGED, f"applied {text}"


def _compare_event(event: Record, expected: Known) -> str:
    """Return how an event differs from what it can be; nothing where it does not."""
    kind, number, contents, first = expected
    if kind != event["event_type"] or number != event.get("id"):
        return (
            f"{event['version']} as {event['event_type']} {event.get('id')},"
            f" the log has {kind} {number}"
        )
    if event.get("content") not in contents:
        return f"{event['version']} with {event.get('content')!r}, not one of {contents}"
    if event.get("first") != first:
        return f"{event['version']} as the last from {event.get('first')}, the log has {first}"
    return ""


def _read_expected(run: Run, room: Room) -> Expected:
    """Return for each version the type, the message's id, the texts, and what it stands for.

    The log is composed when it is read: an event of a message that was deleted since then has no
    text, and one that was read before has the first text.
    """
    expected: Expected = {}
    for version, event in room.log.items():
        contents: tuple[Any, ...] = (None,)
        if event["type"] == "message_deleted":
            contents = ("",)
        elif (row := room.by_id.get(event["id"])) is not None:
            send = run.sends.get((room.id, row.user, row.key))
            contents = (row.content, send.content) if row.deleted and send else (row.content,)
        expected[version] = (event["type"], event["id"], contents, event.get("first"))
    return expected


def check_leaks(run: Run, verdict: Verdict) -> None:
    """C6b: a device receives and applies only events of times at which its user was a member.

    The version of each frame and of each applied event must be in a stay of the device's user:
    from the change that added him to his `user_left`. A snapshot must have a version at which he
    was a member, so one before his `user_left`. Repeated frames are allowed, and only counted.
    """
    seen: defaultdict[tuple[str, Any], set[int]] = defaultdict(set)
    for frame in run.frames:
        device, number, version = frame["device"], frame["room"], frame["version"]
        versions = seen[device, number]
        if version in versions:
            verdict.duplicate_frames += 1
        versions.add(version)
        _check_leak(run, frame, "got", verdict)
    for steps in run.steps.values():
        for step in steps:
            if step["type"] != "forget":
                how = "applied" if step["type"] == "apply" else "read"
                _check_leak(run, step, how, verdict)


def _check_leak(run: Run, step: Record, how: str, verdict: Verdict) -> None:
    """Look up what a device received in the stays of its user."""
    user, version = step["user"], step["version"]
    room = run.rooms.get(step["room"])
    if room is not None:
        is_allowed = room.had_member if step["type"] == "snapshot" else room.may_see
        if is_allowed(user, version):
            return
    verdict.leaked += 1
    stays = room.stays.get(user) if room else None
    where = list(zip(stays.firsts, stays.lasts, strict=True)) if stays else "never"
    verdict.add(
        Check.NO_LEAK,
        f"{step['device']} of {user} {how} version {version} of room {step['room']};"
        f" its user was a member in {where}",
    )


def check_publishing(run: Run, verdict: Verdict) -> None:
    """C6c: a frame with a new version of a room is later than all frames of the room before it.

    The events of a room are published in order. After a crash some are published again, which only
    repeats them. One pass keeps, for each device and room, the versions so far and the greatest.
    """
    seen: defaultdict[tuple[str, Any], set[int]] = defaultdict(set)
    greatest: defaultdict[tuple[str, Any], int] = defaultdict(int)
    for frame in run.frames:
        place, version = (frame["device"], frame["room"]), frame["version"]
        if version < greatest[place] and version not in seen[place]:
            verdict.add(
                Check.PUBLISHED_IN_ORDER,
                f"{place[0]} in room {place[1]} got version {version} for the first time"
                f" after {greatest[place]}",
            )
        seen[place].add(version)
        greatest[place] = max(greatest[place], version)


def check_unasked(run: Run, verdict: Verdict) -> None:
    """C6e: what the API changes is not published to a user who never asked for a token.

    What goes by SQL is published to every member: imported messages, deletions and renames.
    """
    for event in run.unasked:
        room = run.rooms.get(event["room"])
        row = room.by_id.get(event["id"]) if room and "id" in event else None
        send = run.sends.get((event["room"], row.user, row.key)) if row else None
        if event["event_type"] in {"message_deleted", "room_updated"} or (
            send is not None and send.is_imported
        ):
            continue
        verdict.add(
            Check.NOTHING_UNASKED,
            f"{event['user']} was sent version {event['version']} of room {event['room']}",
        )


def check_states(run: Run, verdict: Verdict) -> None:
    """C7: what a device holds at the end equals what it would read from the API then.

    Both are compared completely, for every device of the run.
    """
    for device in sorted(run.owners):
        compared = run.compared.get(device)
        if compared is None:
            verdict.add(Check.STATES_AGREE, f"{device} was not compared with a fresh read")
        elif compared["held"] != compared["fresh"]:
            path, held, fresh = _find_difference(compared["held"], compared["fresh"])
            verdict.add(
                Check.STATES_AGREE,
                f"{device} at {path or 'the top'}: holds {held!r}, fresh {fresh!r}",
            )


def _find_difference(held: Any, fresh: Any, path: str = "") -> tuple[str, Any, Any]:
    """Return where two states first differ, and both values there."""
    if isinstance(held, dict) and isinstance(fresh, dict):
        parts = [(name, held.get(name), fresh.get(name)) for name in held | fresh]
    elif isinstance(held, list) and isinstance(fresh, list) and len(held) == len(fresh):
        parts = [(n, one, other) for n, (one, other) in enumerate(zip(held, fresh, strict=True))]
    else:
        return path, held, fresh
    for name, one, other in parts:
        if one != other:
            return _find_difference(one, other, f"{path}/{name}")
    return path, held, fresh
