"""Subscribing: only with a token and to the own channel; and what is refused to everyone."""

import asyncio

import pytest

from tests.conformance.clients import (
    Outbox,
    RawClient,
    connection_token,
    new_user,
    run,
    sign,
    subscription_token,
)
from tests.conformance.servers import RunningServer


def error(code: int, message: str) -> dict[str, object]:
    """Return the error of a reply."""
    return {"code": code, "message": message}


def test_subscribe_reply(server: RunningServer) -> None:
    """A first subscription is positioned and recoverable; the reply has epoch and time left."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            result = (await client.subscribe())["subscribe"]
            expected = {"expires", "ttl", "recoverable", "epoch", "positioned"}
            assert result.keys() == expected
            assert (result["recoverable"], result["positioned"]) == (True, True)
            assert result["epoch"]

    run(scenario())


def test_reply_comes_before_publications(server: RunningServer, database_url: str) -> None:
    """The reply to `subscribe` comes before the channel's publications, even on a busy channel."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client, Outbox.open(database_url) as outbox:
            writing = asyncio.create_task(
                outbox.publish(client.channel, *({"n": n} for n in range(100)))
            )
            reply = await client.subscribe(recover=True, offset=0)
            await writing
            seen = [pub["data"]["n"] for pub in reply["subscribe"].get("publications", [])]
            while len(seen) < 100:
                seen.append((await client.receive_data())["n"])
            assert seen == list(range(100))

    run(scenario())


@pytest.mark.parametrize(
    "claims, answer",
    [
        ({"exp": 1}, error(109, "token expired")),
        ({"nbf": 4102444800}, error(109, "token expired")),
        ({"secret": "another-secret-0123456789-0123456789"}, error(103, "permission denied")),
        ({"channel": None}, error(103, "permission denied")),
        ({"channel": ""}, error(103, "permission denied")),
        ({"channel": 5}, error(103, "permission denied")),
        ({"expire_at": 1}, error(110, "expired")),
        ({"channel": "personal:other"}, None),
        ({"sub": "other"}, None),
        ({"sub": ""}, None),
        ({"sub": None}, None),
        ({"client": "other"}, None),
    ],
    ids=str,
)
def test_subscription_token_is_refused(
    server: RunningServer, claims: dict[str, object], answer: dict[str, object] | None
) -> None:
    """An expired token is 109, a bad one 103; a token of someone else closes with 3500."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            good: dict[str, object] = {"sub": client.user, "channel": client.channel}
            token = sign(**{**good, **claims})  # type: ignore[arg-type]
            subscribe = {"channel": client.channel, "token": token}
            await client.send({"id": 2, "subscribe": subscribe})
            if answer is None:
                assert await client.wait_closed() == (3500, "invalid token")
            else:
                assert await client.receive() == {"id": 2, "error": answer}
                # After an error the next attempt is not "already subscribed".
                assert "subscribe" in await client.subscribe()

    run(scenario())


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c"])
def test_subscribe_needs_a_token(server: RunningServer, token: str | None) -> None:
    """A subscription needs a valid token, even for the user's own channel."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            reply = await client.call("subscribe", channel=client.channel, token=token)
            assert reply["error"] == error(103, "permission denied")

    run(scenario())


def test_connection_token_is_no_subscription_token(server: RunningServer) -> None:
    """A connection token is not valid for a subscription."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            reply = await client.subscribe(token=connection_token(client.user))
            assert reply["error"] == error(103, "permission denied")

    run(scenario())


@pytest.mark.parametrize(
    "channel, answer",
    [
        ("personal:a,b", error(103, "permission denied")),
        ("personal:#{user}", error(103, "permission denied")),
        ("personal:#{user},b", error(103, "permission denied")),
        ("$personal:{user}", error(103, "permission denied")),
        ("personal:*", error(103, "permission denied")),
        ("personal:", error(103, "permission denied")),
        ("personal: {user}", error(103, "permission denied")),
        ("personal:{user}\n", error(103, "permission denied")),
        ("personal:\x00", error(103, "permission denied")),
        ("personal:a:b", error(103, "permission denied")),
        ("personal:пётр", error(107, "bad request")),
        ("personal:" + "x" * 291, error(107, "bad request")),
        ("personal:" + "ё" * 124, error(107, "bad request")),
        ("*", error(103, "permission denied")),
        ("{user}", error(103, "permission denied")),
        ("PERSONAL:{user}", error(102, "unknown channel")),
        ("other:{user}", error(102, "unknown channel")),
        (":personal:{user}", error(103, "permission denied")),
        ("$$personal:{user}", error(102, "unknown channel")),
        (" personal:{user}", error(102, "unknown channel")),
    ],
)
def test_channel_name_attacks(
    server: RunningServer, channel: str, answer: dict[str, object]
) -> None:
    """No spelling of a channel name opens it without a token made for exactly that name."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            name = channel.replace("{user}", client.user)
            reply = await client.call("subscribe", channel=name)
            assert reply["error"] == answer
            # A token for the user's own channel does not open another spelling of it.
            token = subscription_token(client.user, client.channel)
            await client.send({"id": 9, "subscribe": {"channel": name, "token": token}})
            if answer["code"] == 103:
                assert await client.wait_closed() == (3500, "invalid token")
            else:
                assert (await client.receive())["error"] == answer

    run(scenario())


