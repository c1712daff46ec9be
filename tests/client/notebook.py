"""What a device did, in order; a test can read it and wait for it."""

import asyncio
from collections.abc import Callable

from client.observer import Observer
from client.reducer import Json


class Notebook(Observer):
    """Keeps everything that a device reports."""

    def __init__(self) -> None:
        self.frames: list[Json] = []
        self.subscriptions: list[tuple[bool, bool]] = []
        """`recovered` and `was_recovering` of each."""
        self.fetches: list[tuple[int, int, int]] = []
        """Room, version, status of each."""
        self.applied: list[Json] = []
        self.snapshots: list[tuple[int, int]] = []
        """Room and version of each."""
        self.forgotten: list[int] = []
        self._changed = asyncio.Event()

    @property
    def applied_versions(self) -> list[int]:
        """The versions applied, in order, of all rooms."""
        return [event["body"]["room"]["version"] for event in self.applied]

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on what was noted holds."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def on_frame(self, event: Json) -> None:
        """Note it."""
        self.frames.append(event)
        self._changed.set()

    def on_subscribed(self, recovered: bool, was_recovering: bool) -> None:  # noqa: FBT001 - the observer's
        """Note it."""
        self.subscriptions.append((recovered, was_recovering))
        self._changed.set()

    def on_fetch(self, room_id: int, after: int, status: int) -> None:
        """Note it."""
        self.fetches.append((room_id, after, status))
        self._changed.set()

    def on_apply(self, event: Json) -> None:
        """Note it."""
        self.applied.append(event)

    def on_snapshot(self, room_id: int, version: int) -> None:
        """Note it."""
        self.snapshots.append((room_id, version))

    def on_forget(self, room_id: int) -> None:
        """Note it."""
        self.forgotten.append(room_id)
