"""Who uses the system while it is attacked: senders, guests who come and go, readers, staff."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from random import Random

import psycopg

from tests.faults.api import Api, Json, NoAnswerError
from tests.faults.devices import shorten
from tests.history.recorder import Recorder

Fetch = Callable[..., Awaitable[list[Json]]]
RETRIES = 200
PAGE = 50


class Actor(ABC):
    """Does one thing after another until told to stop, and finishes what it began."""

    name = "actor"

    def __init__(self, recorder: Recorder, random: Random, pause: float) -> None:
        self.recorder = recorder
        self.random = random
        self.pause = pause
        """Seconds between two acts, on average."""
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Act until `stopping` is set."""
        while not self.stopping.is_set():
            await self.act()
            wait = self.random.expovariate(1 / self.pause) if self.pause else 0
            await self._sleep(wait)

    @abstractmethod
    async def act(self) -> None:
        """Do it once, until its outcome is known."""

    async def _sleep(self, seconds: float) -> None:
        """Pause, or stop at once when told to."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    async def insist(
        self, api: Api, path: str, body: object, begin: Callable[[], int]
    ) -> tuple[int, Json]:
        """POST until it is acknowledged; each try is an operation of its own.

        `begin` records that an operation begins. Returns its number and the answer's body.
        """
        for attempt in range(RETRIES):
            number = begin()
            try:
                answer = await api.request("POST", path, body)
            except NoAnswerError as error:
                if error.is_unsent:
                    self.recorder.fail(number, why=str(error))
                else:
                    self.recorder.info(number, why=str(error))
            else:
                if answer.is_success:
                    return number, answer.json()
                if answer.status_code < 500:
                    raise AssertionError(f"POST {path}: {answer.status_code} {answer.text}")
                self.recorder.info(number, why=f"{answer.status_code}")
            # A client's back-off, not a wait for a signal.
            await asyncio.sleep(self.random.uniform(0.02, min(0.05 * 2**attempt, 0.5)))
        raise AssertionError(f"POST {path} was never answered")


class Sender(Actor):
    """Sends messages with keys, each until it is acknowledged."""

    def __init__(
        self, user: str, rooms: list[int], api: Api, recorder: Recorder, random: Random
    ) -> None:
        super().__init__(recorder, random, 0.03)
        self.user = user
        self.rooms = rooms
        self.api = api
        self.sent = 0
        self.moved = asyncio.Event()
        """Set whenever a message is acknowledged."""

    async def act(self) -> None:
        """Send one message: six in ten go to the hot room, which is the first."""
        is_hot = self.random.random() < 0.6 or len(self.rooms) == 1
        room = self.rooms[0] if is_hot else self.random.choice(self.rooms[1:])
        await self.send(room)

    async def send(self, room: int) -> None:
        """Send one message to a room."""
        self.sent += 1
        key = f"{self.user}-{self.sent}"
        content = f"{key} {'x' * self.random.randrange(40)}"
        number, body = await self.insist(
            self.api,
            f"/api/rooms/{room}/messages/",
            {"content": content, "client_id": key},
            lambda: self.recorder.invoke(
                self.user, "send", room=room, user=self.user, key=key, content=content
            ),
        )
        self.recorder.ok(number, id=body["id"], seq=body["seq"])
        self.moved.set()


class Guest(Actor):
    """Joins and leaves rooms, one after the other."""

    def __init__(
        self, user: str, rooms: list[int], api: Api, recorder: Recorder, random: Random
    ) -> None:
        super().__init__(recorder, random, 0.6)
        self.user = user
        self.rooms = rooms
        self.api = api
        self.inside: set[int] = set()

    async def act(self) -> None:
        """Join a room, or leave it if inside."""
        room = self.random.choice(self.rooms)
        action, verb = ("remove", "leave") if room in self.inside else ("add", "join")
        number, body = await self.insist(
            self.api,
            f"/api/rooms/{room}/{verb}/",
            None,
            lambda: self.recorder.invoke(self.user, action, room=room, user=self.user),
        )
        self.recorder.ok(number, version=body["room"]["version"])
        self.inside ^= {room}


class PageReader(Actor):
    """Reads a room's messages page by page, always after the last one it has seen."""

    def __init__(self, user: str, room: int, api: Api, recorder: Recorder, random: Random) -> None:
        super().__init__(recorder, random, 0.15)
        self.user = user
        self.room = room
        self.api = api
        self.after: tuple[int, int] | None = None

    async def act(self) -> None:
        """Read the next page; a failed read has read nothing."""
        path = f"/api/rooms/{self.room}/messages/?limit={PAGE}"
        if self.after is None:
            path = f"/api/rooms/{self.room}/messages/?limit=1"
        else:
            path += f"&after={self.after[1]}"
        seq = self.after[0] if self.after else 0
        number = None
        if self.after:
            number = self.recorder.invoke(
                self.user, "read_page", room=self.room, user=self.user, after=seq, limit=PAGE
            )
        try:
            answer = await self.api.request("GET", path)
        except NoAnswerError as error:
            if number is not None:
                self.recorder.info(number, why=str(error))
            return
        found = answer.json()["results"][::-1] if answer.is_success else []
        if number is not None and answer.is_success:
            rows = [[m["seq"], m["id"], m.get("client_id"), shorten(m["content"])] for m in found]
            self.recorder.ok(number, messages=rows)
        elif number is not None:
            self.recorder.info(number, why=str(answer.status_code))
        if found:
            self.after = found[-1]["seq"], found[-1]["id"]


class Staff(Actor):
    """Deletes messages and renames rooms by the database's functions, as the admin does."""

    def __init__(self, rooms: list[int], fetch: Fetch, recorder: Recorder, random: Random) -> None:
        super().__init__(recorder, random, 0.7)
        self.rooms = rooms
        self.fetch = fetch
        self.renamed = 0

    async def act(self) -> None:
        """Delete a recent message of a room, or rename it; neither is repeated."""
        room = self.random.choice(self.rooms)
        try:
            if self.random.random() < 0.3:
                await self._rename(room)
            else:
                await self._delete(room)
        except (psycopg.Error, OSError):
            return  # the database is away; the operation stays open, which is the truth

    async def _rename(self, room: int) -> None:
        self.renamed += 1
        name = f"room {room}, name {self.renamed}"
        number = self.recorder.invoke("staff", "rename", room=room, name=name)
        await self.fetch("SELECT chat_v1.rename_room(%s, %s)", [room, name])
        self.recorder.ok(number)

    async def _delete(self, room: int) -> None:
        rows = await self.fetch(
            "SELECT id FROM chat_message WHERE room_id = %s AND deleted_at IS NULL"
            " ORDER BY seq DESC LIMIT 20",
            [room],
        )
        if rows:
            message = self.random.choice(rows)["id"]
            number = self.recorder.invoke("staff", "delete", room=room, id=message)
            await self.fetch("SELECT chat_v1.delete_message(%s)", [message])
            self.recorder.ok(number)