@pytest.mark.parametrize(
    "user",
    ["auth0|abc", "urn:x:1", "a+b@c.d", "~d0~bf", "a=b!c", "a'b\"c", "<a>", "a\\b", "x" * 231],
)
def test_channel_names_of_user_ids(server: RunningServer, database_url: str, user: str) -> None:
    """The channel of any user id, in its encoded form, carries publications under that name."""

    async def scenario() -> None:
        async with RawClient.subscribed(server, user) as client:
            async with Outbox.open(database_url) as outbox:
                await outbox.publish(client.channel, {"for": user})
            push = await client.receive_push()
            assert push["channel"] == f"personal:{user}"
            assert push["pub"]["data"] == {"for": user}

    run(scenario())


def test_already_subscribed(server: RunningServer) -> None:
    """A second subscription to a channel is error 105 and does not change the first."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client:
            reply = await client.subscribe()
            assert reply["error"] == error(105, "already subscribed")

    run(scenario())


def test_channel_limit(server: RunningServer) -> None:
    """A connection holds at most 128 subscriptions; the next is error 106."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            for number in range(128):
                assert "subscribe" in await client.subscribe(f"{client.channel}-{number}")
            reply = await client.subscribe()
            assert reply["error"] == error(106, "limit exceeded")

    run(scenario())


def test_unsubscribe_and_resubscribe(server: RunningServer, database_url: str) -> None:
    """After `unsubscribe` nothing of the channel arrives; subscribing again is possible at once."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            assert (await client.call("unsubscribe", channel=client.channel))["unsubscribe"] == {}
            await outbox.publish(client.channel, {"n": 1})
            await outbox.wait_drained()
            reply = await client.subscribe()
            assert reply["subscribe"]["offset"] == 1
            await outbox.publish(client.channel, {"n": 2})
            assert await client.receive_data() == {"n": 2}
            # Unsubscribing without a subscription is not an error.
            assert (await client.call("unsubscribe", channel="personal:x"))["unsubscribe"] == {}

    run(scenario())


def test_every_connection_of_a_user_receives(server: RunningServer, database_url: str) -> None:
    """Two connections of a user both receive each publication; someone else receives nothing."""

    async def scenario() -> None:
        user = new_user()
        async with (
            RawClient.subscribed(server, user) as first,
            RawClient.subscribed(server, user) as second,
            RawClient.subscribed(server) as other,
            Outbox.open(database_url) as outbox,
        ):
            await outbox.publish(first.channel, {"n": 1})
            await outbox.publish(other.channel, {"n": 2})
            assert [await tab.receive_data() for tab in (first, second)] == [{"n": 1}] * 2
            assert await other.receive_data() == {"n": 2}

    run(scenario())


@pytest.mark.parametrize(
    "method, request_, code",
    [
        ("publish", {"channel": "{own}", "data": {"a": 1}}, 103),
        ("publish", {"channel": "{own}", "data": "text"}, 107),
        ("publish", {"channel": "{own}"}, 107),
        ("publish", {"channel": "other:a", "data": {}}, 102),
        ("publish", {"channel": "personal:ё", "data": {}}, 107),
        ("presence", {"channel": "{own}"}, 108),
        ("presence", {"channel": "other:a"}, 102),
        ("presence_stats", {"channel": "{own}"}, 108),
        ("history", {"channel": "{own}", "limit": 10}, 103),
        ("history", {"channel": "other:a"}, 102),
        ("history", {"channel": "no-namespace"}, 108),
        ("rpc", {"method": "x", "data": {}}, 108),
    ],
)
def test_clients_may_only_listen(
    server: RunningServer, method: str, request_: dict[str, object], code: int
) -> None:
    """Clients cannot publish, read presence or history, or call: the API is for that."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client:
            own = {"channel": client.channel} if request_.get("channel") == "{own}" else {}
            reply = await client.call(method, **{**request_, **own})
            assert reply["error"]["code"] == code

    run(scenario())


def test_send_is_not_available(server: RunningServer) -> None:
    """`send`, which has no reply, ends the connection with 3508."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            await client.send({"send": {"data": {}}})
            assert await client.wait_closed() == (3508, "not available")

    run(scenario())


def test_server_unsubscribes(server: RunningServer, database_url: str) -> None:
    """An `unsubscribe` row ends the subscription with a push of code 2000."""

    async def scenario() -> None:
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            await outbox.write("unsubscribe", {"user": client.user, "channel": client.channel})
            expected = {"code": 2000, "reason": "server unsubscribe"}
            push = await client.receive_push()
            assert push == {"channel": client.channel, "unsubscribe": expected}
            assert "subscribe" in await client.subscribe()
            await outbox.write("unsubscribe", {"user": client.user})
            assert "unsubscribe" in await client.receive_push()

    run(scenario())


def test_server_disconnects(server: RunningServer, database_url: str) -> None:
    """A `disconnect` row ends every connection of the user, with 3503 or the given code."""

    async def scenario() -> None:
        user = new_user()
        async with (
            RawClient.connected(server, user) as first,
            RawClient.connected(server, user) as second,
            RawClient.connected(server) as other,
            Outbox.open(database_url) as outbox,
        ):
            await outbox.write("disconnect", {"user": user})
            for client in (first, second):
                assert await client.wait_closed() == (3503, "force disconnect")
            close = {"code": 4001, "reason": "signed out"}
            await outbox.write("disconnect", {"user": other.user, "disconnect": close})
            assert await other.wait_closed() == (4001, "signed out")

    run(scenario())
