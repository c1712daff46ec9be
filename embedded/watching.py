"""What `manage.py watch` shows: the events of a user's rooms, once each, in their order."""

import asyncio
import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from client.api import PAGE, Api, Backoff, DeviceEndedError, Read
from client.device import Device
from client.observer import Observer
from client.reducer import Json

READ_SECONDS = 3.0
"""How long one read of the API may take; Ctrl-C waits for a read that has begun."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Events of a room that were not received: the versions above `after`, up to `last`."""

    room_id: int
    after: int
    last: int


class Timeline:
    """Decides which events are shown: those of each room once, in the order of their versions.

    It keeps the last version that was shown of each room, and the rooms that the user is in.
    """

    def __init__(self, user_id: str) -> None:
        self._user_id = user_id
        self._versions: dict[int, int] = {}
        self._rooms: set[int] = set()
        self._before: dict[int, int] = {}
        """The versions at the last new subscription; whatever is read after it is not older."""

    def receive(self, event: Json, *, is_from_log: bool = False) -> bool:
        """Return True if the event is to be shown now, and note that it was.

        An event that was published is shown if it is the next of its room, or if the user joins or
        leaves with it. Any other one comes again, from the log, after those that are missing.
        """
        room = event["body"].get("room")
        if room is None:
            return True  # of a later release
        room_id, version = room["id"], room["version"]
        shown = self._versions.get(room_id, 0)
        is_next = version == shown + 1 if room_id in self._rooms else self._is_own(event)
        if version <= shown or not (is_next or is_from_log):
            return False
        self._versions[room_id] = version
        if self._is_own(event):
            (self._rooms.add if event["type"] == "user_joined" else self._rooms.discard)(room_id)
        return True

    def start_again(self) -> None:
        """Note that a new subscription began, without the events since the last one."""
        self._before = dict(self._versions)

    def skip_to(self, room_id: int, version: int) -> Missed:
        """Note that the room was read at this version; return what was not shown until then.

        Events that were published during the read may already be shown. A version that is lower
        than before the subscription is that of another database, as after `make reset`.
        """
        if version < self._before.pop(room_id, 0):
            del self._versions[room_id]
        shown = self._versions.get(room_id, 0)
        self._versions[room_id] = max(shown, version)
        self._rooms.add(room_id)
        return Missed(room_id, shown, version)

    def _is_own(self, event: Json) -> bool:
        is_membership = event["type"] in {"user_joined", "user_left"}
        return is_membership and event["body"]["user"] == self._user_id


class Watcher(Observer):
    """Shows what a device receives, and reads from the log what it did not receive.

    `show` gets each event, `say` each sentence about the connection.
    """

    def __init__(
        self, user_id: str, read: Read, show: Callable[[Json], None], say: Callable[[str], None]
    ) -> None:
        self._user_id = user_id
        self._api = Api(read, Backoff())
        self._show = show
        self._say = say
        self._timeline = Timeline(user_id)
        self._is_watching = False
        # One task shows everything in this order; None stands for the end of the device.
        self._steps: asyncio.Queue[Json | Missed | None] = asyncio.Queue()

    async def watch(self, device: Device) -> None:
        """Start the device and show its events until it ends.

        Errors: `DeviceEndedError`, with the reason.
        """
        await device.start()
        self._is_watching = True
        self._say("watching; Ctrl-C stops")
        while (step := await self._steps.get()) is not None:
            for event in await self._read_missed(step) if isinstance(step, Missed) else [step]:
                self._show(event)
        raise device.ended or DeviceEndedError("the device was stopped")

    def on_frame(self, event: Json) -> None:
        """Show an event that was published, if it is the next."""
        if self._timeline.receive(event):
            self._steps.put_nowait(event)

    def on_apply(self, event: Json) -> None:
        """Show an event that was applied; one from the log was not received before."""
        if self._timeline.receive(event, is_from_log=True):
            self._steps.put_nowait(event)

    def on_snapshot(self, room_id: int, version: int) -> None:
        """Show what happened in a room before it was read, except before the start."""
        missed = self._timeline.skip_to(room_id, version)
        if self._is_watching:
            self._steps.put_nowait(missed)

    def on_subscribed(self, recovered: bool, was_recovering: bool) -> None:  # noqa: FBT001 - Centrifugo's two flags
        """Say that the connection is back, and from where missed events come."""
        if not recovered:
            self._timeline.start_again()
        if was_recovering:
            source = "" if recovered else "; missed events are read from the log"
            self._say(f"connected again{source}")

    def on_connection_error(self, reason: str) -> None:
        """Say why there is no connection; the SDK tries again."""
        self._say(f"waiting for realtime: {reason}")

    def on_end(self, reason: str) -> None:  # noqa: ARG002 - `watch` takes it from the device
        """Let `watch` end."""
        self._steps.put_nowait(None)

    async def _read_missed(self, missed: Missed) -> list[Json]:
        """Read the events from the log, newest page first, back to where the user joined.

        A room that the user left in the meantime has no log for this user. What was pruned from
        the log is missing in the result.
        """
        found: list[Json] = []
        after, last = missed.after, missed.last
        while last > after:
            start = max(after, last - PAGE)
            path = f"/api/rooms/{missed.room_id}/events/?after={start}&limit={PAGE}"
            status, page = await self._api.answer(path)
            if status == 410 and start < page.get("floor", 0):
                after = page["floor"]
                self._say(f"room {missed.room_id}: events up to {after} are not kept any more")
                continue
            if status != 200:
                break
            for event in reversed(page["results"]):
                if event["body"]["room"]["version"] <= last:
                    found.append(event)
                    if event["type"] == "user_joined" and event["body"]["user"] == self._user_id:
                        return found[::-1]
            last = start
        return found[::-1]


def make_read(api_url: str, sign: Callable[[], str], say: Callable[[str], None]) -> Read:
    """Return a function that GETs a path of the API with the token that `sign` makes.

    While there is no answer, `say` gets the reason once.
    """
    address = urlsplit(api_url)
    is_https = address.scheme == "https"
    connect = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
    is_answering = True

    def request(path: str) -> tuple[int, Any]:
        connection = connect(address.hostname or "", address.port, timeout=READ_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {sign()}"}
            connection.request("GET", f"{address.path.rstrip('/')}{path}", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        finally:
            connection.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(body) if is_json else None

    async def read(path: str) -> tuple[int, Any]:
        nonlocal is_answering
        try:
            found = await asyncio.to_thread(request, path)
        except OSError as error:
            if is_answering:
                say(f"waiting for the API at {api_url}: {error}")
            is_answering = False
            raise
        is_answering = True
        return found

    return read
