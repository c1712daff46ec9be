"""A device that follows the rule of docs/events.md: drop, apply, or fetch the gap."""

import asyncio
from typing import Any

import httpx
from centrifuge import (
    Client,
    ClientEventHandler,
    PublicationContext,
    SubscribedContext,
    SubscriptionEventHandler,
)


class Receiver(SubscriptionEventHandler):
    """Keeps one room's events; `applied` holds each version once, in order, or the rule is broken.

    `http` reaches the API as the user; tokens come from the API as they do for any client.
    """

    def __init__(self, http: httpx.AsyncClient, realtime_url: str, room_id: int) -> None:
        self.http = http
        self.room_id = room_id
        self.applied: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        self.fetches = 0
        self.subscribed = asyncio.Event()
        self._changed = asyncio.Condition()
        self._fetching = asyncio.Lock()
        self._client = Client(
            realtime_url,
            events=ClientEventHandler(),
            get_token=lambda: self._read_token("/api/token/connection/"),
            proxy=None,
            max_reconnect_delay=0.5,
        )

    @property
    def version(self) -> int:
        """The version the device holds."""
        return int(self.applied[-1]["body"]["room"]["version"]) if self.applied else 0

    async def start(self) -> None:
        """Connect, subscribe, and read what was there before."""
        channel = (await self._read("/api/token/connection/"))["channel"]
        subscription = self._client.new_subscription(
            channel,
            events=self,
            get_token=lambda name: self._read_token(f"/api/token/subscription/?channel={name}"),
        )
        await self._client.connect()
        await subscription.subscribe()
        await asyncio.wait_for(self.subscribed.wait(), timeout=20)

    async def stop(self) -> None:
        """Disconnect."""
        await self._client.disconnect()

    async def wait_for_version(self, version: int, *, within: float = 20) -> None:
        """Wait until the device holds this version."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: self.version >= version)

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        """Fetch what the subscription cannot give: at first everything, later what was lost."""
        if not ctx.recovered:
            await self._fetch()
        self.subscribed.set()

    async def on_publication(self, ctx: PublicationContext) -> None:
        """Apply an event, drop it, or fetch the gap before it."""
        event = ctx.pub.data
        if event["body"]["room"]["id"] != self.room_id:
            return
        self.received.append(event)
        if event["body"]["room"]["version"] > self.version + 1:
            await self._fetch()
        await self._apply(event)

    async def _fetch(self) -> None:
        async with self._fetching:
            self.fetches += 1
            more = True
            while more:
                page = await self._read(
                    f"/api/rooms/{self.room_id}/events/?after={self.version}&limit=200"
                )
                for event in page["results"]:
                    await self._apply(event)
                more = page["next"] is not None

    async def _apply(self, event: dict[str, Any]) -> None:
        if event["body"]["room"]["version"] == self.version + 1:
            self.applied.append(event)
            async with self._changed:
                self._changed.notify_all()

    async def _read_token(self, path: str) -> str:
        return str((await self._read(path))["token"])

    async def _read(self, path: str) -> dict[str, Any]:
        """GET until the service answers: it may be starting again."""
        delay = 0.05
        while True:
            try:
                answer = await self.http.get(path)
            except httpx.TransportError:
                pass
            else:
                if answer.status_code < 500:
                    answer.raise_for_status()
                    return dict(answer.json())
            await asyncio.sleep(delay)  # a client's back-off, not a wait for a signal
            delay = min(delay * 2, 0.5)
