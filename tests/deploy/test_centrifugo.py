"""A real Centrifugo with the shipped configuration and exactly what Compose gives it."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from embedded.centrifugo import centrifugo_command, find_centrifugo
from tests.deploy.compose import load_compose, service_environment
from tests.deploy.front import run_nginx
from tests.deploy.image import serve_command
from tests.deploy.mount import run_mount
from tests.support.actors import Cast
from tests.support.processes import find_free_port

ORIGIN = "http://localhost:9000"


def wait_until_healthy(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for what Compose's health check asks."""
    deadline = time.monotonic() + 15
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)  # nothing signals that a foreign process has begun to listen
    raise AssertionError(f"Centrifugo did not start: {process.poll()}")


def compose_command(binary: Path, action: str = "") -> list[str]:
    """Return the command that Compose runs, at this machine's paths."""
    shell, option, script = load_compose()["services"]["centrifugo"]["command"]
    _, _, configuration = centrifugo_command(binary)
    called = "exec centrifugo --config /centrifugo/config.json"
    assert called in script
    return [
        shell,
        option,
        script.replace(called, f"exec {binary} {action} --config {configuration}"),
    ]


@pytest.fixture(scope="module")
def centrifugo(database_url: str) -> Iterator[str]:
    """Return where clients connect; only the ports are the test's."""
    binary = find_centrifugo()
    assert binary is not None
    port, internal = find_free_port(), find_free_port()
    process = subprocess.Popen(
        compose_command(binary),
        env={
            "PATH": os.environ["PATH"],
            "CENTRIFUGO_HTTP_SERVER_PORT": str(port),
            "CENTRIFUGO_HTTP_SERVER_INTERNAL_PORT": str(internal),
            **service_environment("centrifugo", database_url),
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_healthy(internal, process)
        yield f"ws://127.0.0.1:{port}/connection/websocket"
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def people(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """Return a cast that calls, through nginx, the backend that Compose describes."""
    with ExitStack() as stack:
        backend = stack.enter_context(serve_command(service_environment("backend", database_url)))
        folder: Path = tmp_path_factory.mktemp("front")
        front = stack.enter_context(run_nginx(folder, backend=backend))
        yield stack.enter_context(Cast(front.url))


async def call(client: ClientConnection, number: int, **command: object) -> dict[str, Any]:
    """Send one command and return its reply."""
    await client.send(json.dumps({"id": number, **command}))
    reply: dict[str, Any] = json.loads(await client.recv())
    assert reply["id"] == number, reply
    return reply


def test_a_message_arrives_as_deployed(centrifugo: str, people: Cast) -> None:
    """A message sent through nginx arrives at a browser that uses only what the API gave it."""
    host, alice, bob = people.service(), people.user("alice"), people.user("bob")
    room = host.create_room(alice, bob)
    connection = bob.get("/api/token/connection/").json()
    channel = f"personal:{bob.user_id}"
    subscription = bob.get("/api/token/subscription/", channel=channel).json()

    async def receive() -> dict[str, Any]:
        async with (
            asyncio.timeout(20),
            connect(centrifugo, origin=ORIGIN, proxy=None, max_size=None) as client,  # type: ignore[arg-type]
        ):
            await call(client, 1, connect={"token": connection["token"]})
            subscribed = await call(
                client,
                2,
                subscribe={"channel": subscription["channel"], "token": subscription["token"]},
            )
            assert subscribed["subscribe"]["recoverable"] is True
            sent = await asyncio.to_thread(alice.send, room, "hello")
            assert sent.status_code == 201
            while True:
                for line in str(await client.recv()).splitlines():
                    event = json.loads(line).get("push", {}).get("pub", {}).get("data", {})
                    if event.get("type") == "message_added":
                        return dict(event["body"])

    body = asyncio.run(receive())

    assert body["content"] == "hello"
    assert body["room"]["id"] == room


def test_other_origins_are_refused(centrifugo: str) -> None:
    """A page of another site gets no connection."""

    async def try_connecting() -> None:
        async with connect(centrifugo, origin="https://evil.example", proxy=None):  # type: ignore[arg-type]
            pass

    with pytest.raises(InvalidStatus) as refusal:
        asyncio.run(try_connecting())

    assert refusal.value.response.status_code == 403


def test_the_configuration_is_strictly_valid(centrifugo: str, database_url: str) -> None:
    """Centrifugo knows every key of the configuration and every variable of the environment."""
    assert centrifugo
    binary = find_centrifugo()
    assert binary is not None

    done = subprocess.run(
        compose_command(binary, "checkconfig --strict"),
        env={"PATH": os.environ["PATH"], **service_environment("centrifugo", database_url)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("separated", [",", " ", ", ", "\n"])
def test_allowed_origins_may_be_separated_in_each_way(database_url: str, separated: str) -> None:
    """Centrifugo gets what it reads: lower case, with spaces; a comma would refuse every page."""
    words = ["https://App.example.com", "https://*.example.org"]
    environment = service_environment(
        "centrifugo", database_url, ALLOWED_ORIGINS=separated.join(words)
    )
    shell, option, script = compose_command(Path("/bin/true"))
    # In place of Centrifugo: what it would be given.
    script = script[: script.index("exec ")] + "printenv CENTRIFUGO_CLIENT_ALLOWED_ORIGINS"

    given = subprocess.run(
        [shell, option, script],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert [word for word in given.rstrip("\n").split(" ") if word] == [
        "https://app.example.com",
        "https://*.example.org",
    ]


def test_realtime_is_reached_below_a_path(centrifugo: str, tmp_path: Path) -> None:
    """By the page's nginx a WebSocket gets through, and a stream arrives while it is written."""
    port = int(centrifugo.split(":")[2].partition("/")[0])
    command = {"id": 1, "connect": {"token": "x"}}
    refused = {"code": 3500, "reason": "invalid token"}

    async def ask(url: str) -> tuple[int, str]:
        websocket = f"{url.replace('http', 'ws')}/connection/websocket"
        async with connect(websocket, origin=ORIGIN, proxy=None) as client:  # type: ignore[arg-type]
            await client.send(json.dumps(command))
            await client.wait_closed()
            return client.close_code or 0, client.close_reason or ""

    with run_mount(tmp_path, realtime=port) as url:
        closed = asyncio.run(ask(url))
        stream = httpx.post(
            f"{url}/connection/http_stream", json=command, headers={"Origin": ORIGIN}, timeout=10
        )
        emulation = httpx.post(f"{url}/emulation", json={}, headers={"Origin": ORIGIN})

    assert closed == (3500, "invalid token")
    assert json.loads(stream.text.splitlines()[-1])["push"]["disconnect"] == refused
    assert stream.headers["access-control-allow-origin"] == ORIGIN
    # Centrifugo's own answer for a session that it does not have.
    assert emulation.status_code in {400, 404}
    assert emulation.headers["access-control-allow-origin"] == ORIGIN
