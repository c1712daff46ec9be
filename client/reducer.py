"""The state that a user sees, kept by events: the rules of docs/client.md that need no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Json = dict[str, Any]
KEEP = 200
"""How many messages of a room are held: the largest page of the API."""


class Outcome(Enum):
    """What was done with an event."""

    APPLIED = "applied"
    DROPPED = "dropped"
    """It was applied before, or the user leaves a room that is not held, or it has no room."""
    GAP = "gap"
    """Events are missing before it: fetch the events after `version(room_id)`, and apply them."""
    UNKNOWN_ROOM = "unknown room"
    """The room is not held: read it as a whole."""


@dataclass(slots=True)
class _Held:
    """A room with its members by user id and its newest messages by id.

    `lacks_members`: an event stood for many users who joined, and named only the last of them.
    """

    room: Json
    members: dict[str, Json] = field(default_factory=dict)
    messages: dict[int, Json] = field(default_factory=dict)
    lacks_members: bool = False


class Reducer:
    """Holds a user's rooms; whatever the order of events, they become equal to the service's.

    `keep` is how many of the newest messages of each room are held, at least 1.
    """

    def __init__(self, user_id: str, *, keep: int = KEEP) -> None:
        self.user_id = user_id
        self.keep = keep
        self._rooms: dict[int, _Held] = {}
        self._positions: dict[int, int] = {}

    def receive(self, event: Json) -> Outcome:
        """Apply the event if it is the next of its room, and return what was done with it."""
        body = event["body"]
        if "room" not in body:
            return Outcome.DROPPED
        room_id, version = body["room"]["id"], body["room"]["version"]
        held = self._rooms.get(room_id)
        if held is None:
            has_left = event["type"] == "user_left" and body["user"] == self.user_id
            return Outcome.DROPPED if has_left else Outcome.UNKNOWN_ROOM
        if version <= held.room["version"]:
            return Outcome.DROPPED
        if body.get("first_version", version) > held.room["version"] + 1:
            return Outcome.GAP
        if version > held.room["version"] + 1:
            held.lacks_members = True
        self._apply(held, event)
        return Outcome.APPLIED

    def _apply(self, held: _Held, event: Json) -> None:
        """Apply the next event; members and messages may have been read after it happened."""
        body = {name: value for name, value in event["body"].items() if name != "room"}
        held.room |= event["body"]["room"]
        match event["type"]:
            case "message_added":
                # A held one was read after this was published, and its text may be deleted.
                held.messages.setdefault(body["id"], body)
                held.room["bump_id"] = body["id"]
                if len(held.messages) > self.keep:
                    del held.messages[min(held.messages)]
            case "message_deleted":
                if body["id"] in held.messages:
                    held.messages[body["id"]] = body
            case "user_joined" | "user_left" | "member_updated":
                self._change_members(held, event["type"], body)
            case "room_updated":
                # Its state beside the name, in releases that show one.
                held.room |= body
            case _:
                pass  # a type of a later release: only its version and its room are used

    def _change_members(self, held: _Held, kind: str, body: Json) -> None:
        if kind != "user_left":
            _hold_member(held, body)
            return
        held.members.pop(body["user"], None)
        if body["user"] == self.user_id:
            self.forget(held.room["id"])

    def replace(self, room: Json, members: Iterable[Json], messages: Iterable[Json]) -> None:
        """Hold a room as it was read: first the room, then all members, then the newest messages.

        A change between these reads is in some of them. Its event comes after `room["version"]`
        and completes the others. `messages` are the newest `keep`, or all if there are fewer.
        """
        newest = sorted(messages, key=lambda message: message["id"])[-self.keep :]
        self._rooms[room["id"]] = _Held(
            dict(room),
            {member["user"]: member for member in members},
            {message["id"]: message for message in newest},
        )
        if newest:
            self.place({"bump_id": newest[-1]["id"], **room})
        # A position beyond the last message is from before a backup was restored.
        last_seq = newest[-1]["seq"] if newest else 0
        self._positions[room["id"]] = min(last_seq, self.position(room["id"]))

    def place(self, listed: Json) -> None:
        """Take a held room's place from a list, where the room has none.

        It was read from a release of the service before this one, which shows no `bump_id`.
        """
        if (held := self._rooms.get(listed["id"])) is not None and "bump_id" in listed:
            held.room.setdefault("bump_id", listed["bump_id"])

    def replace_members(self, room_id: int, members: Iterable[Json]) -> None:
        """Hold a room's members as they were read; the events of later changes still follow."""
        if (held := self._rooms.get(room_id)) is not None:
            held.members = {member["user"]: member for member in members}
            held.lacks_members = False

    def lacks_members(self, room_id: int) -> bool:
        """Say whether members of a held room are unknown: read them when somebody looks at them."""
        held = self._rooms.get(room_id)
        return held is not None and held.lacks_members

    def forget(self, room_id: int) -> None:
        """Stop holding the room; the read position stays, because the user may join again."""
        self._rooms.pop(room_id, None)

    def version(self, room_id: int) -> int:
        """Return the version of a room, or 0 if it is not held (a version is at least 1)."""
        held = self._rooms.get(room_id)
        return 0 if held is None else int(held.room["version"])

    def versions(self) -> dict[int, int]:
        """Return the version of each room that is held."""
        return {room_id: self.version(room_id) for room_id in self._rooms}

    def state(self) -> Json:
        """Return everything that the user sees, in the order and form of the API's answers.

        The members of a room are those that are known: see `lacks_members`.
        """
        messages = {room_id: _newest_first(held) for room_id, held in self._rooms.items()}
        rooms = [
            held.room | {"last_message": next(iter(messages[room_id]), None)}
            for room_id, held in self._rooms.items()
        ]
        return {
            "rooms": sorted(
                rooms, key=lambda room: (room.get("bump_id", 0), room["id"]), reverse=True
            ),
            "members": {
                room_id: sorted(held.members.values(), key=lambda member: member["user"].encode())
                for room_id, held in self._rooms.items()
            },
            "messages": messages,
        }

    def mark_read(self, room_id: int, seq: int) -> None:
        """Note that the user has read up to this message; an earlier one changes nothing.

        Only this device has the position: the service stores none yet.
        """
        self._positions[room_id] = max(seq, self.position(room_id))

    def position(self, room_id: int) -> int:
        """Return the seq up to which the user has read, or 0."""
        return self._positions.get(room_id, 0)

    def unread(self, room_id: int) -> int:
        """Count the messages of other users after the position, without deleted ones.

        Only held messages are counted: if more than `keep` messages follow the position, the count
        is that of the newest `keep`. Show `keep` or more as "many".
        """
        held = self._rooms.get(room_id)
        if held is None:
            return 0
        return sum(
            message["seq"] > self.position(room_id)
            and message["user"] != self.user_id
            and "deleted_at" not in message
            for message in held.messages.values()
        )


def _hold_member(held: _Held, body: Json) -> None:
    """Hold a member as an event of joining or changing says, in the form of the API's answers."""
    is_new = "joined_at" in body
    known = {"role": "member"} if is_new else held.members.get(body["user"])
    if known is None:
        return  # one of many who joined by one event; the whole list will be read
    shown = ("user", "joined_at", "role", "muted_until")
    changed = known | {name: body[name] for name in shown if name in body}
    held.members[body["user"]] = {
        name: value for name, value in changed.items() if value is not None
    }


def _newest_first(held: _Held) -> list[Json]:
    return [held.messages[message_id] for message_id in sorted(held.messages, reverse=True)]
