"""Simulated users: senders, guests, a reader of pages, an outsider, staff."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import psycopg

from tests.history.recorder import Recorder
from tests.rig.devices import shorten
from tests.rig.http_client import Api, Json, NoAnswerError

Fetch = Callable[..., Awaitable[list[Json]]]
RETRIES = 200
PAGE = 50
RECENT = """
SELECT id FROM chat_message WHERE room_id = %s AND deleted_at IS NULL ORDER BY seq DESC LIMIT 20
"""
OUTAGES = {"08", "53", "57", "58"}
"""Classes of SQLSTATE that mean that the database is away, full or shutting down."""


class SimulatedUser(ABC):
    """Does one thing after another until it is stopped, and finishes what it began."""

    def __init__(self, recorder: Recorder, random: Random, pause: float) -> None:
        self.recorder = recorder
        self.random = random
        self.pause = pause
        """Seconds between two actions, on average."""
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Act until `stopping` is set, then finish."""
        while not self.stopping.is_set():
            await self.act()
            wait = self.random.expovariate(1 / self.pause) if self.pause else 0
            await self._sleep(wait)
        await self.finish()

    async def finish(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what is left to do at the end."""

    @abstractmethod
    async def act(self) -> None:
        """Do one thing, and return when its outcome is known."""

    async def _sleep(self, seconds: float) -> None:
        """Pause, or return at once when it is stopped."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    async def insist(
        self, api: Api, path: str, body: object, begin: Callable[[], int]
    ) -> tuple[int, Json]:
        """POST until it is acknowledged; the history has each attempt as an operation of its own.

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
            # This is a client's back-off, not a wait for a signal.
            await asyncio.sleep(self.random.uniform(0.02, min(0.05 * 2**attempt, 0.5)))
        raise AssertionError(f"POST {path} was never answered")


class Sender(SimulatedUser):
    """Sends messages with keys, and repeats each until it is acknowledged."""

    def __init__(
        self, user: str, rooms: list[int], api: Api, recorder: Recorder, random: Random
    ) -> None:
        super().__init__(recorder, random, 0.03)
        self.user = user
        self.rooms = rooms
        self.api = api
        self.sent = 0
        self._first: tuple[int, str, str] | None = None
        """The room, key and text of the first message."""

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
        self._first = self._first or (room, key, content)
        await self._insist_on(room, key, content)

    async def finish(self) -> None:
        """Send the first message again: its key, though old, must give the same message."""
        if self._first is not None:
            await self._insist_on(*self._first)

    async def _insist_on(self, room: int, key: str, content: str) -> None:
        number, body = await self.insist(
            self.api,
            f"/api/rooms/{room}/messages/",
            {"content": content, "client_id": key},
            lambda: self.recorder.invoke(
                self.user, "send", room=room, user=self.user, key=key, content=content
            ),
        )
        self.recorder.ok(number, id=body["id"], seq=body["seq"])


class Guest(SimulatedUser):
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


class PageReader(SimulatedUser):
    """Reads a room's messages page by page, always after the last one it has seen."""

    def __init__(self, user: str, room: int, api: Api, recorder: Recorder, random: Random) -> None:
        super().__init__(recorder, random, 0.15)
        self.user = user
        self.room = room
        self.api = api
        self.after: tuple[int, int] | None = None

    async def act(self) -> None:
        """Read the next page; after a failed read the same page is read again."""
        path = f"/api/rooms/{self.room}/messages/"
        if self.after is None:
            found = await self._read(f"{path}?limit=1")
        else:
            asked = {"room": self.room, "user": self.user, "after": self.after[0], "limit": PAGE}
            number = self.recorder.invoke(self.user, "read_page", **asked)
            found = await self._read(f"{path}?limit={PAGE}&after={self.after[1]}")
            if found is None:
                self.recorder.info(number, why="no answer, or 503")
            else:
                rows = [
                    [m["seq"], m["id"], m.get("client_id"), shorten(m["content"])] for m in found
                ]
                self.recorder.ok(number, messages=rows)
        if found:
            self.after = found[-1]["seq"], found[-1]["id"]

    async def _read(self, path: str) -> list[Json] | None:
        """Return a page's messages in the order of seqs; None if the service did not answer."""
        try:
            answer = await self.api.request("GET", path)
        except NoAnswerError:
            return None
        if answer.status_code >= 500:
            return None
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        found: list[Json] = answer.json()["results"]
        return found[::-1]


class Outsider(SimulatedUser):
    """Tries to read and write rooms without being a member: each answer must be 404."""

    def __init__(self, rooms: list[int], api: Api, recorder: Recorder, random: Random) -> None:
        super().__init__(recorder, random, 0.3)
        self.rooms = rooms
        self.api = api

    async def act(self) -> None:
        """Make one request; any answer but 404 or an error would be a leak."""
        room = f"/api/rooms/{self.random.choice(self.rooms)}/"
        method, path, body = self.random.choice(
            [
                ("GET", room, None),
                ("GET", f"{room}members/", None),
                ("GET", f"{room}messages/?limit=1", None),
                ("GET", f"{room}events/?after=0", None),
                ("POST", f"{room}messages/", {"content": "let me in", "client_id": "knock"}),
            ]
        )
        with suppress(NoAnswerError):
            answer = await self.api.request(method, path, body)
            assert answer.status_code == 404 or answer.status_code >= 500, (
                f"a stranger's {method} {path}: {answer.status_code} {answer.text[:200]}"
            )


class Staff(SimulatedUser):
    """Deletes messages and renames rooms through the SQL functions, as the admin does."""

    def __init__(self, rooms: list[int], fetch: Fetch, recorder: Recorder, random: Random) -> None:
        super().__init__(recorder, random, 0.7)
        self.rooms = rooms
        self.fetch = fetch
        self.acts = 0

    async def act(self) -> None:
        """Delete a recent message of a room, or (each third time) rename it; nothing is repeated.

        Errors: the driver's. If the database is away there is none: the operation has no outcome
        in the history, because nobody knows it.
        """
        room = self.random.choice(self.rooms)
        self.acts += 1
        try:
            if self.acts % 3 == 1:
                await self._rename(room)
            else:
                await self._delete(room)
        except (psycopg.OperationalError, OSError) as error:
            state = getattr(error, "sqlstate", None)
            if state is not None and state[:2] not in OUTAGES:
                raise

    async def _rename(self, room: int) -> None:
        name = f"room {room}, name {self.acts}"
        number = self.recorder.invoke("staff", "rename", room=room, name=name)
        (row,) = await self.fetch(
            ("SELECT FROM chat.rename_room(%s, %s)", [room, name]),
            # This transaction holds the room's lock, so this is the version of the rename.
            ("SELECT version FROM chat_room WHERE id = %s", [room]),
        )
        self.recorder.ok(number, version=row["version"])

    async def _delete(self, room: int) -> None:
        rows = await self.fetch((RECENT, [room]))
        if rows:
            message = self.random.choice(rows)["id"]
            number = self.recorder.invoke("staff", "delete", room=room, id=message)
            await self.fetch(("SELECT FROM chat.delete_message(%s)", [message]))
            self.recorder.ok(number)
