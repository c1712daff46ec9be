"""Where a WebSocket does not get through: HTTP streaming and SSE, as Centrifugo has them."""

import contextlib
import json
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx
import pytest

from tests.conformance.clients import (
    ANSWER_TIMEOUT,
    Outbox,
    connection_token,
    new_user,
    run,
    subscription_token,
)
from tests.conformance.servers import RunningServer

ORIGIN = "http://localhost:9000"
TRANSPORTS = ["http_stream", "sse"]


class StreamingClient:
    """A client whose answers arrive in one long HTTP answer; it sends each command by itself."""

    def __init__(self, http: httpx.AsyncClient, answer: httpx.Response, user: str) -> None:
        self.http = http
        self.user = user
        self.channel = f"personal:{user}"
        self._answer = answer
        self._lines = answer.aiter_lines()
        self.session: dict[str, Any] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, server: RunningServer, transport: str, user: str | None = None
    ) -> AsyncIterator[Self]:
        """Connect as a user, as a page of this machine."""
        user = user or new_user()
        command = json.dumps({"id": 1, "connect": {"token": connection_token(user)}})
        path = f"/connection/{transport}"
        query = "?cf_connect=" + urllib.parse.quote(command)
        async with (
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{server.port}",
                headers={"Origin": ORIGIN},
                trust_env=False,
                timeout=ANSWER_TIMEOUT,
            ) as http,
            http.stream("GET", path + query)
            if transport == "sse"
            else http.stream("POST", path, content=command) as answer,
        ):
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            client = cls(http, answer, user)
            client.session = (await client.receive())["connect"]
            yield client

    async def receive(self) -> dict[str, Any]:
        """Return the next message that is no ping."""
        async for line in self._lines:
            message = json.loads(line.removeprefix("data: ") or "{}")
            if message:
                return dict(message)
        raise AssertionError("the stream ended")

    async def subscribe(self, **request: object) -> dict[str, Any]:
        """Subscribe by the emulation endpoint; the reply arrives on the stream."""
        token = subscription_token(self.user, self.channel)
        command = {"id": 2, "subscribe": {"channel": self.channel, "token": token, **request}}
        facts = {name: self.session[name] for name in ("session", "node")}
        answer = await self.http.post("/emulation", json={**facts, "data": json.dumps(command)})
        assert answer.status_code == 204, answer.text
        return dict((await self.receive())["subscribe"])

    async def receive_data(self) -> Any:
        """Return the data of the next publication."""
        return (await self.receive())["push"]["pub"]["data"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_fallbacks_carry_everything(
    server: RunningServer, database_url: str, transport: str
) -> None:
    """Connect, subscribe, receive, and recover what was missed between two streams."""
    if server.is_gateway:
        return  # the test below says what it answers

    async def scenario() -> None:
        async with Outbox.open(database_url) as outbox:
            async with StreamingClient.open(server, transport) as first:
                position = await first.subscribe()
                assert position["recoverable"] is True
                await outbox.publish(first.channel, {"n": 1})
                assert await first.receive_data() == {"n": 1}
            await outbox.publish(first.channel, {"n": 2}, {"n": 3})
            await outbox.wait_drained()
            async with StreamingClient.open(server, transport, first.user) as second:
                since = {"recover": True, "epoch": position["epoch"], "offset": 1}
                again = await second.subscribe(**since)
                assert again["recovered"] is True
                assert [one["data"] for one in again["publications"]] == [{"n": 2}, {"n": 3}]
                await outbox.publish(first.channel, {"n": 4})
                assert await second.receive_data() == {"n": 4}

    run(scenario())


@pytest.mark.parametrize(
    "method, path",
    [
        *(("POST", "/connection/http_stream"), ("GET", "/connection/sse?cf_connect=%7B%7D")),
        *(("POST", "/emulation"), ("OPTIONS", "/connection/http_stream")),
    ],
)
def test_pages_of_other_origins_read_no_stream(
    server: RunningServer, method: str, path: str
) -> None:
    """A browser keeps Centrifugo's answer from them. The gateway says that it has none."""
    headers = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    answer = httpx.request(
        method,
        f"http://127.0.0.1:{server.port}{path}",
        headers=headers,
        content=b"{}" if method == "POST" else None,
        trust_env=False,
    )

    assert "access-control-allow-origin" not in answer.headers
    if server.is_gateway:
        assert answer.status_code == 404
        assert "WebSocket only" in answer.text
