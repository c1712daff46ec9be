"""Devices that record all that they receive and do."""

import hashlib
import time
from datetime import datetime
from random import Random
from typing import Any

from client.device import Device
from client.observer import Observer
from client.reducer import Reducer
from tests.history.recorder import Recorder
from tests.rig.http_client import Api, Json

# Seconds; with the SDK's default of 20, most of the time to rest would be this wait.
MAX_RECONNECT_DELAY = 5.0
SHORT = 100


class RecordingObserver(Observer):
    """Writes a device's frames, fetches and applied events into the history."""

    def __init__(self, recorder: Recorder, device: str, user: str) -> None:
        self.recorder = recorder
        self.who = {"device": device, "user": user}
        self.subscriptions = 0
        self.unrecovered = 0
        """How many of them began without the events that the device had missed."""
        self.repeats = 0
        """Frames that had been received before."""
        self._seen: set[tuple[int, int]] = set()
        self.delays: list[float] = []
        """Seconds from each message's `created_at` to its frame; both are times of one clock."""

    def on_frame(self, event: Json) -> None:
        """Record a frame of the socket."""
        described = _describe(event)
        self.recorder.write("frame", **self.who, **described)
        place = (described["room"], described["version"])
        self.repeats += place in self._seen
        self._seen.add(place)
        if event["type"] == "message_added":
            sent = datetime.fromisoformat(event["body"]["created_at"])
            self.delays.append(time.time() - sent.timestamp())

    def on_apply(self, event: Json) -> None:
        """Record an event that the device applied."""
        self.recorder.write("apply", **self.who, **_describe(event))

    def on_subscribed(self, recovered: bool, was_recovering: bool) -> None:  # noqa: FBT001 - theirs
        """Record a subscription."""
        self.subscriptions += 1
        self.unrecovered += not recovered
        self.recorder.write(
            "subscribed", **self.who, recovered=recovered, was_recovering=was_recovering
        )

    def on_fetch(self, room_id: int, after: int, status: int) -> None:
        """Record that the device read the room's log."""
        self.recorder.write("fetch", **self.who, room=room_id, after=after, status=status)

    def on_snapshot(self, room_id: int, version: int) -> None:
        """Record that the device read the whole room again."""
        self.recorder.write("snapshot", **self.who, room=room_id, version=version)

    def on_forget(self, room_id: int) -> None:
        """Record that a room was dropped."""
        self.recorder.write("forget", **self.who, room=room_id)


def _describe(event: Json) -> Json:
    body = event["body"]
    described = {
        "room": body["room"]["id"],
        "version": body["room"]["version"],
        "event_type": event["type"],
    }
    if "first_version" in body:
        described["first"] = body["first_version"]
    if "id" in body:
        described |= {"id": body["id"], "content": shorten(body["content"])}
    return described


def shorten(content: str) -> str:
    """Return a text as the history has it: itself if short, else its length and a hash."""
    if len(content) <= SHORT:
        return content
    return f"{len(content)} characters, {hashlib.sha256(content.encode()).hexdigest()}"


class RecordedDevice:
    """One device of a user, and what a test reads from it."""

    def __init__(
        self,
        name: str,
        api: Api,
        realtime_url: str,
        recorder: Recorder,
        reducer: Reducer,
    ) -> None:
        self.name = name
        self.user = reducer.user_id
        self.api = api
        self.recorder = recorder
        self.reducer = reducer
        self.observer = RecordingObserver(recorder, name, self.user)
        self._marked: set[int] = set()
        """The rooms in which something was marked as read."""
        self.device = Device(
            self.user,
            api.read,
            realtime_url,
            reducer=self.reducer,
            observer=self.observer,
            proxy=None,
            max_reconnect_delay=MAX_RECONNECT_DELAY,
        )

    def is_at(self, heads: dict[int, int]) -> bool:
        """Whether the device is connected and holds exactly these rooms at these versions."""
        return self.device.is_settled and self.reducer.versions() == heads

    def is_behind(self, heads: dict[int, int]) -> bool:
        """Whether the device holds an older version of any of these rooms."""
        held = self.reducer.versions()
        return any(held.get(room, 0) < version for room, version in heads.items())

    def mark_read(self, random: Random) -> None:
        """Mark one of the rooms as read, up to a message near its end."""
        versions = self.reducer.versions()
        if not versions:
            return
        room = random.choice(sorted(versions))
        messages = self.reducer.state()["messages"][room][:20]
        if messages:
            seq = random.choice(messages)["seq"]
            number = self.recorder.invoke(
                self.name, "mark_read", device=self.name, user=self.user, room=room, seq=seq
            )
            self.reducer.mark_read(room, seq)
            self.recorder.ok(number)
            self._marked.add(room)

    def count_unread(self) -> None:
        """Record the unread count of each room in which something was marked as read."""
        for room in self._marked & self.reducer.versions().keys():
            number = self.recorder.invoke(
                self.name, "unread", device=self.name, user=self.user, room=room
            )
            self.recorder.ok(number, count=self.reducer.unread(room))

    async def compare(self) -> tuple[Json, Json]:
        """Return, and record, what the device holds and what it would read from the API now."""
        for number in self.reducer.versions():
            await self.device.read_members(number)
        fresh = Reducer(self.user)
        for room in await self.api.read_all("/api/rooms/?limit=200"):
            self.reducer.place(room)
            base = f"/api/rooms/{room['id']}"
            fresh.replace(
                room,
                await self.api.read_all(f"{base}/members/?limit=200"),
                (await self._read(f"{base}/messages/?limit=200"))["results"],
            )
        both = self.reducer.state(), fresh.state()
        self.recorder.write(
            "final_device", device=self.name, user=self.user, held=both[0], fresh=both[1]
        )
        return both

    async def _read(self, path: str) -> Any:
        status, body = await self.api.read(path)
        assert status == 200, f"GET {path}: {status} {body}"
        return body
