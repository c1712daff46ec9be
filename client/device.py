"""A device: the reducer, the official SDK and the API, combined as docs/client.md says."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from centrifuge import (
    Client,
    ClientEventHandler,
    ConnectingContext,
    DisconnectedContext,
    ErrorContext,
    PublicationContext,
    SubscribedContext,
    SubscriptionEventHandler,
    UnauthorizedError,
    UnsubscribedContext,
)

from client.api import PAGE, Api, Backoff, DeviceEndedError, Read, UnexpectedAnswerError
from client.completing import complete_members, complete_room
from client.observer import Observer
from client.reducer import Json, Outcome, Reducer

BACKLOG = 10_000
"""How many events may wait while the API does not answer; beyond it, a resync replaces them."""
_CALLED = 0
"""The SDK's code for a disconnect or an unsubscribe that the application itself requested."""
_SLOW = 3008
"""Centrifugo's code for a client for which more bytes wait than its queue may hold."""


class Device:
    """Keeps a user's rooms equal to those of the service, whatever happens to the connection.

    `read` reads the API as the user; `realtime_url` is Centrifugo's WebSocket; `backoff` gives the
    waits between repeated reads; `sdk_options` are passed to the SDK's `Client`. One task does all
    work, one step after the other. The SDK's handlers only put events into a queue, so the SDK
    never waits for the API.
    """

    def __init__(
        self,
        user_id: str,
        read: Read,
        realtime_url: str,
        *,
        reducer: Reducer | None = None,
        observer: Observer | None = None,
        backoff: Backoff | None = None,
        **sdk_options: Any,  # noqa: ANN401 - the SDK's own
    ) -> None:
        self.reducer = reducer or Reducer(user_id)
        self.observer = observer or Observer()
        self.ended: DeviceEndedError | None = None
        self._api = Api(read, backoff or Backoff())
        self._realtime_url = realtime_url
        self._sdk_options = sdk_options
        self._client: Client | None = None
        self._channel = ""
        self._worker: asyncio.Task[None] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._frames: deque[Json] = deque()
        self._must_resync = False
        self._wanted_members: set[int] = set()
        self._is_subscribed = False
        self._is_working = False
        self._has_work = asyncio.Event()
        self._changed = asyncio.Condition()

    # What the application calls.

    async def start(self) -> None:
        """Connect, subscribe, and return when the user's rooms are held.

        After `stop` it can be called again; the rooms are then compared with the API.

        Errors: `DeviceEndedError` if the user is refused; nothing runs then.
        """
        await self.stop()
        first = await self._api.get("/api/token/connection/")
        if first is None:
            raise UnexpectedAnswerError("/api/token/connection/", 404)
        self.ended = None
        self._client = Client(
            self._realtime_url,
            events=_ConnectionEvents(self),
            token=first["token"],
            get_token=lambda: self._get_token("/api/token/connection/"),
            **self._sdk_options,
        )
        self._channel = first["channel"]
        self._worker = asyncio.create_task(self._work())
        try:
            await self._client.connect()
            await self.subscribe_afresh()
            await self.wait_until(lambda: self.is_settled)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Disconnect and end all work; the reducer keeps its state.

        Callers that wait for a condition get `DeviceEndedError`.
        """
        self.ended = self.ended or DeviceEndedError("the device was stopped")
        await self._notify()
        if self._client is not None:
            await self._client.disconnect()
            self._client = None
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
            self._worker = None
        self._frames.clear()
        self._wanted_members.clear()

    async def pause(self) -> None:
        """Go offline, as a phone without a network; the SDK keeps its position in the channel."""
        if self._client is not None:
            await self._client.disconnect()

    async def resume(self) -> None:
        """Go online again, and recover the missed events or compare the rooms."""
        if self._client is not None:
            await self._client.connect()

    @property
    def is_settled(self) -> bool:
        """True while the device is subscribed and has no work left."""
        return self._is_subscribed and not (self._has_work.is_set() or self._is_working)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition is true; it is evaluated after each change of the device.

        Errors: `DeviceEndedError` if the device ended first.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self.ended is not None or condition())
        if self.ended is not None and not condition():
            raise self.ended

    async def wait_for_versions(self, versions: Mapping[int, int], *, within: float) -> None:
        """Wait until each room is held at its version or a later one.

        Errors: `TimeoutError` after `within` seconds; `DeviceEndedError`.
        """
        async with asyncio.timeout(within):
            await self.wait_until(
                lambda: all(
                    self.reducer.version(room_id) >= version
                    for room_id, version in versions.items()
                )
            )

    async def read_members(self, room_id: int) -> None:
        """Read the members of a room if the reducer lacks some; call it when they are to be shown.

        Errors: `DeviceEndedError` if the device ended first.
        """
        if self.reducer.lacks_members(room_id):
            self._wanted_members.add(room_id)
            self._has_work.set()
            await self.wait_until(lambda: not self.reducer.lacks_members(room_id))

    # What the SDK's handlers call. They return at once, because the SDK reads nothing meanwhile.

    async def note_subscribed(self, ctx: SubscribedContext) -> None:
        """Note a subscription; recovered events follow like events that are published now."""
        self.observer.on_subscribed(ctx.recovered, ctx.was_recovering)
        self._is_subscribed = True
        if not ctx.recovered:
            self._must_resync = True
            self._has_work.set()
        await self._notify()

    def note_event(self, event: Json) -> None:
        """Note an event that was published."""
        self.observer.on_frame(event)
        if len(self._frames) >= BACKLOG:
            # The resync reads what they would have changed.
            self._frames.clear()
            self._must_resync = True
        self._frames.append(event)
        self._has_work.set()

    async def subscribe_afresh(self) -> None:
        """Subscribe without a position: nothing is recovered, and the rooms are compared.

        After a disconnect as slow the missed events may be more than the queue holds. To recover
        them again would end in the same way, for ever.
        """
        if self._client is None:
            return
        if (before := self._client.get_subscription(self._channel)) is not None:
            await before.unsubscribe()
            self._client.remove_subscription(before)
        subscription = self._client.new_subscription(
            self._channel,
            events=_ChannelEvents(self),
            get_token=lambda channel: self._get_token(
                f"/api/token/subscription/?channel={quote(channel)}"
            ),
        )
        await subscription.subscribe()

    def note_connection_lost(self) -> None:
        """Note that events can be missed until the next subscription."""
        self._is_subscribed = False

    async def end(self, reason: str, cause: Exception | None = None) -> None:
        """End the device; callers that wait get `DeviceEndedError`."""
        if self.ended is None:
            self.ended = DeviceEndedError(reason)
            self.ended.__cause__ = cause
            self.observer.on_end(reason)
        self._is_subscribed = False
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
        if self._client is not None:
            # In a task of its own: the SDK may be the caller, and it waits for its handlers.
            self._farewell = asyncio.create_task(self._client.disconnect())
        await self._notify()

    # What the worker does.

    async def _work(self) -> None:
        try:
            while True:
                await self._has_work.wait()
                await self._do_next()
                await self._notify()
        except Exception as error:  # noqa: BLE001 - callers that wait must get it
            await self.end(str(error) or repr(error), error)

    async def _do_next(self) -> None:
        """Resync, or read wanted members, or process one event, or note that there is no work.

        A resync comes first. Events in the queue that are older than its answers are dropped by
        their version. Two resyncs that are requested before one begins are done once.
        """
        self._is_working = True
        if self._must_resync:
            self._must_resync = False
            await self._resync()
        elif self._wanted_members:
            await self._read_members(self._wanted_members.pop())
        elif self._frames:
            await self._take(self._frames.popleft())
        else:
            self._has_work.clear()
        self._is_working = False

    async def _take(self, event: Json) -> None:
        """Apply an event, or fetch the events that are missing before it.

        The fetched events contain this one too: it is written to the log before it is published.
        """
        match self._receive(event):
            case Outcome.GAP:
                await self._catch_up(event["body"]["room"]["id"])
            case Outcome.UNKNOWN_ROOM:
                await self._read_room(event["body"]["room"]["id"])

    async def _resync(self) -> None:
        """Compare every room with the API, and fetch what differs.

        A room that is held but not listed was left, or moved to the front of the list while its
        pages were read. Its log shows which of the two.
        """
        listed = await self._api.list("/api/rooms/") or []
        for room in listed:
            self.reducer.place(room)
            version = self.reducer.version(room["id"])
            if version == 0 or room["version"] < version:
                await self._read_room(room["id"], room)
            elif room["version"] > version:
                await self._catch_up(room["id"])
        for room_id in self.reducer.versions().keys() - {room["id"] for room in listed}:
            await self._catch_up(room_id)

    async def _catch_up(self, room_id: int) -> None:
        """Fetch and apply the events after the held version, page by page."""
        is_more = True
        while is_more:
            after = self.reducer.version(room_id)
            path = f"/api/rooms/{room_id}/events/?after={after}&limit={PAGE}"
            status, page = await self._api.answer(path)
            self.observer.on_fetch(room_id, after, status)
            if status == 404:
                self._forget(room_id)
                return
            if status not in {200, 410}:
                raise UnexpectedAnswerError(path, status)
            events = page["results"] if status == 200 else []
            for event in events:
                self._receive(event)
            # No progress: the log was pruned, or it has the user leaving and joining again.
            if status == 410 or (events and self.reducer.version(room_id) <= after):
                await self._read_room(room_id)
                return
            is_more = page["next"] is not None

    async def _read_room(self, room_id: int, room: Json | None = None) -> None:
        """Read a room, its members and its newest messages, in this order; forget it on a 404."""
        path, keep = f"/api/rooms/{room_id}/", self.reducer.keep
        if (
            (room := room or await self._api.get(path)) is None
            or (members := await self._api.list(f"{path}members/")) is None
            or (messages := await self._api.list(f"{path}messages/", most=keep)) is None
        ):
            self._forget(room_id)
            return
        self.reducer.replace(complete_room(room), complete_members(members), messages)
        self.observer.on_snapshot(room_id, self.reducer.version(room_id))
        await self._notify()

    async def _read_members(self, room_id: int) -> None:
        """Read a room's members again; the events of later changes wait in the queue."""
        members = await self._api.list(f"/api/rooms/{room_id}/members/")
        if members is None:
            self._forget(room_id)
        else:
            self.reducer.replace_members(room_id, complete_members(members))

    def _receive(self, event: Json) -> Outcome:
        outcome = self.reducer.receive(event)
        if outcome is Outcome.APPLIED:
            self.observer.on_apply(event)
            room_id = event["body"]["room"]["id"]
            if self.reducer.version(room_id) == 0:
                self.observer.on_forget(room_id)
        return outcome

    def _forget(self, room_id: int) -> None:
        if self.reducer.version(room_id) > 0:
            self.reducer.forget(room_id)
            self.observer.on_forget(room_id)

    async def _get_token(self, path: str) -> str:
        """Return a token with one request: the SDK repeats it with its own back-off."""
        try:
            return str((await self._api.get_once(path))["token"])
        except UnexpectedAnswerError as error:
            raise UnauthorizedError(str(error)) from error

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _ConnectionEvents(ClientEventHandler):
    """Passes on the failures and the end of the connection."""

    def __init__(self, device: Device) -> None:
        self._device = device

    async def on_error(self, ctx: ErrorContext) -> None:
        self._device.observer.on_connection_error(str(ctx.error))

    async def on_connecting(self, ctx: ConnectingContext) -> None:
        if ctx.code == _SLOW:
            await self._device.subscribe_afresh()

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        if ctx.code != _CALLED:
            await self._device.end(f"disconnected: {ctx.code} {ctx.reason}")


class _ChannelEvents(SubscriptionEventHandler):
    """Passes on the events of the subscription."""

    def __init__(self, device: Device) -> None:
        self._device = device

    async def on_subscribing(self, _: object) -> None:
        self._device.note_connection_lost()

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        await self._device.note_subscribed(ctx)

    async def on_publication(self, ctx: PublicationContext) -> None:
        self._device.note_event(ctx.pub.data)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        if ctx.code != _CALLED:
            await self._device.end(f"unsubscribed: {ctx.code} {ctx.reason}")
