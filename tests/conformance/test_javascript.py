"""The official JavaScript SDK, as browsers use it, under Node."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.conformance.clients import (
    Outbox,
    connection_token,
    new_user,
    run,
    sign,
    subscription_token,
)
from tests.conformance.servers import RunningServer

FOLDER = Path(__file__).parent / "javascript"


class Device:
    """A Node process with the SDK in it; see javascript/device.mjs."""

    def __init__(self, process: asyncio.subprocess.Process, user: str) -> None:
        self.process = process
        self.user = user
        self.channel = f"personal:{user}"

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[Self]:
        """Start a device with a new user."""
        node = shutil.which("node")
        assert node is not None
        process = await asyncio.create_subprocess_exec(
            node,
            "device.mjs",
            cwd=FOLDER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(process, new_user())
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), timeout=5)

    async def do(self, action: str, **facts: object) -> None:
        """Send the SDK a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"action": action, **facts}).encode() + b"\n")
        await self.process.stdin.drain()

    async def expect(self, event: str) -> dict[str, Any]:
        """Return the next report of the SDK, which must have this name."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), timeout=10)
        reported: dict[str, Any] = json.loads(line)
        assert reported.pop("event") == event, reported
        return reported

    async def connect(self, server: RunningServer) -> None:
        """Connect and subscribe to the user's channel, both in the SDK's first frame."""
        await self.do("connect", url=server.url, token=connection_token(self.user))
        await self.do(
            "subscribe", channel=self.channel, token=subscription_token(self.user, self.channel)
        )
        await self.expect("connected")
        await self.expect("subscribed")


def test_publications_reach_the_application(server: RunningServer, database_url: str) -> None:
    """Connect and subscribe in one frame, then receive every publication in order."""

    async def scenario() -> None:
        async with Device.start() as device, Outbox.open(database_url) as outbox:
            await device.connect(server)
            await outbox.publish(device.channel, *({"n": n} for n in range(50)))
            received = [await device.expect("publication") for _ in range(50)]
            assert received == [{"data": {"n": n}, "offset": n + 1} for n in range(50)]

    run(scenario())


def test_a_broken_network_loses_nothing(server: RunningServer, database_url: str) -> None:
    """A socket that breaks without a close frame is replaced, and what was missed is recovered."""

    async def scenario() -> None:
        async with Device.start() as device, Outbox.open(database_url) as outbox:
            await device.connect(server)
            await outbox.publish(device.channel, {"n": 1})
            await device.expect("publication")
            await device.do("cut")
            await outbox.publish(device.channel, {"n": 2}, {"n": 3})
            await device.expect("connected")
            again = await device.expect("subscribed")
            assert (again["wasRecovering"], again["recovered"]) == (True, True)
            assert [await device.expect("publication") for _ in range(2)] == [
                {"data": {"n": 2}, "offset": 2},
                {"data": {"n": 3}, "offset": 3},
            ]

    run(scenario())


def test_a_lost_history_is_reported(server: RunningServer, database_url: str) -> None:
    """A client with a position of another epoch is answered that it was not recovered."""

    async def scenario() -> None:
        async with Device.start() as device, Outbox.open(database_url) as outbox:
            await outbox.publish(device.channel, {"n": 1})
            await outbox.wait_drained()
            await device.do("connect", url=server.url, token=connection_token(device.user))
            await device.do(
                "subscribe",
                channel=device.channel,
                token=subscription_token(device.user, device.channel),
                since={"offset": 1, "epoch": "gone"},
            )
            await device.expect("connected")
            report = await device.expect("subscribed")
            assert (report["wasRecovering"], report["recovered"]) == (True, False)
            assert report["streamPosition"]["offset"] == 1

    run(scenario())


def test_expired_tokens_are_fetched_again(server: RunningServer) -> None:
    """After expired tokens the SDK gets new ones from the application, and goes on."""

    async def scenario() -> None:
        async with Device.start() as device:
            old = int(time.time()) - 10
            await device.do("connect", url=server.url, token=sign(sub=device.user, exp=old))
            assert (await device.expect("token wanted"))["kind"] == "connection"
            await device.do("token", token=connection_token(device.user))
            await device.expect("connected")
            expired = sign(sub=device.user, channel=device.channel, exp=old)
            await device.do("subscribe", channel=device.channel, token=expired)
            assert (await device.expect("token wanted"))["kind"] == "subscription"
            await device.do("token", token=subscription_token(device.user, device.channel))
            await device.expect("subscribed")

    run(scenario())


def test_a_connection_is_refreshed_in_time(server: RunningServer, database_url: str) -> None:
    """When the token expires, the SDK refreshes it without losing the connection."""

    async def scenario() -> None:
        async with Device.start() as device, Outbox.open(database_url) as outbox:
            await device.do("connect", url=server.url, token=connection_token(device.user, 2))
            await device.expect("connected")
            await device.do(
                "subscribe",
                channel=device.channel,
                token=subscription_token(device.user, device.channel),
            )
            await device.expect("subscribed")
            assert (await device.expect("token wanted"))["kind"] == "connection"
            await device.do("token", token=connection_token(device.user))
            await outbox.publish(device.channel, {"n": 1})
            assert (await device.expect("publication"))["data"] == {"n": 1}

    run(scenario())


def test_a_forged_token_is_final(server: RunningServer) -> None:
    """The SDK does not connect again with a token that the server called invalid."""

    async def scenario() -> None:
        async with Device.start() as device:
            forged = sign("another-secret-0123456789-0123456789", sub=device.user)
            await device.do("connect", url=server.url, token=forged)
            assert await device.expect("disconnected") == {"code": 3500, "reason": "invalid token"}

    run(scenario())


def test_another_users_channel_is_refused(server: RunningServer) -> None:
    """A subscription token of someone else ends the connection, without a reconnect."""

    async def scenario() -> None:
        async with Device.start() as device:
            await device.do("connect", url=server.url, token=connection_token(device.user))
            await device.expect("connected")
            victim = new_user()
            stolen = subscription_token(victim, f"personal:{victim}")
            await device.do("subscribe", channel=f"personal:{victim}", token=stolen)
            assert (await device.expect("disconnected"))["code"] == 3500

    run(scenario())


def test_unsubscribe_and_subscribe_again(server: RunningServer, database_url: str) -> None:
    """After unsubscribing nothing arrives; a new subscription recovers what was missed."""

    async def scenario() -> None:
        async with Device.start() as device, Outbox.open(database_url) as outbox:
            await device.connect(server)
            await device.do("unsubscribe")
            await device.expect("unsubscribed")
            await outbox.publish(device.channel, {"n": 1})
            await outbox.wait_drained()
            await device.do("resubscribe")
            assert (await device.expect("subscribed"))["recovered"]
            assert (await device.expect("publication"))["data"] == {"n": 1}

    run(scenario())


@pytest.mark.parametrize(
    ("action", "code"), [("publish", 103), ("history", 103), ("presence", 108)]
)
def test_clients_may_only_listen(server: RunningServer, action: str, code: int) -> None:
    """Publishing, reading history and presence are refused with the codes the SDK knows."""

    async def scenario() -> None:
        async with Device.start() as device:
            await device.connect(server)
            await device.do(action)
            assert await device.expect("refused") == {"code": code}

    run(scenario())


def test_without_websockets_the_sdk_streams_by_http(
    server: RunningServer, database_url: str
) -> None:
    """Where no WebSocket gets through, the SDK takes the next transport, and misses nothing."""
    if server.is_gateway:
        return  # it speaks WebSocket only

    async def scenario() -> None:
        base = f"http://127.0.0.1:{server.port}"
        # As with a proxy that answers a handshake by itself.
        blocked = {"transport": "websocket", "endpoint": f"ws://127.0.0.1:{server.port}/health"}
        streamed = {"transport": "http_stream", "endpoint": f"{base}/connection/http_stream"}
        async with Device.start() as device, Outbox.open(database_url) as outbox:
            await outbox.publish(device.channel, {"n": 1})
            await outbox.wait_drained()
            await device.do(
                "connect",
                transports=[blocked, streamed],
                emulationEndpoint=f"{base}/emulation",
                token=connection_token(device.user),
            )
            assert (await device.expect("connected"))["transport"] == "http_stream"
            token = subscription_token(device.user, device.channel)
            await device.do("subscribe", channel=device.channel, token=token)
            assert (await device.expect("subscribed"))["streamPosition"]["offset"] == 1
            await outbox.publish(device.channel, {"n": 2}, {"n": 3})
            assert [await device.expect("publication") for _ in range(2)] == [
                {"data": {"n": 2}, "offset": 2},
                {"data": {"n": 3}, "offset": 3},
            ]

    run(scenario())


def test_a_revocation_makes_the_sdk_ask_for_new_tokens(
    server: RunningServer, database_url: str
) -> None:
    """It forgets both tokens that it holds, although they are valid, and resyncs with new ones."""

    async def scenario() -> None:
        async with Device.start() as device, Outbox.open(database_url) as outbox:
            await device.connect(server)
            await outbox.connection.execute("SELECT chat.revoke_tokens(%s)", [device.user])
            assert await device.expect("token wanted") == {"kind": "connection"}
            await device.do("token", token=connection_token(device.user))
            # Both commands are in the first frame, so it needs both tokens before that.
            assert await device.expect("token wanted") == {"kind": "subscription"}
            token = subscription_token(device.user, device.channel)
            await device.do("token", token=token)
            await device.expect("connected")
            subscribed = await device.expect("subscribed")
            assert (subscribed["wasRecovering"], subscribed["recovered"]) == (True, False)
            await outbox.publish(device.channel, {"n": 1})
            assert (await device.expect("publication"))["data"] == {"n": 1}

    run(scenario())
