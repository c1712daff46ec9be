"""Connecting: which clients are accepted, and how the others are refused."""

import pytest
import websockets
from websockets.asyncio.client import connect

from tests.conformance.clients import (
    RawClient,
    connection_token,
    new_user,
    run,
    sign,
    subscription_token,
)
from tests.conformance.servers import RunningServer


def test_connect_reply_has_what_sdks_need(server: RunningServer) -> None:
    """A connect reply carries client, version, expires, ttl, ping and pong, and nothing else."""

    async def scenario() -> None:
        async with RawClient.open(server) as client:
            reply = await client.call("connect", token=connection_token(client.user, 600))
        assert reply["id"] == 1
        result = reply["connect"]
        assert result.keys() == {"client", "version", "expires", "ttl", "ping", "pong"}
        assert result["client"]
        assert 598 <= result["ttl"] <= 600
        assert (result["expires"], result["ping"], result["pong"]) == (True, 25, True)

    run(scenario())


def test_token_without_end(server: RunningServer) -> None:
    """A token without `exp` gives a connection that does not expire: no `expires`, no `ttl`."""

    async def scenario() -> None:
        async with RawClient.open(server) as client:
            reply = await client.call("connect", token=connection_token(client.user, None))
        assert reply["connect"].keys() == {"client", "version", "ping", "pong"}

    run(scenario())


def test_connect_and_subscribe_in_one_frame(server: RunningServer) -> None:
    """Several commands in one frame are answered in their order; a final newline is allowed."""

    async def scenario() -> None:
        user = new_user()
        channels = [f"personal:{user}{number}" for number in range(3)]
        async with RawClient.open(server, user) as client:
            commands = [{"id": 1, "connect": {"token": connection_token(user)}}]
            for number, channel in enumerate(channels, start=2):
                token = subscription_token(user, channel)
                commands.append({"id": number, "subscribe": {"channel": channel, "token": token}})
            await client.send(*commands)
            assert [(await client.receive())["id"] for _ in commands] == [1, 2, 3, 4]
            await client.websocket.send('{"id":5,"unsubscribe":{"channel":"personal:x"}}\n')
            assert await client.receive() == {"id": 5, "unsubscribe": {}}
            await client.send({"id": 6, "rpc": {}})
            assert (await client.receive())["id"] == 6

    run(scenario())


@pytest.mark.parametrize(
    "claims, disconnect",
    [
        ({"exp": 1}, None),
        ({"nbf": 4102444800}, None),
        ({"channel": "personal:a"}, (3500, "invalid token")),
        ({"sub": 7}, (3500, "invalid token")),
        ({"secret": "another-secret-0123456789-0123456789"}, (3500, "invalid token")),
        ({"sub": ""}, (3507, "permission denied")),
        ({"sub": None}, (3507, "permission denied")),
    ],
    ids=["expired", "not-yet", "subscription-token", "number", "forged", "anonymous", "no-sub"],
)
def test_connection_token_is_refused(
    server: RunningServer, claims: dict[str, object], disconnect: tuple[int, str] | None
) -> None:
    """An expired token is error 109, so that the SDK fetches another; other errors are final."""

    async def scenario() -> None:
        async with RawClient.open(server) as client:
            token = sign(**{"sub": "someone", **claims})  # type: ignore[arg-type]
            await client.send({"id": 1, "connect": {"token": token}})
            if disconnect is None:
                error = {"code": 109, "message": "token expired"}
                assert await client.receive() == {"id": 1, "error": error}
            else:
                assert await client.wait_closed() == disconnect

    run(scenario())


@pytest.mark.parametrize("token", ["", "x", "a.b.c", sign(sub="u")[:-4], sign(sub="u") + "."])
def test_malformed_connection_token_is_refused(server: RunningServer, token: str) -> None:
    """Text that is not a token ends the connection: 3501 for none, 3500 for a bad one."""

    async def scenario() -> None:
        async with RawClient.open(server) as client:
            await client.send({"id": 1, "connect": {"token": token}})
            code = (3500, "invalid token") if token else (3501, "bad request")
            assert await client.wait_closed() == code

    run(scenario())


def test_unsigned_token_is_refused(server: RunningServer) -> None:
    """A token with `alg: none` is refused."""

    async def scenario() -> None:
        unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ1In0."
        async with RawClient.open(server) as client:
            await client.send({"id": 1, "connect": {"token": unsigned}})
            assert await client.wait_closed() == (3500, "invalid token")

    run(scenario())


