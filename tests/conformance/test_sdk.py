"""The official Python SDK, as applications use it."""

import asyncio
import time
from typing import Any

from centrifuge import (
    Client,
    ClientEventHandler,
    ConnectedContext,
    DisconnectedContext,
    PublicationContext,
    SubscribedContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)

from tests.conformance.clients import (
    Outbox,
    connection_token,
    new_user,
    run,
    sign,
    subscription_token,
)
from tests.conformance.servers import RunningServer


class ConnectionListener(ClientEventHandler):
    """Collects what the SDK reports about the connection."""

    def __init__(self) -> None:
        self.connected: asyncio.Queue[ConnectedContext] = asyncio.Queue()
        self.disconnected: asyncio.Queue[DisconnectedContext] = asyncio.Queue()

    async def on_connected(self, ctx: ConnectedContext) -> None:
        """Collect."""
        self.connected.put_nowait(ctx)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        """Collect."""
        self.disconnected.put_nowait(ctx)


class ChannelListener(SubscriptionEventHandler):
    """Collects what the SDK reports about a subscription."""

    def __init__(self) -> None:
        self.publications: asyncio.Queue[Any] = asyncio.Queue()
        self.subscribed: asyncio.Queue[SubscribedContext] = asyncio.Queue()
        self.unsubscribed: asyncio.Queue[UnsubscribedContext] = asyncio.Queue()

    async def on_publication(self, ctx: PublicationContext) -> None:
        """Collect."""
        self.publications.put_nowait(ctx.pub.data)

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        """Collect."""
        self.subscribed.put_nowait(ctx)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        """Collect."""
        self.unsubscribed.put_nowait(ctx)


class Listener:
    """Both."""

    def __init__(self) -> None:
        self.connection = ConnectionListener()
        self.channel = ChannelListener()


def make_client(server: RunningServer, listener: Listener, user: str, token: str = "") -> Client:
    """Make a client that fetches a connection token when it has none or an expired one."""

    async def get_token() -> str:
        return connection_token(user)

    return Client(
        server.url, events=listener.connection, token=token, get_token=get_token, proxy=None
    )


def subscribe_to_own(client: Client, listener: Listener, user: str, token: str = "") -> Any:
    """Make the subscription of a user to the personal channel."""

    async def get_token(channel: str) -> str:
        return subscription_token(user, channel)

    return client.new_subscription(
        f"personal:{user}", events=listener.channel, token=token, get_token=get_token
    )


def test_publications_reach_the_application(server: RunningServer, database_url: str) -> None:
    """Connect, subscribe, receive, disconnect."""

    async def scenario() -> None:
        user, listener = new_user(), Listener()
        client = make_client(server, listener, user)
        await client.connect()
        await subscribe_to_own(client, listener, user).subscribe()
        await listener.channel.subscribed.get()
        async with Outbox.open(database_url) as outbox:
            await outbox.publish(f"personal:{user}", *({"n": n} for n in range(50)))
        assert [await listener.channel.publications.get() for _ in range(50)] == [
            {"n": n} for n in range(50)
        ]
        await client.disconnect()

    run(scenario())


def test_reconnect_recovers_what_was_missed(server: RunningServer, database_url: str) -> None:
    """A client that was closed connects again and receives every publication once, in order."""

    async def scenario() -> None:
        user, listener = new_user(), Listener()
        client = make_client(server, listener, user)
        subscription = subscribe_to_own(client, listener, user)
        await client.connect()
        await subscription.subscribe()
        await listener.channel.subscribed.get()
        async with Outbox.open(database_url) as outbox:
            await outbox.publish(f"personal:{user}", {"n": 1})
            assert await listener.channel.publications.get() == {"n": 1}
            # In one batch: the client is closed, and misses what follows.
            reconnect = {"user": user, "disconnect": {"code": 3011, "reason": "force reconnect"}}
            await outbox.write("disconnect", reconnect)
            await outbox.publish(f"personal:{user}", {"n": 2}, {"n": 3})
            again = await listener.channel.subscribed.get()
            assert (again.was_recovering, again.recovered) == (True, True)
            await outbox.publish(f"personal:{user}", {"n": 4})
        assert [(await listener.channel.publications.get())["n"] for _ in range(3)] == [2, 3, 4]
        await client.disconnect()

    run(scenario())


def test_expired_tokens_are_fetched_again(server: RunningServer) -> None:
    """After an expired token the SDK gets a new one from the application, and goes on."""

    async def scenario() -> None:
        user, listener = new_user(), Listener()
        old = int(time.time()) - 10
        client = make_client(server, listener, user, sign(sub=user, exp=old))
        channel = f"personal:{user}"
        expired = sign(sub=user, channel=channel, exp=old)
        await client.connect()
        await listener.connection.connected.get()
        await subscribe_to_own(client, listener, user, expired).subscribe()
        assert (await listener.channel.subscribed.get()).channel == channel
        await client.disconnect()

    run(scenario())


def test_tokens_are_refreshed_in_time(server: RunningServer, database_url: str) -> None:
    """When both tokens expire, the SDK refreshes them and misses nothing."""

    async def scenario() -> None:
        user, listener = new_user(), Listener()
        channel = f"personal:{user}"
        refreshed: asyncio.Queue[str] = asyncio.Queue()

        async def get_token() -> str:
            refreshed.put_nowait("connection")
            return connection_token(user)

        async def get_subscription_token(name: str) -> str:
            refreshed.put_nowait("subscription")
            return subscription_token(user, name)

        client = Client(
            server.url,
            events=listener.connection,
            token=connection_token(user, 2),
            get_token=get_token,
            proxy=None,
        )
        subscription = client.new_subscription(
            channel,
            events=listener.channel,
            token=subscription_token(user, channel, 2),
            get_token=get_subscription_token,
        )
        await client.connect()
        await subscription.subscribe()
        assert {await refreshed.get(), await refreshed.get()} == {"connection", "subscription"}
        async with Outbox.open(database_url) as outbox:
            await outbox.publish(channel, {"n": 1})
        assert await listener.channel.publications.get() == {"n": 1}
        assert listener.connection.disconnected.empty()
        await client.disconnect()

    run(scenario())


def test_terminal_codes_end_the_client(server: RunningServer) -> None:
    """A forged connection token is final: the SDK does not connect again with it."""

    async def scenario() -> None:
        user, listener = new_user(), Listener()
        forged = sign("another-secret-0123456789-0123456789", sub=user)
        client = make_client(server, listener, user, forged)
        await client.connect()
        ended = await listener.connection.disconnected.get()
        assert (ended.code, ended.reason) == (3500, "invalid token")

    run(scenario())


def test_server_unsubscribe_is_final(server: RunningServer, database_url: str) -> None:
    """After code 2000 the SDK does not resubscribe."""

    async def scenario() -> None:
        user, listener = new_user(), Listener()
        client = make_client(server, listener, user)
        await client.connect()
        await subscribe_to_own(client, listener, user).subscribe()
        await listener.channel.subscribed.get()
        async with Outbox.open(database_url) as outbox:
            await outbox.write("unsubscribe", {"user": user, "channel": f"personal:{user}"})
        ended = await listener.channel.unsubscribed.get()
        assert ended.code == 2000
        await client.disconnect()

    run(scenario())
