"""Pings, expiry and timeouts, with delays that are short enough for a test."""

import asyncio
import itertools
import time

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


def test_silent_connection_is_stale(impatient_server: RunningServer) -> None:
    """A connection that never sends `connect` is closed with 3502."""

    async def scenario() -> None:
        async with RawClient.open(impatient_server) as client:
            assert await client.wait_closed() == (3502, "stale")

    run(scenario())


def test_connection_is_unusable_after_an_error(impatient_server: RunningServer) -> None:
    """After an error reply to `connect` no more replies follow, and 3502 closes the connection."""

    async def scenario() -> None:
        async with RawClient.open(impatient_server) as client:
            expired = sign(sub=client.user, exp=int(time.time()) - 1)
            await client.send({"id": 1, "connect": {"token": expired}}, {"id": 2, "rpc": {}})
            assert (await client.receive())["error"]["code"] == 109
            good = {"token": connection_token(client.user)}
            await client.send({"id": 3, "connect": good})
            assert await client.wait_closed() == (3502, "stale")
            assert client.unread == []

    run(scenario())


def test_pings_come_and_pongs_keep_alive(impatient_server: RunningServer) -> None:
    """The first ping comes within the interval of the connect reply, then one each interval."""

    async def scenario() -> None:
        async with RawClient.open(impatient_server) as client:
            reply = await client.call("connect", token=connection_token(client.user))
            assert (reply["connect"]["ping"], reply["connect"]["pong"]) == (1, True)
            moments = [time.monotonic()]
            for _ in range(3):
                assert await client.receive(answer_pings=False) == {}
                moments.append(time.monotonic())
                await client.send({})
            pauses = [later - sooner for sooner, later in itertools.pairwise(moments)]
            assert 0.4 < pauses[0] < 1.4
            assert all(0.7 < pause < 1.4 for pause in pauses[1:]), pauses

    run(scenario())


def test_no_pong(impatient_server: RunningServer) -> None:
    """A client that leaves a ping unanswered is closed with 3012."""

    async def scenario() -> None:
        async with RawClient.connected(impatient_server) as client:
            assert await client.wait_closed() == (3012, "no pong")

    run(scenario())


def test_second_pong(impatient_server: RunningServer) -> None:
    """A second pong for one ping closes with 3501."""

    async def scenario() -> None:
        async with RawClient.connected(impatient_server) as client:
            assert await client.receive(answer_pings=False) == {}
            await client.send({}, {})
            assert await client.wait_closed() == (3501, "bad request")

    run(scenario())


def test_connection_expires(impatient_server: RunningServer) -> None:
    """A connection whose token is not refreshed ends with 3005 after the grace period."""

    async def scenario() -> None:
        async with RawClient.open(impatient_server) as client:
            await client.call("connect", token=connection_token(client.user, 2))
            started = time.monotonic()
            assert await client.wait_closed_answering() == (3005, "connection expired")
            # At least one second of remaining time, and the grace period of one second.
            assert time.monotonic() - started > 1.9

    run(scenario())


def test_refresh_prolongs_the_connection(impatient_server: RunningServer) -> None:
    """A refreshed connection outlives the first token, and the reply has the new time."""

    async def scenario() -> None:
        async with RawClient.open(impatient_server) as client:
            await client.call("connect", token=connection_token(client.user, 1))
            reply = await client.call("refresh", token=connection_token(client.user, 600))
            result = reply["refresh"]
            assert result.keys() == {"expires", "ttl"}
            assert 598 <= result["ttl"] <= 600
            await client.stay_for(2.5)
            assert "error" in await client.call("rpc")

    run(scenario())


def test_refresh_with_a_bad_token(impatient_server: RunningServer) -> None:
    """A refresh with a token of someone else or a forged one is 3500, with an expired one 3005."""

    async def scenario() -> None:
        user = new_user()
        for token, ending in (
            (connection_token("other"), (3500, "invalid token")),
            (sign("another-secret-0123456789-0123456789", sub=user), (3500, "invalid token")),
            (sign(sub=user, channel=f"personal:{user}"), (3500, "invalid token")),
            (connection_token(user, -1), (3005, "connection expired")),
        ):
            async with RawClient.connected(impatient_server, user) as client:
                await client.send({"id": 9, "refresh": {"token": token}})
                assert await client.wait_closed() == ending

    run(scenario())