@pytest.mark.parametrize(
    "frame",
    [
        '{"id":1,"subscribe":{"channel":"personal:a"}}',
        '{"id":1,"rpc":{}}',
        '{"send":{}}',
        "{}",
        '{"connect":{"token":"x"}}',
        "",
        "\n",
        "nonsense",
        '{"id":1,"connect":',
        '{"id":-1,"connect":{}}',
        '{"id":"1","connect":{}}',
        '{"id":1,"connect":{"token":5}}',
    ],
)
def test_first_command_must_be_connect(server: RunningServer, frame: str) -> None:
    """A connection whose first command is not a well-formed `connect` ends with 3501."""

    async def scenario() -> None:
        async with RawClient.open(server) as client:
            await client.websocket.send(frame)
            assert await client.wait_closed() == (3501, "bad request")

    run(scenario())


@pytest.mark.parametrize(
    "frame",
    [
        '{"id":9,"connect":{"token":"x"}}',
        '{"id":9,"ping":{}}',
        '{"id":9}',
        '{"id":9,"unknown":{}}',
        "{}",
        "",
        '{"id":9,"rpc":{}}\n\n{"id":10,"rpc":{}}',
        '{"id":9,"subscribe":{}}',
        '{"id":9,"unsubscribe":{}}',
        '{"id":9,"subscribe":{"channel":"personal:a","delta":"other"}}',
        '{"id":9,"refresh":{}}',
        '{"id":9,"sub_refresh":{}}',
        '{"id":9,"publish":{}}',
        '{"id":9,"history":{}}',
        "[" * 20000,
    ],
)
def test_bad_request_after_connect(server: RunningServer, frame: str) -> None:
    """A second `connect`, a pong without a ping and malformed commands end with 3501."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            await client.websocket.send(frame)
            assert await client.wait_closed() == (3501, "bad request")

    run(scenario())


def test_unknown_fields_are_ignored(server: RunningServer) -> None:
    """Fields that this server does not know are ignored; null means absent."""

    async def scenario() -> None:
        async with RawClient.open(server) as client:
            token = connection_token(client.user)
            command = {"id": 1, "connect": {"token": token, "new": [1]}, "future": {"a": 1}}
            await client.send({**command, "subscribe": None})
            assert "connect" in await client.receive()
            reply = await client.subscribe(epoch=None, new=1)
            assert "subscribe" in reply

    run(scenario())


def test_commands_before_a_malformed_one_are_done(server: RunningServer) -> None:
    """The commands of a frame take effect one by one, up to the malformed one."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            await client.websocket.send('{"id":9,"rpc":{}}\nnonsense')
            assert (await client.receive())["id"] == 9
            assert await client.wait_closed() == (3501, "bad request")

    run(scenario())


def test_frame_too_large(server: RunningServer) -> None:
    """A frame of 65,536 bytes is read; a larger one closes with 1009."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            frame = '{"id":9,"rpc":{"data":"'
            frame += "x" * (65536 - len(frame) - 3) + '"}}'
            assert len(frame) == 65536
            await client.websocket.send(frame)
            assert (await client.receive())["id"] == 9
            await client.websocket.send(frame + " ")
            code, _ = await client.wait_closed()
            assert code == 1009

    run(scenario())


def test_websocket_pings_are_answered(server: RunningServer) -> None:
    """A ping of the WebSocket layer, which the Python SDK sends, is answered before connect too."""

    async def scenario() -> None:
        async with RawClient.open(server) as client:
            await (await client.websocket.ping())

    run(scenario())


def test_binary_frames_are_json_too(server: RunningServer) -> None:
    """A command may come in a text frame or in a binary frame."""

    async def scenario() -> None:
        async with RawClient.connected(server) as client:
            await client.websocket.send(b'{"id":9,"rpc":{}}')
            assert (await client.receive())["id"] == 9

    run(scenario())


@pytest.mark.parametrize(
    "origin, allowed",
    [
        ("http://localhost:9000", True),
        ("http://127.0.0.1:3000", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
    ],
)
def test_origin(server: RunningServer, origin: str, allowed: bool) -> None:  # noqa: FBT001
    """On a developer's machine only pages from that machine may connect."""

    async def scenario() -> None:
        try:
            async with connect(server.url, additional_headers={"Origin": origin}, proxy=None):
                assert allowed
        except websockets.InvalidStatus as error:
            assert not allowed
            assert error.response.status_code == 403  # noqa: PT017

    run(scenario())
