"""Changing the secret of Centrifugo's tokens while clients are connected: see docs/secrets.md."""

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from itertools import count

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from app.authentication import LEEWAY_SECONDS
from tests.conformance.api_clients import ApiClient
from tests.conformance.clients import Outbox, RawClient, new_user, run, sign
from tests.conformance.servers import SECRET, RunningServer, restart, start_server
from tests.support.actors import make_token
from tests.support.processes import serve_api

NEW = "the-next-secret-of-the-conformance-suite-0123456789"
LIFETIME = 8
"""Seconds for which a token is valid here, so that each client gets a few: as long as the JWT with
which it was asked for."""
NAMES = {
    "gateway": ("CENTRIFUGO_TOKEN_SECRET", "CENTRIFUGO_TOKEN_SECRET_BEFORE"),
    "centrifugo": (
        "CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY",
        "CENTRIFUGO_CLIENT_TOKEN_HMAC_PREVIOUS_SECRET_KEY",
    ),
}


def with_secrets(server: RunningServer, secret: str, before: str = "") -> RunningServer:
    """Start a server again with other secrets; its clients are closed, and connect again."""
    assert server.stop() == 0
    secrets = dict(zip(NAMES[server.kind], (secret, before), strict=True))
    return restart(dataclasses.replace(server, environment={**server.environment, **secrets}))


def sign_with_any(secret: str) -> str:
    """Return a connection token with this HS256 signature; libraries refuse an empty secret."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": "someone"}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    signature = hmac.new(secret.encode(), b".".join(encoded), hashlib.sha256).digest()
    return b".".join([*encoded, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


class Place:
    """A realtime server, and the processes of the API: one after the other is the one in use."""

    def __init__(self, server: RunningServer, stack: ExitStack, database_url: str) -> None:
        self.server = server
        self._stack = stack
        self._thread = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        self._database_url = database_url
        self.api_urls: list[str] = []

    def start_api(self, secret: str) -> str:
        """Start a process of the API that signs with a secret; return its address."""
        return self._stack.enter_context(
            serve_api(self._database_url, CENTRIFUGO_TOKEN_SECRET=secret)
        )

    async def restart_realtime(self, secret: str, before: str = "") -> None:
        """Restart the realtime server with other secrets."""
        # Always in the same thread: a server ends with the thread that started it.
        self.server = await asyncio.get_running_loop().run_in_executor(
            self._thread, with_secrets, self.server, secret, before
        )


@pytest.fixture
def place(kind: str, database_url: str, partitions: int) -> Iterator[Place]:
    """Run a realtime server with the old secret."""
    with ExitStack() as stack:
        place = Place(start_server(kind, database_url, partitions), stack, database_url)
        yield place
        assert place.server.stop() == 0


class ConnectedUser(ApiClient):
    """A user whose JWT is as short as a token, and who asks the processes of the API in turn."""

    def __init__(self, place: Place, http: httpx.AsyncClient) -> None:
        super().__init__(place.server.url, new_user())
        self.asked = 0
        """How many tokens were answered."""
        self._place, self._http = place, http

    async def ask(self, path: str) -> str:
        """Return a token of one of the processes: in a rolling deploy both answer."""
        url = self._place.api_urls[self.asked % len(self._place.api_urls)]
        end = int(time.time()) + LIFETIME - LEEWAY_SECONDS
        headers = {"Authorization": f"Bearer {make_token(self.user, exp=end)}"}
        answer = await self._http.get(f"{url}/api/token/{path}", headers=headers)
        answer.raise_for_status()
        self.asked += 1
        return str(answer.json()["token"])


@asynccontextmanager
async def connect_users(place: Place, number: int) -> AsyncIterator[list[ConnectedUser]]:
    """Connect so many users; at the end none of them was cut off for good."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=10))
        users = [ConnectedUser(place, http) for _ in range(number)]
        for user in users:
            stack.push_async_callback(user.client.disconnect)
            await user.start()
        yield users
        for user in users:
            assert user.listener.connection.disconnected.empty()
            assert user.listener.channel.unsubscribed.empty()


async def expect_again(users: list[ConnectedUser]) -> None:
    """Wait until each of the users has subscribed once more."""
    for user in users:
        await user.listener.channel.subscribed.get()


async def wait_for_tokens(users: list[ConnectedUser], more: int) -> None:
    """Wait until each of the users was answered so many more tokens."""
    wanted = {user.user: user.asked + more for user in users}
    while any(user.asked < wanted[user.user] for user in users):  # noqa: ASYNC110 - nothing signals
        await asyncio.sleep(0.05)


async def publish_to_all(
    users: list[ConnectedUser], outbox: Outbox, numbers: Iterator[int]
) -> None:
    """Publish an event to each of the users, and wait until each has received it as the next.

    Centrifugo publishes one again if it was stopped before it had deleted the row.
    """
    step = next(numbers)
    for user in users:
        await outbox.publish(f"personal:{user.user}", {"step": step})
    for user in users:
        received = await user.listener.channel.publications.get()
        while received == {"step": step - 1}:
            received = await user.listener.channel.publications.get()
        assert received == {"step": step}


async def connects(place: Place, token: str) -> bool:
    """Return whether a connection token is accepted; a refusal is final for the client."""
    async with RawClient.open(place.server) as client:
        try:
            return "connect" in await client.call("connect", token=token)
        except ConnectionClosed:
            assert await client.wait_closed() == (3500, "invalid token")
            return False


@pytest.mark.slow
def test_a_secret_is_changed_without_losing_anybody(place: Place, database_url: str) -> None:
    """Connected clients go through the whole procedure: each event arrives, nobody is cut off.

    In between tokens of both secrets are accepted; afterwards the old secret opens nothing.
    """

    async def scenario() -> None:
        place.api_urls = [place.start_api(SECRET)]
        async with connect_users(place, 5) as users, Outbox.open(database_url) as outbox:
            publish = partial(publish_to_all, users, outbox, count(1))
            await publish()
            # 1. Centrifugo accepts both; the API still signs with the old one.
            await place.restart_realtime(NEW, SECRET)
            await expect_again(users)
            await publish()
            # 2. The API signs with the new one, process after process.
            place.api_urls.append(place.start_api(NEW))
            await wait_for_tokens(users, 4)
            await publish()
            del place.api_urls[0]
            # 3. All tokens of the old secret have expired.
            await asyncio.sleep(LIFETIME + 1)
            await publish()
            # 4. Centrifugo accepts only the new one.
            await place.restart_realtime(NEW)
            await expect_again(users)
            await publish()
            assert not await connects(place, sign(SECRET, sub="late"))

    run(scenario(), within=90)


@pytest.mark.slow
def test_without_the_procedure_clients_are_cut_off(place: Place) -> None:
    """A secret that is replaced at once ends the clients that connect again with the old one."""

    async def scenario() -> None:
        place.api_urls = [place.start_api(SECRET)]
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            user = ConnectedUser(place, http)
            await user.start()
            await place.restart_realtime(NEW)
            ended = await user.listener.connection.disconnected.get()
            assert ended.code == 3500

    run(scenario())


@pytest.mark.parametrize("signed_with", ["", NEW, SECRET])
def test_only_the_two_secrets_are_accepted(place: Place, signed_with: str) -> None:
    """An unset secret from before is none: nobody signs with the empty text."""

    async def scenario() -> None:
        token = sign_with_any(signed_with)
        assert await connects(place, token) is (signed_with == SECRET)
        await place.restart_realtime(NEW, SECRET)
        assert await connects(place, token) is bool(signed_with)

    run(scenario())
