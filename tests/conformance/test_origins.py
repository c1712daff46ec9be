"""ALLOWED_ORIGINS has one meaning: the gateway and Centrifugo accept the same pages."""

from collections.abc import Iterator

import pytest
import websockets
from websockets.asyncio.client import connect

from embedded.gateway.origins import parse_origins
from tests.conformance.clients import run
from tests.conformance.servers import RunningServer, start_server

SETTING = (
    "https://app.example.com,https://*.example.org  HTTPS://Upper.example.com,"
    "\thttp://*:3000\n,capacitor://localhost, *.any.example, https://port.example.com:*"
)
CASES = [
    ("https://app.example.com", True),
    ("https://APP.example.com", True),
    ("http://app.example.com", False),
    ("https://app.example.com:8443", False),
    ("https://app.example.com.evil.example", False),
    ("https://a.example.org", True),
    ("https://a.b.example.org", True),
    ("https://example.org", False),
    ("https://aexample.org", False),
    ("https://upper.example.com", True),
    ("http://127.0.0.1:3000", True),
    ("http://127.0.0.1:30001", False),
    ("capacitor://localhost", True),
    ("https://x.any.example", True),
    ("https://any.example", False),
    ("https://port.example.com:1", True),
    ("https://port.example.com", False),
    # With words set, pages of this machine need one too.
    ("http://localhost:9000", False),
    ("null", False),
    (None, True),
]
# Without a word.
LOOPBACK = [
    *(("http://localhost", True), ("https://localhost:5173", True), ("http://127.0.0.1:1", True)),
    *(("https://127.0.0.1", True), ("http://localhost.evil.example", False)),
    *(("https://app.example.com", False), ("http://192.0.2.1:9000", False)),
]


async def is_accepted(server: RunningServer, origin: str | None) -> bool:
    """Connect as a page of this origin does."""
    headers = {} if origin is None else {"Origin": origin}
    try:
        async with connect(server.url, additional_headers=headers, proxy=None):
            return True
    except websockets.InvalidStatus as error:
        if error.response.status_code == 403:
            return False
        raise


@pytest.fixture(scope="module")
def guarded(kind: str, database_url: str, partitions: int) -> Iterator[RunningServer]:
    """A server with several origins, separated in each way."""
    running = start_server(kind, database_url, partitions, origins=SETTING)
    yield running
    assert running.stop() == 0


def test_both_accept_the_same_pages(guarded: RunningServer) -> None:
    """`*` stands for any characters, upper and lower case are the same, and a word is whole."""

    async def scenario() -> None:
        found = [(origin, await is_accepted(guarded, origin)) for origin, _ in CASES]
        assert found == CASES

    run(scenario())


def test_without_origins_pages_of_this_machine_are_accepted(server: RunningServer) -> None:
    """Any port and either scheme, for development."""

    async def scenario() -> None:
        found = [(origin, await is_accepted(server, origin)) for origin, _ in LOOPBACK]
        assert found == LOOPBACK

    run(scenario())


@pytest.mark.parametrize(
    "word",
    [
        *("https://app.example.com/", "https://app.example.com/path", "app.example.com", "null"),
        *("https://[::1]:9000", "https://a?.example.com", "https://{a,b}.example.com", "https://"),
        *("https://user@app.example.com", "https://app.example.com:port", "//app.example.com"),
        *("https://app\\.example.com", "https://юзер.example.com"),
    ],
)
def test_a_word_that_is_no_origin_is_refused(word: str) -> None:
    """It could never match, or would mean something else to Centrifugo: the start names it."""
    with pytest.raises(ValueError, match="ALLOWED_ORIGINS contains '"):
        parse_origins(f"https://good.example.com {word}")
