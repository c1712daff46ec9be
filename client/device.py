"""A device: the reducer, the official SDK and the API, put together as docs/client.md says."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from centrifuge import (
    Client,
    ClientEventHandler,
    DisconnectedContext,
    ErrorContext,
    PublicationContext,
    SubscribedContext,
    SubscriptionEventHandler,
    UnauthorizedError,
    UnsubscribedContext,
)

from client.api import PAGE, Api, Backoff, DeviceEndedError, Read, UnexpectedAnswerError
from client.observer import Observer
from client.reducer import Json, Outcome, Reducer

BACKLOG = 10_000
"""Events that may wait while the API does not answer; beyond it they are dropped for a resync."""
_CALLED = 0
"""The SDK's code for what the application itself asked for."""


class Device:
    """Keeps a user's rooms as the service has them, through whatever happens to the connection.

    `read` reaches the API as the user; `realtime_url` is Centrifugo's WebSocket; `backoff` spreads
    repeated reads; `sdk_options` go to the SDK's `Client` as they are. All work is done by one
    task, one thing after the other: the SDK's handlers only leave a note, so its reader never
    waits for the API.
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
        self._worker: asyncio.Task[None] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._frames: deque[Json] = deque()
        self._must_resync = False
        self._is_subscribed = False
        self._is_working = False
        self._has_work = asyncio.Event()
        self._changed = asyncio.Condition()

    # What the application calls.

    async def start(self) -> None:
        """Connect, subscribe, and return once the user's rooms are held.

        After `stop` it may be called again: the rooms are then compared with the service.

        Errors: `DeviceEndedError` where the user is refused; nothing runs then.
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
        subscription = self._client.new_subscription(
            first["channel"],
            events=_ChannelEvents(self),
            get_token=lambda channel: self._get_token(
                f"/api/token/subscription/?channel={quote(channel)}"
            ),
        )
        self._worker = asyncio.create_task(self._work())
        try:
            await self._client.connect()
            await subscription.subscribe()
            await self.wait_until(lambda: self.is_settled)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Disconnect and end all work; what is held stays in the reducer.

        Whoever waits for something then hears that the device has ended.
        """
        self.ended = self.ended or DeviceEndedError("the device was stopped")
        await self._tell()
        if self._client is not None:
            await self._client.disconnect()
            self._client = None
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
            self._worker = None
        self._frames.clear()

    async def pause(self) -> None:
        """Go offline as a phone in a tunnel does: the SDK keeps its place in the channel."""
        if self._client is not None:
            await self._client.disconnect()

    async def resume(self) -> None:
        """Come back online, and recover what was missed or compare the rooms."""
        if self._client is not None:
            await self._client.connect()

    @property
    def is_settled(self) -> bool:
        """True while the device is subscribed and has done all that it knows to do."""
        return self._is_subscribed and not (self._has_work.is_set() or self._is_working)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at after each change of the device.

        Errors: `DeviceEndedError` where it can no longer come to hold.
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

    # What the SDK's handlers call. They return at once: the SDK reads nothing while they run.

    async def note_subscribed(self, ctx: SubscribedContext) -> None:
        """Note a subscription; the events it recovered follow as if they were published now."""
        self.observer.on_subscribed(ctx.recovered, ctx.was_recovering)
        self._is_subscribed = True
        if not ctx.recovered:
            self._must_resync = True
            self._has_work.set()
        await self._tell()

    def note_event(self, event: Json) -> None:
        """Note an event that was published."""
        self.observer.on_frame(event)
        if len(self._frames) >= BACKLOG:
            # A later resync makes up for any of them.
            self._frames.clear()
            self._must_resync = True
        self._frames.append(event)
        self._has_work.set()

    def note_connection_lost(self) -> None:
        """Note that events may be missing until the next subscription."""
        self._is_subscribed = False

    async def end(self, reason: str, cause: Exception | None = None) -> None:
        """End for good; whoever waits is told."""
        if self.ended is None:
            self.ended = DeviceEndedError(reason)
            self.ended.__cause__ = cause
            self.observer.on_end(reason)
        self._is_subscribed = False
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
        if self._client is not None:
            # Not here: the SDK may be the one who called, and waits for its handlers.
            self._farewell = asyncio.create_task(self._client.disconnect())
        await self._tell()

    # What the worker does.

    async def _work(self) -> None:
        try:
            while True:
                await self._has_work.wait()
                await self._do_next()
                await self._tell()
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            await self.end(str(error) or repr(error), error)

    async def _do_next(self) -> None:
        """Resync, or take one event; or find that there is nothing to do.

        A resync goes first. Events that wait were published before its answers or follow them: the
        first are dropped by their version. Two resyncs that wait are one.
        """
        self._is_working = True
        if self._must_resync:
            self._must_resync = False
            await self._resync()
        elif self._frames:
            await self._take(self._frames.popleft())
        else:
            self._has_work.clear()
        self._is_working = False

    async def _take(self, event: Json) -> None:
        """Apply an event, or fetch what it shows to be missing.

        What was fetched then has this event too: it was in the log before it was published.
        """
        match self._receive(event):
            case Outcome.GAP:
                await self._catch_up(event["body"]["room"]["id"])
            case Outcome.UNKNOWN_ROOM:
                await self._read_anew(event["body"]["room"]["id"])

    async def _resync(self) -> None:
        """Compare every room with the service, and fetch where they differ.

        A room that is held but not listed was left, or was bumped to the front while the pages
        were read: its log tells which.
        """
        listed = await self._api.list("/api/rooms/") or []
        for room in listed:
            version = self.reducer.version(room["id"])
            if version == 0 or room["version"] < version:
                await self._read_anew(room["id"], room)
            elif room["version"] > version:
                await self._catch_up(room["id"])
        for room_id in self.reducer.versions().keys() - {room["id"] for room in listed}:
            await self._catch_up(room_id)

    async def _catch_up(self, room_id: int) -> None:
        """Apply what follows the version that is held, page by page."""
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
            # No further than before: the log was pruned, or the user left and came back in it.
            if status == 410 or (events and self.reducer.version(room_id) <= after):
                await self._read_anew(room_id)
                return
            is_more = page["next"] is not None

    async def _read_anew(self, room_id: int, room: Json | None = None) -> None:
        """Read a room, its members and its newest messages, in this order; forget it at a 404."""
        path, keep = f"/api/rooms/{room_id}/", self.reducer.keep
        if (
            (room := room or await self._api.get(path)) is None
            or (members := await self._api.list(f"{path}members/")) is None
            or (messages := await self._api.list(f"{path}messages/", most=keep)) is None
        ):
            self._forget(room_id)
            return
        self.reducer.replace(room, members, messages)
        self.observer.on_snapshot(room_id, self.reducer.version(room_id))
        await self._tell()

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
        """Return a token, asked for once: the SDK repeats, with its own back-off."""
        try:
            return str((await self._api.get_once(path))["token"])
        except UnexpectedAnswerError as error:
            raise UnauthorizedError(str(error)) from error

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _ConnectionEvents(ClientEventHandler):
    """Passes on the failures and the end of the connection."""

    def __init__(self, device: Device) -> None:
        self._device = device

    async def on_error(self, ctx: ErrorContext) -> None:
        self._device.observer.on_connection_error(str(ctx.error))

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        if ctx.code != _CALLED:
            await self._device.end(f"disconnected: {ctx.code} {ctx.reason}")


class _ChannelEvents(SubscriptionEventHandler):
    """Passes on what comes over the subscription."""

    def __init__(self, device: Device) -> None:
        self._device = device

    async def on_subscribing(self, _: object) -> None:
        self._device.note_connection_lost()

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        await self._device.note_subscribed(ctx)

    async def on_publication(self, ctx: PublicationContext) -> None:
        self._device.note_event(ctx.pub.data)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        await self._device.end(f"unsubscribed: {ctx.code} {ctx.reason}")
