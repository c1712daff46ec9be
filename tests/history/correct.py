"""Makes correct histories of any size, with everything that happens in a run; see `World`."""

from bisect import bisect_right
from operator import itemgetter
from typing import Any

from tests.history.recorder import Record
from tests.history.world import Device, Room, World

_SENDS_A_SECOND = 150
Wanted = tuple[Room, str, str, str]


def make_history(seed: int, *, sends: int = 700, rooms: int = 3, users: int = 6) -> list[Record]:
    """Return the records of a run in which everything was right, in the order of their times.

    It has rooms of which the first is hot, senders with retries and lost answers, a device for each
    user, members who join and leave, deletions, renames, reads, messages by SQL, one fault after
    which some devices recover what they missed and some do not, rest, and the final reads.
    """
    story = _Story(seed, sends=sends, rooms=rooms, users=users)
    story.run()
    return sorted(story.world.records, key=itemgetter("at"))


class _Story:
    """One run: the world, and what its users do in it."""

    def __init__(self, seed: int, *, sends: int, rooms: int, users: int) -> None:
        self.world = World(seed, rooms=rooms, users=users)
        self.random = self.world.random
        self.seed, self.sends, self.sent, self.imported = seed, sends, 0, 0
        self.unanswered: list[Wanted] = []
        self.stored: dict[tuple[int, str, str], Record] = {}

    def run(self) -> None:
        """Make the run."""
        world = self.world
        world.note(world.now - 1, "run", seed=self.seed, fault="cut", realtime="gateway")
        users = list(world.devices)
        for device in world.devices.values():
            world.note_device(device, "connect")
            world.note_device(device, "subscribed", recovered=False, was_recovering=False)
        for room in world.rooms:
            world.join(room, self.random.sample(users, max(3, len(users) // 2)))
        begin, end = self.sends * 2 // 5, self.sends * 3 // 5
        while self.sent < self.sends:
            if begin <= self.sent < end and not world.cut_off:
                world.note(world.now, "fault", name="cut", phase="start")
                world.cut_off = True
            elif self.sent >= end and world.cut_off:
                world.note(world.now, "fault", name="cut", phase="stop")
                world.reconnect()
            self._act()
        self._finish()

    def _act(self) -> None:
        """Let a user do one thing, most often send."""
        self.world.now += self.random.expovariate(_SENDS_A_SECOND)
        room = self.world.rooms[0]
        if self.random.random() > 0.6:
            room = self.random.choice(self.world.rooms)
        acts = {
            self._send: 80,
            self._import: 2,
            self._retry: 4,
            self._change_members: 3,
            self._delete: 3,
            self._rename: 1,
            self._read_page: 4,
            self._mark_read: 4,
            self._ask_unread: 4,
        }
        (act,) = self.random.choices(list(acts), weights=list(acts.values()))
        act(room)

    def _send(self, room: Room) -> None:
        self.sent += 1
        key, content = f"key{self.sent}", f"text {self.sent}"
        strangers = sorted(self.world.devices.keys() - set(room.members))
        if strangers and self.random.random() < 0.02:
            self._note_send((room, self.random.choice(strangers), key, content), "fail", {})
        else:
            self._attempt((room, self.random.choice(room.members), key, content))

    def _attempt(self, wanted: Wanted) -> None:
        """Send once: the answer may be lost, and the message may be lost with it."""
        room, user, key, content = wanted
        row = self.stored.get((room.id, user, key))
        if row is None and user not in room.members:
            self._note_send(wanted, "fail", {})
            return
        is_answered = self.random.random() > (0.5 if self.world.cut_off else 0.02)
        if row is None and (is_answered or self.random.random() < 0.5):
            row = self.world.store(room, user, key, content)
            self.stored[room.id, user, key] = row
        if is_answered and row is not None:
            self._note_send(wanted, "ok", {"id": row["id"], "seq": row["seq"]})
        else:
            self.unanswered.append(wanted)
            self._note_send(wanted, "info", {"why": "timeout"})

    def _import(self, room: Room) -> None:
        """Send by SQL, as the host does."""
        self.imported += 1
        key, content = f"import{self.imported}", f"imported text {self.imported}"
        user = self.random.choice(room.members)
        row = self.world.store(room, user, key, content)
        answer = {"id": row["id"], "seq": row["seq"]}
        asked = {"room": room.id, "user": user, "key": key, "content": content, "by": "sql"}
        self.world.note_call("send", "ok", answer, **asked)

    def _note_send(self, wanted: Wanted, status: str, result: Record) -> None:
        room, user, key, content = wanted
        self.world.note_call(
            "send", status, result, room=room.id, user=user, key=key, content=content
        )

    def _retry(self, _: Room) -> None:
        """Send a message again that had no answer."""
        if self.unanswered:
            self._attempt(self.unanswered.pop(self.random.randrange(len(self.unanswered))))

    def _change_members(self, room: Room) -> None:
        world = self.world
        outside = sorted(world.devices.keys() - set(room.members))
        if outside and (len(room.members) < 4 or self.random.random() < 0.5):
            users = self.random.sample(outside, min(len(outside), self.random.randint(1, 3)))
            world.join(room, users, in_bulk=len(users) > 1 and self.random.random() < 0.5)
            for user in users:
                world.note_call("add", "ok", {"version": room.version}, room=room.id, user=user)
        elif len(room.members) > 3:
            user = self.random.choice(room.members)
            world.leave(room, user)
            world.note_call("remove", "ok", {"version": room.version}, room=room.id, user=user)

    def _delete(self, room: Room) -> None:
        rows = [row for row in room.rows[-50:] if not row["deleted"]]
        if rows:
            row = self.random.choice(rows)
            self.world.delete(room, row)
            status = "ok" if self.random.random() < 0.9 else "info"
            result = {} if status == "ok" else {"why": "reset"}
            self.world.note_call("delete", status, result, room=room.id, id=row["id"])

    def _rename(self, room: Room) -> None:
        name = f"room {self.sent}, version {room.version}"
        self.world.rename(room, name)
        status = "ok" if self.random.random() < 0.9 else "info"
        result = {"version": room.version} if status == "ok" else {"why": "reset"}
        self.world.note_call("rename", status, result, room=room.id, name=name)

    def _read_page(self, room: Room) -> None:
        after, limit = max(0, len(room.rows) - self.random.randint(0, 60)), 50
        messages = [
            [row["seq"], row["id"], row["key"], row["content"]]
            for row in room.rows[after : after + limit]
        ]
        user = self.random.choice(room.members)
        status = "ok" if self.random.random() < 0.9 else "info"
        self.world.note_call(
            "read_page",
            status,
            {"messages": messages} if status == "ok" else {"why": "timeout"},
            room=room.id,
            user=user,
            after=after,
            limit=limit,
        )

    def _mark_read(self, room: Room) -> None:
        device = self.world.devices[self.random.choice(room.members)]
        seq = bisect_right(room.added, device.held.get(room.id, 0)) - self.random.randint(0, 5)
        if seq > device.positions.get(room.id, 0):
            device.positions[room.id] = seq
            self._ask(device, room, "mark_read", {}, seq=seq)

    def _ask_unread(self, room: Room) -> None:
        device = self.world.devices[self.random.choice(room.members)]
        if room.id in device.held:
            count = self.world.count_unread(device, room)
            self._ask(device, room, "unread", {"count": count})

    def _ask(
        self, device: Device, room: Room, action: str, result: Record, **arguments: Any
    ) -> None:
        """Add a request to a device, after all its records so far."""
        begin = max(device.clock, self.world.now) + 1e-6
        device.clock = begin + 1e-6
        asked = {"device": device.name, "user": device.user, "room": room.id, **arguments}
        self.world.note_call_between((begin, device.clock), action, "ok", result, asked)

    def _finish(self) -> None:
        """Come to rest, and add the final reads."""
        world = self.world
        world.now += 1
        world.note(world.now, "rest")
        world.now += 1
        for room in world.rooms:
            for user in room.members:
                device = world.devices[user]
                self._ask(device, room, "unread", {"count": world.count_unread(device, room)})
            _note_room(world, room)
        for device in world.devices.values():
            _note_device_state(world, device)


def _note_room(world: World, room: Room) -> None:
    columns = ("seq", "id", "user", "key", "content")
    shown = [[row[column] for column in columns] for row in room.rows]
    world.note(world.now + 1, "final_api", room=room.id, messages=shown)
    world.note(
        world.now + 1,
        "final_db",
        room=room.id,
        name=room.name,
        version=room.version,
        last_seq=len(room.rows),
        messages=room.rows,
        events=room.events,
        members=room.members,
    )


def _note_device_state(world: World, device: Device) -> None:
    """Add what a device holds, and the same as what it reads from the API."""
    states = [
        {
            str(room.id): {
                "version": room.version,
                "members": sorted(room.members),
                "last_message": dict(room.rows[-1]) if room.rows else None,
            }
            for room in world.rooms
            if device.user in room.members
        }
        for _ in range(2)
    ]
    world.note_device(device, "final_device", held=states[0], fresh=states[1])
