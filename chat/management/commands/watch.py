"""`manage.py watch`: a user's events, live, as any client would receive them."""

import asyncio
import json
import os
import signal
from typing import Any

from centrifuge import (
    Client,
    ClientEventHandler,
    DisconnectedContext,
    ErrorContext,
    PublicationContext,
    SubscribedContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)
from django.core.management.base import BaseCommand, CommandParser

from chat.conf import load_configuration
from chat.management.commands.token import parse_subject
from chat.realtime.channels import personal_channel
from chat.realtime.tokens import create_connection_token, create_subscription_token


def describe_event(event: dict[str, Any]) -> str:
    """Return one line that tells a person what happened."""
    body = event["body"]
    room = body["room"]
    place = f"{room['name']} (room {room['id']}, version {room['version']})"
    if event["type"] == "message_added":
        return f"{place}  {body['user']}: {body['content']}"
    verb = {"user_joined": "joined", "user_left": "left"}.get(event["type"], event["type"])
    return f"{place}  {body.get('user', '')} {verb}"


class _ClientEvents(ClientEventHandler):
    def __init__(self, command: "Command", stopped: asyncio.Event) -> None:
        self.command = command
        self.stopped = stopped

    async def on_error(self, ctx: ErrorContext) -> None:
        self.command.say(f"waiting for realtime: {ctx.error}", self.command.style.WARNING)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        # Silent when it was the person who stopped it.
        if not self.stopped.is_set():
            self.command.say(f"disconnected: {ctx.reason}", self.command.style.WARNING)
        self.stopped.set()


class _SubscriptionEvents(SubscriptionEventHandler):
    def __init__(self, command: "Command", stopped: asyncio.Event, *, as_json: bool) -> None:
        self.command = command
        self.stopped = stopped
        self.as_json = as_json

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        gap = ctx.was_recovering and not ctx.recovered
        self.command.say(
            "connected again; some events were missed" if gap else "watching; Ctrl-C stops",
            self.command.style.WARNING if gap else self.command.style.SUCCESS,
        )

    async def on_publication(self, ctx: PublicationContext) -> None:
        event = ctx.pub.data
        text = json.dumps(event, ensure_ascii=False) if self.as_json else describe_event(event)
        self.command.stdout.write(text)
        self.command.stdout.flush()

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        self.command.say(f"unsubscribed: {ctx.reason}", self.command.style.WARNING)
        self.stopped.set()


class Command(BaseCommand):
    """Connects to Centrifugo with the official SDK and prints what the user's channel carries."""

    help = "Show a user's events live, one line each, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        port = os.environ.get("REALTIME_PORT", "8000")
        parser.add_argument("--sub", required=True, type=parse_subject, help="the user id")
        parser.add_argument("--json", action="store_true", help="print the events as they came")
        parser.add_argument(
            "--url",
            default=f"ws://127.0.0.1:{port}/connection/websocket",
            help="the WebSocket address of Centrifugo",
        )

    def say(self, text: str, style: Any) -> None:
        """Tell the person at the terminal something that is no event."""
        self.stderr.write(style(text), style_func=str)

    def handle(self, *, sub: str, url: str, json: bool, **_: object) -> None:
        """Watch until stopped."""
        asyncio.run(self._watch(sub, url, as_json=json))

    async def _watch(self, user_id: str, url: str, *, as_json: bool) -> None:
        configuration = load_configuration()
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)

        async def get_connection_token() -> str:
            return create_connection_token(user_id, configuration)

        async def get_subscription_token(_: str) -> str:
            return create_subscription_token(user_id, configuration)

        client = Client(
            url,
            events=_ClientEvents(self, stopped),
            get_token=get_connection_token,
            proxy=None,
        )
        subscription = client.new_subscription(
            personal_channel(user_id),
            events=_SubscriptionEvents(self, stopped, as_json=as_json),
            get_token=get_subscription_token,
        )
        await client.connect()
        await subscription.subscribe()
        await stopped.wait()
        await client.disconnect()
