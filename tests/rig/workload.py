"""The workload: the traffic during a trial, and how it ends.

Eight senders write to one hot room and two cold ones, two guests join and leave, staff delete
messages and rename rooms, one reader pages through the hot room, and an outsider tries to read and
write without being a member. Nine devices of eight users receive the events.
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
from tests.rig.users import Guest, Outsider, PageReader, Sender, SimulatedUser, Staff
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
    """Users, rooms and traffic of one trial; the recorder's history has everything they do."""

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
        """Broken promises that the checks of the history do not cover."""
        self.apis: dict[str, Api] = {}
        self.hot = 0
        self.rooms: list[int] = []
        """The rooms with traffic; the others of `all_rooms` have none."""
        self.senders: list[Sender] = []
        self.devices: list[RecordedDevice] = []
        self._users: list[SimulatedUser] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    # Start.

    async def start(self) -> None:
        """Create the rooms, connect the devices, and start the traffic."""
        await self._create_rooms()
        await self._connect_devices()
        self._create_users()
        self._tasks = [asyncio.create_task(user.run()) for user in self._users]
        self._tasks.append(asyncio.create_task(self._read_on_devices()))

    def api_of(self, user: str, *, role: str | None = None) -> Api:
        """Return the HTTP client of a user, the same each time."""
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

    def _create_users(self) -> None:
        def random() -> Random:
            return Random(self.random.random())

        for n in range(SENDERS):
            user = f"user{n}"
            rooms = [self.hot, self.cold[n // 4]]
            self.senders.append(Sender(user, rooms, self.api_of(user), self.recorder, random()))
        self._users = [
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
        """Send `count` messages of `length` characters each by SQL, as an importer does.

        The history has them like other sends, if the room is one of `all_rooms`.
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
                "SELECT message_id AS id, message_seq AS seq"
                " FROM chat.send_messages("
                "array_fill(%s::bigint, ARRAY[%s]), array_fill(%s::text, ARRAY[%s]),"
                " %s::text[], %s::text[]) ORDER BY ordinal",
                [room, batch, user, batch, keys, contents],
            )
            for op, row in zip(ops, rows, strict=bool(ops)):
                self.recorder.ok(op, **row)

    # Wait.

    async def run_for(self, seconds: float) -> None:
        """Let the traffic run; an error of a simulated user is raised here."""
        done, _ = await asyncio.wait(
            self._tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()

    @property
    def acknowledged(self) -> int:
        """How many sends were begun; all but those under way are acknowledged."""
        return sum(sender.sent for sender in self.senders)

    async def wait_for_sends(self, count: int, within: float) -> float:
        """Wait until `count` more sends were acknowledged; return how many seconds that took."""
        began, wanted = time.monotonic(), self.acknowledged + count + SENDERS
        async with asyncio.timeout(within):
            while self.acknowledged < wanted:
                await self.run_for(0.02)
        return time.monotonic() - began

    # End.

    async def finish_traffic(self, within: float) -> None:
        """Let each user finish what it began, then stop."""
        for user in self._users:
            user.stopping.set()
        self._tasks.pop().cancel()
        async with asyncio.timeout(within):
            await asyncio.gather(*self._tasks)

    async def wait_for_rest(self, within: float) -> float:
        """Wait for rest: the outbox is empty, and every device has the newest version of its rooms.

        Returns how many seconds that took, and records it.
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
        """Return, for each user, the version of each of his rooms in the database."""
        return {
            row["user_id"]: {int(room): version for room, version in row["heads"].items()}
            for row in await self.stand.fetch(HEADS)
        }

    async def find_unrest(self) -> list[str]:
        """Name what is not yet done: rows in the outbox, and devices that are not up to date."""
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
        """Record what the database, the API and each device hold at the end.

        If something cannot be read, that is a complaint, and the others are still read.
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
            # The users that one call added have one `joined_at`, and their events stand together.
            "SELECT version, type, user_id AS user, message_id AS id, first_version AS first,"
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
        """Stop the users at once; what is under way stays without an answer."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Disconnect all users and devices."""
        self.break_off()
        await self._stack.aclose()
