"""What becomes of connected clients when the tokens of their user are revoked."""

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest
from centrifuge import UnauthorizedError

from tests.conformance.api_clients import ApiClient
from tests.conformance.clients import Outbox, RawClient, new_user, run
from tests.conformance.servers import SECRET, RunningServer
from tests.support.actors import make_token
from tests.support.processes import serve_api


@pytest.fixture(scope="module")
def urls(database_url: str) -> Iterator[list[str]]:
    """Run two processes of the API; give their addresses."""
    with (
        serve_api(database_url, CENTRIFUGO_TOKEN_SECRET=SECRET) as first,
        serve_api(database_url, CENTRIFUGO_TOKEN_SECRET=SECRET) as second,
    ):
        yield [first, second]


class LoggedInDevice(ApiClient):
    """The client of a user with a JWT of a given time."""

    def __init__(self, server: RunningServer, url: str, user: str, issued_at: float) -> None:
        super().__init__(server.url, user)
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {make_token(user, iat=issued_at)}"},
            trust_env=False,
            timeout=10,
        )

    async def stop(self) -> None:
        """Disconnect."""
        await self.client.disconnect()
        await self._http.aclose()

    async def ask(self, path: str) -> str:
        """Return a token; the client ends for good where the JWT is refused."""
        answer = await self._http.get(f"/api/token/{path}")
        if answer.status_code == 401:
            raise UnauthorizedError(answer.json()["code"])
        answer.raise_for_status()
        return str(answer.json()["token"])


async def revoke(url: str, user: str) -> None:
    """Revoke the user's tokens as the host does."""
    token = make_token("host", role="service")
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.put(
            f"{url}/api/users/{user}/not-before/", headers={"Authorization": f"Bearer {token}"}
        )
        answer.raise_for_status()


@pytest.mark.slow
def test_the_devices_of_before_end_and_those_of_a_new_login_stay(
    server: RunningServer, urls: list[str], database_url: str
) -> None:
    """A revoked device is cut off for good within a second; one with a newer token receives events.

    It makes no difference that the devices' own API process did not take the host's request.
    """

    async def scenario() -> None:
        user, other = new_user(), new_user()
        now = time.time()
        old = LoggedInDevice(server, urls[1], user, now - 60)
        new = LoggedInDevice(server, urls[1], user, now + 30)
        bystander = LoggedInDevice(server, urls[1], other, now - 60)
        devices = [old, new, bystander]
        for device in devices:
            await device.start()

        began = time.monotonic()
        await revoke(urls[0], user)
        await old.listener.connection.disconnected.get()
        assert time.monotonic() - began < 1
        await new.listener.channel.subscribed.get()

        async with Outbox.open(database_url) as outbox:
            for name in (user, other):
                await outbox.publish(f"personal:{name}", {"to": name})
        for device in (new, bystander):
            received = await device.listener.channel.publications.get()
            assert received == {"to": device.user}
        assert old.listener.channel.publications.empty()
        assert new.listener.connection.disconnected.empty()
        assert bystander.listener.channel.subscribed.empty()
        await asyncio.gather(*(device.stop() for device in devices))

    run(scenario())


def test_the_code_lets_clients_connect_again(server: RunningServer, database_url: str) -> None:
    """Every connection of the user, and no other, is closed with 3014."""

    async def scenario() -> None:
        user = new_user()
        async with (
            RawClient.subscribed(server, user) as first,
            RawClient.connected(server, user) as second,
            RawClient.subscribed(server) as stranger,
            Outbox.open(database_url) as outbox,
        ):
            await outbox.connection.execute("SELECT chat.revoke_tokens(%s)", [user])
            assert await first.wait_closed() == (3014, "state invalidated")
            assert await second.wait_closed() == (3014, "state invalidated")
            await outbox.publish(stranger.channel, {"n": 1})
            assert await stranger.receive_data() == {"n": 1}
            # What remains: whoever kept the token may use it until it expires.
            async with RawClient.subscribed(server, user):
                pass

    run(scenario())


@pytest.mark.parametrize("user", ["Ольга & co/#1", "a\u2028b", '"quoted"\\', "auth0|x"])
def test_any_user_is_found(server: RunningServer, database_url: str, user: str) -> None:
    """The command names the user as the tokens do, whatever characters the id has."""

    async def scenario() -> None:
        async with (
            RawClient.connected(server, user) as client,
            Outbox.open(database_url) as outbox,
        ):
            await outbox.connection.execute("SELECT chat.revoke_tokens(%s)", [user])
            assert await client.wait_closed() == (3014, "state invalidated")

    run(scenario())