def test_subscription_expires(impatient_server: RunningServer) -> None:
    """A subscription whose token is not refreshed ends with push 2501; the connection goes on."""

    async def scenario() -> None:
        async with RawClient.connected(impatient_server) as client:
            token = subscription_token(client.user, client.channel, 1)
            result = (await client.subscribe(token=token))["subscribe"]
            assert result["expires"]
            assert result["ttl"] <= 1
            push = await client.receive_push()
            expected = {"code": 2501, "reason": "subscription expired"}
            assert push == {"channel": client.channel, "unsubscribe": expected}
            assert "subscribe" in await client.subscribe()

    run(scenario())


def test_sub_refresh_prolongs_the_subscription(impatient_server: RunningServer) -> None:
    """A refreshed subscription outlives the first token."""

    async def scenario() -> None:
        async with RawClient.connected(impatient_server) as client:
            await client.subscribe(token=subscription_token(client.user, client.channel, 1))
            token = subscription_token(client.user, client.channel, 600)
            reply = await client.call("sub_refresh", channel=client.channel, token=token)
            result = reply["sub_refresh"]
            assert result.keys() == {"expires", "ttl"}
            assert 598 <= result["ttl"] <= 600
            await client.stay_for(3.5)
            assert (await client.subscribe())["error"]["code"] == 105

    run(scenario())


def test_sub_refresh_with_a_bad_token(impatient_server: RunningServer) -> None:
    """A sub_refresh without subscription is 103, without token 107, with a wrong token 3500."""

    async def scenario() -> None:
        user = new_user()
        channel = f"personal:{user}"
        async with RawClient.connected(impatient_server, user) as client:
            token = subscription_token(user, channel)
            reply = await client.call("sub_refresh", channel=channel, token=token)
            assert reply["error"]["code"] == 103
            await client.subscribe()
            reply = await client.call("sub_refresh", channel=channel)
            assert reply["error"]["code"] == 107
        for wrong in (
            subscription_token("other", channel),
            subscription_token(user, "personal:other"),
            connection_token(user),
            sign("another-secret-0123456789-0123456789", sub=user, channel=channel),
        ):
            async with RawClient.subscribed(impatient_server, user) as client:
                await client.send({"id": 9, "sub_refresh": {"channel": channel, "token": wrong}})
                assert await client.wait_closed() == (3500, "invalid token")

    run(scenario())


def test_sub_refresh_with_an_expired_token(impatient_server: RunningServer) -> None:
    """An expired token does not prolong a subscription: error 109.

    Centrifugo before 6.9.6 answers with success and forgets the end of the subscription; the
    gateway never did. Newer ones may refuse with 109 or 110.
    """

    async def scenario() -> None:
        async with RawClient.subscribed(impatient_server) as client:
            token = subscription_token(client.user, client.channel, -1)
            reply = await client.call("sub_refresh", channel=client.channel, token=token)
            if impatient_server.is_gateway:
                assert reply["error"] == {"code": 109, "message": "token expired"}
            else:
                known_defect = reply.get("sub_refresh") == {}
                assert known_defect or reply["error"]["code"] in {109, 110}

    run(scenario())


def test_dropped_connections_leave_no_trace(impatient_server: RunningServer) -> None:
    """A client that vanishes without a close frame does not disturb those that stay."""

    async def scenario() -> None:
        user = new_user()
        async with RawClient.subscribed(impatient_server, user) as staying:
            async with RawClient.subscribed(impatient_server, user) as leaving:
                leaving.websocket.transport.abort()
                await asyncio.wait_for(leaving.websocket.wait_closed(), 5)
            assert (await staying.call("rpc"))["error"]["code"] == 108

    run(scenario())


def test_position_expires(impatient_server: RunningServer, database_url: str) -> None:
    """A client that returns after the position's lifetime is not recovered: another epoch.

    The service publishes nothing to a client that has been away for longer, so the client must
    not believe that it missed nothing.
    """

    async def scenario() -> None:
        user = new_user()
        async with Outbox.open(database_url) as outbox:
            await outbox.publish(f"personal:{user}", {"n": 1})
            await outbox.wait_drained()
            async with RawClient.connected(impatient_server, user) as client:
                epoch = (await client.subscribe())["subscribe"]["epoch"]
            async with RawClient.connected(impatient_server, user) as client:
                result = (await client.subscribe(recover=True, offset=1, epoch=epoch))["subscribe"]
                assert result["recovered"]
            async with RawClient.connected(impatient_server) as other:
                # Three seconds, and up to two for a server that looks once a second.
                await other.stay_for(5.5)
            async with RawClient.connected(impatient_server, user) as client:
                result = (await client.subscribe(recover=True, offset=1, epoch=epoch))["subscribe"]
                assert "recovered" not in result
                assert result["epoch"] != epoch
                await outbox.publish(client.channel, {"n": 2})
                assert (await client.receive_push())["pub"]["offset"] == 1

    run(scenario())
