"""A simulated chat that breaks no promise: rooms, users with a device each, and a clock.

Changes happen one after another. Each operation begins a little before its change and is answered a
little after it, so operations overlap as in a run. Devices receive events a little later.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.history.recorder import Record

KEEP = 200
"""How many messages of a room a device holds."""


@dataclass
class Room:
    """A room; the event of version v is `events[v - 1]`.

    `added` are the versions of the messages, in order; `gone` those of the deletions, by id.
    """

    id: int
    name: str = "room"
    rows: list[Record] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    gone: dict[int, int] = field(default_factory=dict)
    by_id: dict[int, Record] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)

    @property
    def version(self) -> int:
        """The version of the last event."""
        return len(self.events)


@dataclass
class Device:
    """A device: its time, its version of each room, the read positions, and missed events."""

    name: str
    user: str
    clock: float = 0.0
    held: dict[int, int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    missed: list[tuple[Room, Record]] = field(default_factory=list)


class World:
    """Changes rooms and sends the events to devices; `records` has it all, in any order.

    While `cut_off` is set, no event reaches a device.
    """

    def __init__(self, seed: int, *, rooms: int, users: int) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.cut_off = False
        self.records: list[Record] = []
        self.rooms = [Room(n) for n in range(1, rooms + 1)]
        self.devices = {f"user{n}": Device(f"phone{n}", f"user{n}") for n in range(users)}
        self._ops = 0
        self._ids = 100

    def note(self, at: float, kind: str, /, **fields: Any) -> None:
        """Add a record."""
        self.records.append({"at": at, "type": kind, **fields})

    def note_device(self, device: Device, kind: str, /, **fields: Any) -> None:
        """Add a record of a device, later than all its records so far."""
        device.clock = max(device.clock + 1e-6, self.now + self.random.uniform(0.001, 0.01))
        self.note(device.clock, kind, device=device.name, user=device.user, **fields)

    def note_call(self, action: str, status: str, result: Record, /, **arguments: Any) -> None:
        """Add an operation that happens now."""
        begin = self.now - self.random.uniform(0.001, 0.03)
        self.note_call_between(
            (begin, self.now + self.random.uniform(0.001, 0.03)), action, status, result, arguments
        )

    def note_call_between(
        self,
        times: tuple[float, float],
        action: str,
        status: str,
        result: Record,
        arguments: Record,
    ) -> None:
        """Add an operation that began and ended at the given times."""
        self._ops += 1
        process = arguments.get("user", "host")
        self.note(times[0], "invoke", op=self._ops, process=process, action=action, **arguments)
        self.note(times[1], status, op=self._ops, **result)

    def store(self, room: Room, user: str, key: str, content: str) -> Record:
        """Store a message."""
        self._ids += self.random.randint(1, 3)
        row = {
            "seq": len(room.rows) + 1,
            "id": self._ids,
            "user": user,
            "key": key,
            "content": content,
            "deleted": False,
        }
        room.rows.append(row)
        room.by_id[self._ids] = row
        room.added.append(room.version + 1)
        self._send_event(room, "message_added", user, self._ids, content=content)
        return row

    def delete(self, room: Room, row: Record) -> None:
        """Delete a message's text."""
        row |= {"deleted": True, "content": ""}
        room.gone[row["id"]] = room.version + 1
        self._send_event(room, "message_deleted", row["user"], row["id"], content="")

    def rename(self, room: Room, name: str) -> None:
        """Give the room another name."""
        room.name = name
        self._send_event(room, "room_updated", None)

    def join(self, room: Room, users: list[str], *, in_bulk: bool = False) -> None:
        """Add users in one change; in bulk only the last event is published, and stands for all."""
        room.members += users
        change = room.version + 1
        if in_bulk:
            for user in users[:-1]:
                self._log(room, "user_joined", user, change=change)
            self._send_event(room, "user_joined", users[-1], change=change, first=change)
            return
        for user in users:
            self._send_event(room, "user_joined", user, change=change)

    def leave(self, room: Room, user: str) -> None:
        """Remove a member, who receives the event too."""
        self._send_event(room, "user_left", user)
        room.members.remove(user)

    def _send_event(
        self, room: Room, kind: str, user: str | None, id_: int | None = None, **more: Any
    ) -> None:
        version = room.version + 1
        change = more.pop("change", version)
        self._log(room, kind, user, id_, change=change, first=more.get("first"))
        event = {"room": room.id, "version": version, "event_type": kind, **more}
        if id_ is not None:
            event["id"] = id_
        for member in room.members:
            device = self.devices[member]
            if self.cut_off:
                device.missed.append((room, event))
            else:
                self._deliver(device, room, event)

    def _log(
        self,
        room: Room,
        kind: str,
        user: str | None,
        id_: int | None = None,
        *,
        change: int,
        first: int | None = None,
    ) -> None:
        logged = {"version": room.version + 1, "type": kind, "user": user, "id": id_}
        room.events.append(logged | {"change": change} | ({"first": first} if first else {}))

    def _deliver(self, device: Device, room: Room, event: Record) -> None:
        """Deliver an event to a device, now and then twice."""
        for _ in range(2 if self.random.random() < 0.01 else 1):
            self.note_device(device, "frame", **event)
        held = device.held.get(room.id)
        last: int = event["version"]
        first: int = event.get("first", last)
        if held is not None and first <= held + 1 <= last:
            self._apply(device, room, event)
        elif held is None and not _is_own_end(device, room, event):
            self._read_room(device, room)

    def _apply(self, device: Device, room: Room, event: Record) -> None:
        self.note_device(device, "apply", **event)
        device.held[room.id] = event["version"]
        if _is_own_end(device, room, event):
            self._forget(device, room)

    def _read_room(self, device: Device, room: Room) -> None:
        if device.user in room.members:
            device.held[room.id] = room.version
            self.note_device(device, "snapshot", room=room.id, version=room.version)

    def _forget(self, device: Device, room: Room) -> None:
        del device.held[room.id]
        self.note_device(device, "forget", room=room.id)

    def reconnect(self) -> None:
        """Reconnect every device: some recover what they missed, the others read the logs.

        There are always some of both.
        """
        self.cut_off = False
        for n, device in enumerate(self.devices.values()):
            recovered = n == 0 or (n > 1 and self.random.random() < 0.5)
            self.note_device(device, "subscribed", recovered=recovered, was_recovering=True)
            for room, event in device.missed if recovered else []:
                self._deliver(device, room, event)
            device.missed = []
            for room in [] if recovered else self.rooms:
                self._catch_up(device, room)

    def _catch_up(self, device: Device, room: Room) -> None:
        """Fetch the events after the version that a device holds."""
        held = device.held.get(room.id)
        if held is None:
            self._read_room(device, room)
        elif device.user not in room.members:
            self._forget(device, room)
        elif held < room.version:
            self.note_device(device, "fetch", room=room.id, after=held, status=200)
            for event in room.events[held:]:
                if room.id not in device.held:  # its user left and joined again meanwhile
                    self._read_room(device, room)
                    break
                self._apply(device, room, _compose_event(room, event))

    def count_unread(self, device: Device, room: Room) -> int:
        """Count what a device shows as unread among the messages that it holds."""
        held, position = device.held.get(room.id, 0), device.positions.get(room.id, 0)
        known = bisect_right(room.added, held)
        return sum(
            row["seq"] > position
            and row["user"] != device.user
            and room.gone.get(row["id"], held + 1) > held
            for row in room.rows[max(0, known - KEEP) : known]
        )


def _is_own_end(device: Device, room: Room, event: Record) -> bool:
    """Say whether an event is that the device's own user left."""
    logged = room.events[event["version"] - 1]
    return bool(logged["type"] == "user_left" and logged["user"] == device.user)


def _compose_event(room: Room, logged: Record) -> Record:
    """Return an event as the log has it: with the present text."""
    event = {"room": room.id, "version": logged["version"], "event_type": logged["type"]}
    if logged["id"] is not None:
        event |= {"id": logged["id"], "content": room.by_id[logged["id"]]["content"]}
    if "first" in logged:
        event["first"] = logged["first"]
    return event
