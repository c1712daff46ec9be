"""The traffic that a fault meets, and how it comes to rest again.

Eight senders write to one hot room and two cold ones, two guests join and leave, staff delete and
rename, one reader pages through the hot room, an outsider knocks; nine devices of eight users
follow it all.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import psycopg

from client.reducer import Reducer
from tests.history.recorder import Recorder
from tests.rig.devices import RecordedDevice, shorten
from tests.rig.http_client import Api, Json
from tests.rig.stand import Stand
from tests.rig.users import Actor, Guest, Outsider, PageReader, Sender, Staff
from tests.support.actors import make_token

SENDERS = 8
USERS = 12
GUESTS = 2
IDLE = 20
DAY = 86_400

HEADS = """
SELECT m.user_id, json_object_agg(r.id, r.version) AS heads
FROM chat_member m JOIN chat_room r ON r.id = m.room_id GROUP BY m.user_id
"""


class Workload:
    """Users, rooms and traffic of one run; everything they do is in the recorder's history."""

    def __init__(
        self,
        stand: Stand,
        recorder: Recorder,
        random: Random,
        make_reducer: Callable[[str], Reducer] = Reducer,
    ) -> None:
        self.stand = stand
        self.recorder = recorder
        self.random = random
        self.make_reducer = make_reducer
        self.complaints: list[str] = []
        """What was promised and not kept, outside the history's own rules."""
        self.apis: dict[str, Api] = {}
        self.hot = 0
        self.rooms: list[int] = []
        """Where something happens; nothing does in the others of `all_rooms`."""
        self.senders: list[Sender] = []
        self.devices: list[RecordedDevice] = []
        self._actors: list[Actor] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    # Beginning.

    async def start(self) -> None:
        """Create the rooms, connect the devices, and let the traffic begin."""
        await self._create_rooms()
        await self._connect_devices()
        self._create_actors()
        self._tasks = [asyncio.create_task(actor.run()) for actor in self._actors]
        self._tasks.append(asyncio.create_task(self._read_on_devices()))

    def api_of(self, user: str, *, role: str | None = None) -> Api:
        """Return the HTTP client of a user, made once."""
        if user not in self.apis:
            claims: Json = {"exp": int(time.time()) + DAY} | ({"role": role} if role else {})
            api = Api(self.stand.api_urls, make_token(user, **claims), self.complaints)
            self._stack.push_async_callback(api.close)
            self.apis[user] = api
        return self.apis[user]

    async def create_room(self, name: str, members: list[str]) -> int:
        """Create a room as the host's service does."""
        answer = await self.api_of("host", role="service").request(
            "POST", "/api/rooms/", {"name": name, "members": members}
        )
        assert answer.status_code == 201, answer.text
        room: int = answer.json()["id"]
        return room

    async def _create_rooms(self) -> None:
        users = [f"user{n}" for n in range(USERS)]
        self.hot = await self.create_room("hot", users)
        self.cold = [
            await self.create_room("cold 1", users[:4]),
            await self.create_room("cold 2", users[4:8]),
        ]
        self.rooms = [self.hot, *self.cold]
        self.all_rooms = [
            *self.rooms,
            *[await self.create_room(f"idle {n}", users[n % 8 : n % 8 + 2]) for n in range(IDLE)],
        ]

    async def _connect_devices(self) -> None:
        owners = [
            *(f"user{n}" for n in (0, 0, 1, 4, 5, 8, 9)),
            *(f"guest{n}" for n in range(GUESTS)),
        ]
        await asyncio.gather(
            *(self.connect_device(f"device{n}", user) for n, user in enumerate(owners))
        )

    async def connect_device(self, name: str, user: str, url: str | None = None) -> RecordedDevice:
        """Connect one more device of a user."""
        url = url or self.stand.realtime_url
        reducer = self.make_reducer(user)
        device = RecordedDevice(name, self.api_of(user), url, self.recorder, reducer)
        self.recorder.write("connect", device=name, user=user)
        await device.device.start()
        self._stack.push_async_callback(device.device.stop)
        self.devices.append(device)
        return device

    def _create_actors(self) -> None:
        def random() -> Random:
            return Random(self.random.random())

        for n in range(SENDERS):
            user = f"user{n}"
            rooms = [self.hot, self.cold[n // 4]]
            self.senders.append(Sender(user, rooms, self.api_of(user), self.recorder, random()))
        self._actors = [
            *self.senders,
            *(
                Guest(f"guest{n}", self.cold, self.api_of(f"guest{n}"), self.recorder, random())
                for n in range(GUESTS)
            ),
            PageReader("user8", self.hot, self.api_of("user8"), self.recorder, random()),
            Outsider(self.rooms, self.api_of("outsider"), self.recorder, random()),
            Staff(self.rooms, self.stand.fetch_in_one, self.recorder, random()),
        ]

    async def _read_on_devices(self) -> None:
        random = Random(self.random.random())
        while True:
            random.choice(self.devices).mark_read(random)
            await asyncio.sleep(0.5)

    async def import_messages(
        self, room: int, user: str, name: str, *, count: int, length: int, batch: int = 100
    ) -> None:
        """Send messages by SQL, as an importer does: `count` of them, `length` characters each.

        They are sends like any other: the history has them, if the room is one of `all_rooms`.
        """
        for start in range(0, count, batch):
            keys = [f"{name}-{n}" for n in range(start, start + batch)]
            contents = [f"{key} ".ljust(length, "x") for key in keys]
            place = {"room": room, "user": user, "by": "sql"}
            ops = [
                self.recorder.invoke(name, "send", **place, key=key, content=shorten(content))
                for key, content in zip(keys, contents, strict=True)
                if room in self.all_rooms
            ]
            rows = await self.stand.fetch(
                "SELECT message_id AS id, message_seq AS seq FROM chat.send_messages("
                "array_fill(%s::bigint, ARRAY[%s]), array_fill(%s::text, ARRAY[%s]),"
                " %s::text[], %s::text[]) ORDER BY ordinal",
                [room, batch, user, batch, keys, contents],
            )
            for op, row in zip(ops, rows, strict=bool(ops)):
                self.recorder.ok(op, **row)

    # Waiting.

    async def run_for(self, seconds: float) -> None:
        """Let the traffic run; a defect in an actor ends the wait."""
        done, _ = await asyncio.wait(
            self._tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()

    @property
    def acknowledged(self) -> int:
        """How many sends were begun; all but the open ones are acknowledged."""
        return sum(sender.sent for sender in self.senders)

    async def wait_for_sends(self, count: int, within: float) -> float:
        """Wait until so many more sends were acknowledged; return how long that took."""
        began, wanted = time.monotonic(), self.acknowledged + count + SENDERS
        async with asyncio.timeout(within):
            while self.acknowledged < wanted:
                await self.run_for(0.02)
        return time.monotonic() - began

    # Ending.

    async def finish_traffic(self, within: float) -> None:
        """Stop, once whatever was begun is acknowledged."""
        for actor in self._actors:
            actor.stopping.set()
        self._tasks.pop().cancel()
        async with asyncio.timeout(within):
            await asyncio.gather(*self._tasks)

    async def wait_for_rest(self, within: float) -> float:
        """Wait until the outbox is empty and every device is at the head of its rooms.

        Returns how long that took, in seconds, and records it.
        """
        began = time.monotonic()
        behind: list[str] = ["unknown"]
        try:
            async with asyncio.timeout(within):
                while behind:
                    behind = await self.find_unrest()
                    if behind:
                        await asyncio.sleep(0.05)
        except TimeoutError:
            self.complaints.append(f"no rest within {within:.0f} s: {', '.join(behind)[:300]}")
        else:
            self.recorder.write("rest")
        return time.monotonic() - began

    async def read_heads(self) -> dict[str, dict[int, int]]:
        """Return the version of each room of each member, as the database has it."""
        return {
            row["user_id"]: {int(room): version for room, version in row["heads"].items()}
            for row in await self.stand.fetch(HEADS)
        }

    async def find_unrest(self) -> list[str]:
        """Name what is not yet at rest."""
        try:
            (outbox,) = await self.stand.fetch("SELECT count(*) AS rows FROM chat_outbox")
            heads = await self.read_heads()
        except psycopg.Error as error:
            return [f"the database: {error}"]
        unrest = [f"{outbox['rows']} rows in the outbox"] if outbox["rows"] else []
        return unrest + [
            f"{device.name} of {device.user}"
            for device in self.devices
            if not device.is_at(heads.get(device.user, {}))
        ]

    async def read_finals(self) -> None:
        """Record what the database, the API and each device hold in the end.

        What cannot be read is a complaint, and the rest is read all the same.
        """
        for room in self.all_rooms:
            await self._try(self._read_by_sql(room))
            await self._try(self._read_by_api(room))
        for device in self.devices:
            device.count_unread()
            await self._try(device.compare())

    async def _try(self, reading: Coroutine[Any, Any, object]) -> None:
        try:
            await reading
        except (AssertionError, OSError, psycopg.Error) as error:
            self.complaints.append(f"at the end: {error}")

    async def _read_by_api(self, room: int) -> None:
        (member,) = await self.stand.fetch(
            "SELECT min(user_id) AS id FROM chat_member WHERE room_id = %s", [room]
        )
        api = self.api_of(member["id"])
        found = await api.read_all(f"/api/rooms/{room}/messages/?limit=200")
        self.recorder.write(
            "final_api",
            room=room,
            messages=[
                [m["seq"], m["id"], m["user"], m.get("client_id"), shorten(m["content"])]
                for m in reversed(found)
            ],
        )

    async def _read_by_sql(self, room: int) -> None:
        (row,) = await self.stand.fetch("SELECT * FROM chat_room WHERE id = %s", [room])
        messages = await self.stand.fetch(
            "SELECT seq, id, user_id AS user, client_id AS key, content,"
            " deleted_at IS NOT NULL AS deleted FROM chat_message WHERE room_id = %s ORDER BY seq",
            [room],
        )
        events = await self.stand.fetch(
            # What one call added has one moment and stands together.
            "SELECT version, type, user_id AS user, message_id AS id,"
            " CASE WHEN type = 'user_joined' THEN min(version) OVER (PARTITION BY type, joined_at)"
            " ELSE version END AS change FROM chat_event WHERE room_id = %s ORDER BY version",
            [room],
        )
        members = await self.stand.fetch(
            "SELECT user_id FROM chat_member WHERE room_id = %s", [room]
        )
        self.recorder.write(
            "final_db",
            room=room,
            name=row["name"],
            version=row["version"],
            last_seq=row["last_seq"],
            messages=[row | {"content": shorten(row["content"])} for row in messages],
            events=events,
            members=[member["user_id"] for member in members],
        )

    def break_off(self) -> None:
        """Stop whoever still acts; what is under way stays without an answer."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Disconnect everyone."""
        self.break_off()
        await self._stack.aclose()
