"""Recovery: a client gets exactly what it missed, or an answer that this is not possible."""

import time

from tests.conformance.clients import Outbox, RawClient, run, sign
from tests.conformance.servers import RunningServer


def test_missed_publications(server: RunningServer, database_url: str) -> None:
    """Recovered: the publications after the client's position, and that position as offset."""

    async def scenario() -> None:
        async with Outbox.open(database_url) as outbox:
            async with RawClient.connected(server) as client:
                epoch = (await client.subscribe())["subscribe"]["epoch"]
                await outbox.publish(client.channel, *({"n": n} for n in range(1, 4)))
                for offset in range(1, 4):
                    push = await client.receive_push()
                    first = {"epoch": epoch} if offset == 1 else {}
                    assert push["pub"] == {"data": {"n": offset}, "offset": offset, **first}
            await outbox.publish(client.channel, {"n": 4}, {"n": 5})
            await outbox.wait_drained()
            async with RawClient.connected(server, client.user) as again:
                reply = await again.subscribe(recover=True, offset=3, epoch=epoch, flag=1)
                result = reply["subscribe"]
                assert result.pop("publications") == [
                    {"data": {"n": 4}, "offset": 4},
                    {"data": {"n": 5}, "offset": 5},
                ]
                del result["ttl"]
                flags = ("expires", "recoverable", "positioned", "recovered", "was_recovering")
                assert result == {**dict.fromkeys(flags, True), "epoch": epoch, "offset": 3}
                await outbox.publish(client.channel, {"n": 6})
                assert (await again.receive_push())["pub"]["offset"] == 6

    run(scenario())


def test_a_token_can_turn_recovery_off(server: RunningServer, database_url: str) -> None:
    """With such a token a client gets the position, without what it missed, and must resync."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client, Outbox.open(database_url) as outbox:
            await outbox.publish(client.channel, {"n": 1})
            await outbox.wait_drained()
            override = {"force_recovery": {"value": False}, "force_positioning": {"value": True}}
            token = sign(
                sub=client.user,
                channel=client.channel,
                exp=int(time.time()) + 60,
                override=override,
            )
            result = (await client.subscribe(recover=True, token=token))["subscribe"]
            assert {"recoverable", "recovered", "publications"} & result.keys() == set()
            assert (result["positioned"], result["was_recovering"], result["offset"]) == (
                True,
                True,
                1,
            )
            await outbox.publish(client.channel, {"n": 2})
            assert (await client.receive_push())["pub"]["offset"] == 2

    run(scenario())


def test_nothing_missed(server: RunningServer, database_url: str) -> None:
    """At the newest offset there is nothing to recover: recovered, without publications."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client, Outbox.open(database_url) as outbox:
            await outbox.publish(client.channel, {"n": 1})
            await outbox.wait_drained()
            result = (await client.subscribe(recover=True, offset=1))["subscribe"]
            assert (result["recovered"], result["offset"]) == (True, 1)
            assert "publications" not in result

    run(scenario())


def test_recover_from_the_beginning(server: RunningServer, database_url: str) -> None:
    """Offset 0 is a position like any other: everything is recovered, and `offset` is absent."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client, Outbox.open(database_url) as outbox:
            await outbox.publish(client.channel, {"n": 1})
            await outbox.wait_drained()
            result = (await client.subscribe(recover=True))["subscribe"]
            assert result["recovered"]
            assert [pub["data"] for pub in result["publications"]] == [{"n": 1}]
            assert "offset" not in result

    run(scenario())


def test_a_whole_history_of_the_longest_messages(server: RunningServer, database_url: str) -> None:
    """A client that missed 100 events of the largest size recovers them and is not closed."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client, Outbox.open(database_url) as outbox:
            # 4,000 control characters take six bytes each in JSON; the rest of an event adds 1 KiB.
            await outbox.publish(client.channel, *({"text": "x" * 25_000} for _ in range(100)))
            await outbox.wait_drained()
            result = (await client.subscribe(recover=True))["subscribe"]
            assert len(result["publications"]) == 100
            await outbox.publish(client.channel, {"n": 101})
            assert await client.receive_data() == {"n": 101}

    run(scenario())


def test_history_overrun(server: RunningServer, database_url: str) -> None:
    """After more than 100: not recovered, the newest offset and no publications."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client, Outbox.open(database_url) as outbox:
            await outbox.publish(client.channel, *({"n": n} for n in range(102)))
            await outbox.wait_drained()
            result = (await client.subscribe(recover=True, offset=1))["subscribe"]
            assert result["was_recovering"]
            assert "recovered" not in result
            assert "publications" not in result
            assert result["offset"] == 102
            await client.call("unsubscribe", channel=client.channel)
            result = (await client.subscribe(recover=True, offset=2))["subscribe"]
            assert result["recovered"]
            assert len(result["publications"]) == 100

    run(scenario())


def test_other_epoch(server: RunningServer, database_url: str) -> None:
    """A position of another epoch is not recovered, even if its offset looks right."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client, Outbox.open(database_url) as outbox:
            await outbox.publish(client.channel, {"n": 1})
            await outbox.wait_drained()
            result = (await client.subscribe(recover=True, offset=1, epoch="other"))["subscribe"]
            assert "recovered" not in result
            assert result["offset"] == 1
            assert result["epoch"] != "other"

    run(scenario())


def test_position_of_the_future(server: RunningServer) -> None:
    """A position above the newest offset, as after a restart, is not recovered."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            result = (await client.subscribe(recover=True, offset=2**53))["subscribe"]
            assert "recovered" not in result
            assert "offset" not in result

    run(scenario())


def test_reject_unrecovered(server: RunningServer) -> None:
    """With flag 2 a position that cannot be recovered is error 112 and no subscription."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            reply = await client.subscribe(recover=True, offset=5, epoch="other", flag=3)
            assert reply["error"] == {"code": 112, "message": "unrecoverable position"}
            assert "subscribe" in await client.subscribe(flag=2)

    run(scenario())


def test_publications_keep_their_text(server: RunningServer, database_url: str) -> None:
    """Data arrives as it was written: large numbers, escapes, other scripts, empty values."""

    async def scenario() -> None:
        data = {
            "big": 2**53 + 1,
            "text": "Ёж \U0001f994 \u2028 <b>&amp;</b> \n \t",
            "nothing": None,
            "empty": {},
            "list": [[]],
        }
        async with RawClient.subscribed(server) as client, Outbox.open(database_url) as outbox:
            await outbox.publish(client.channel, data, {})
            assert await client.receive_data() == data
            assert await client.receive_data() == {}

    run(scenario())
