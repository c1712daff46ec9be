"""A connection that the service does not know of: its tokens are made here."""

import time
from typing import Self

import jwt
from centrifuge import Client, PublicationContext, SubscriptionEventHandler

from chat.realtime.channels import personal_channel
from tests.conformance.servers import SECRET
from tests.history.recorder import Recorder


class UnaskedListener(SubscriptionEventHandler):
    """Records what is published to a user who never asked the API for a token."""

    def __init__(self, user: str, realtime_url: str, recorder: Recorder) -> None:
        self.user = user
        self._recorder = recorder
        self._client = Client(realtime_url, token=self._make_token(), proxy=None)

    @classmethod
    async def connect(cls, user: str, realtime_url: str, recorder: Recorder) -> Self:
        """Connect and subscribe as the user; return when the server has confirmed it."""
        listener = cls(user, realtime_url, recorder)
        channel = personal_channel(user)
        subscription = listener._client.new_subscription(
            channel, events=listener, token=listener._make_token(channel=channel)
        )
        await listener._client.connect()
        await subscription.subscribe()
        await subscription.ready()
        return listener

    async def on_publication(self, ctx: PublicationContext) -> None:
        """Record the event."""
        event = ctx.pub.data
        body = event["body"]
        place = {"room": body["room"]["id"], "version": body["room"]["version"]}
        number = {"id": body["id"]} if "id" in body else {}
        self._recorder.write("unasked", user=self.user, event_type=event["type"], **place, **number)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.disconnect()

    def _make_token(self, **claims: str) -> str:
        payload = {"sub": self.user, "exp": int(time.time()) + 3600} | claims
        return jwt.encode(payload, SECRET, algorithm="HS256")
