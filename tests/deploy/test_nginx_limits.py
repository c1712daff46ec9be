"""How many requests the shipped nginx takes from one network, and with one token."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from tests.deploy.front import CONFIGURATION, Front, run_nginx
from tests.deploy.test_nginx_deadlines import serve_echo, stall

# So few that a test reaches them, and so slow that none comes back while it runs.
NARROW = {"zone=networks:16m rate": "1r/m", "zone=networks burst": "4"}
NARROW_TOKENS = {"zone=tokens:16m rate": "1r/m", "zone=tokens burst": "4"}
TAKEN = 5
"""One request, and a burst of four."""
HERE, THERE = "203.0.113.7", "198.51.100.9"
SIGNATURE = "x" * 39


def ask(front: Front, times: int, address: str = HERE, token: str = "") -> list[httpx.Response]:
    """Send requests as a client at this address, as the proxy that ends TLS passes them on."""
    headers = {"X-Forwarded-For": address} if address else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with httpx.Client(base_url=front.url, headers=headers, trust_env=False) as client:
        return [client.get("/api/rooms/") for _ in range(times)]


def ask_as_written(front: Front, authorization: str) -> int:
    """Send one request with this header, byte by byte; return the status."""
    connection = HTTPConnection(front.url.removeprefix("http://"))
    headers = {"X-Forwarded-For": HERE, "Authorization": authorization}
    connection.request("GET", "/api/rooms/", headers=headers)
    with closing(connection):
        return connection.getresponse().status


def count(answers: list[httpx.Response]) -> Counter[int]:
    """Count the answers by status."""
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize(
    "directive",
    [
        "zone=networks:16m rate=200r/s",
        "zone=tokens:16m rate=20r/s",
        "zone=networks burst=2000 nodelay",
        "zone=tokens burst=500 nodelay",
        "limit_conn running 256",
    ],
)
def test_the_shipped_limits(directive: str) -> None:
    """The shipped configuration has these values; the tests below make them smaller."""
    assert f"{directive};" in CONFIGURATION


def test_a_network_is_limited_and_others_are_not(tmp_path: Path) -> None:
    """Beyond the burst a network gets 429, and the next network is served at the same moment."""
    with serve_echo() as backend, run_nginx(tmp_path, backend=backend, changes=NARROW) as front:
        assert count(ask(front, 8)) == {200: TAKEN, 429: 3}
        assert count(ask(front, 5, THERE)) == {200: TAKEN}


def test_a_refusal_is_a_problem_document(tmp_path: Path) -> None:
    """A client finds the code and the time to try again where it finds those of the API."""
    with serve_echo() as backend, run_nginx(tmp_path, backend=backend, changes=NARROW) as front:
        refused = ask(front, TAKEN + 1)[-1]

    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    assert (refused.json()["status"], refused.json()["code"]) == (429, "too_many_requests")
    # A page of another origin can read it too, and no cache keeps it.
    assert refused.headers["access-control-allow-origin"] == "*"
    assert refused.headers["access-control-expose-headers"] == "Retry-After"
    assert refused.headers["cache-control"] == "no-store"


def test_a_client_with_many_addresses_of_ipv6_is_one(tmp_path: Path) -> None:
    """All addresses of a /64 have one limit, because a client chooses among them."""
    with serve_echo() as backend, run_nginx(tmp_path, backend=backend, changes=NARROW) as front:
        answers = [ask(front, 1, f"2001:db8:1:2::{n:x}")[0] for n in range(1, 9)]
        assert count(answers) == {200: TAKEN, 429: 3}
        assert count(ask(front, 1, "2001:db8:1:3::1")) == {200: 1}


def test_one_user_does_not_take_the_share_of_an_office(tmp_path: Path) -> None:
    """A token has a limit of its own, at whatever address; another user there is served."""
    mine, yours = SIGNATURE + "12345", SIGNATURE + "12346"
    with (
        serve_echo() as backend,
        run_nginx(tmp_path, backend=backend, changes=NARROW_TOKENS) as front,
    ):
        assert count(ask(front, 4, HERE, mine)) == {200: 4}
        assert count(ask(front, 4, THERE, mine)) == {200: 1, 429: 3}
        assert count(ask(front, 5, HERE, yours)) == {200: TAKEN}


@pytest.mark.parametrize("token", ["opaque-7f3a", SIGNATURE + "12345"])
def test_a_token_of_any_form_is_limited(tmp_path: Path, token: str) -> None:
    """Also one that only the host can read, and whatever may stand after it in the header."""
    endings = ["", "\t", "=", "\t \t", "==", "", "\t\t", " "]
    with (
        serve_echo() as backend,
        run_nginx(tmp_path, backend=backend, changes=NARROW_TOKENS) as front,
    ):
        statuses = [ask_as_written(front, f"Bearer {token}{ending}") for ending in endings]

    assert Counter(statuses) == {200: TAKEN, 429: 3}


def test_the_hosts_own_network_is_not_limited(tmp_path: Path) -> None:
    """The host's servers call from a private network, and may import as fast as it can."""
    narrow = NARROW | NARROW_TOKENS
    with serve_echo() as backend, run_nginx(tmp_path, backend=backend, changes=narrow) as front:
        assert count(ask(front, 30, address="", token=SIGNATURE + "12345")) == {200: 30}
        assert count(ask(front, 30, address="10.20.30.40")) == {200: 30}


def test_one_network_does_not_take_every_place(tmp_path: Path) -> None:
    """While the API does not answer one network, requests of others still reach the API."""

    def ask_for_long(address: str) -> int:
        with httpx.Client(base_url=front.url, trust_env=False, timeout=10) as client:
            return client.get("/api/", headers={"X-Forwarded-For": address}).status_code

    changes = {"limit_conn running": "1", "proxy_read_timeout": "2s"}
    with (
        stall() as backend,
        run_nginx(tmp_path, backend=backend, changes=changes) as front,
        ThreadPoolExecutor(3) as pool,
    ):
        answers = Counter(pool.map(ask_for_long, [HERE, HERE, THERE]))

    # 503: it reached a process, which never answers here.
    assert answers == {429: 1, 503: 2}


def test_the_log_says_who_was_refused(tmp_path: Path) -> None:
    """An operator finds the address of a refused request."""
    with serve_echo() as backend, run_nginx(tmp_path, backend=backend, changes=NARROW) as front:
        ask(front, TAKEN + 1)

    # nginx has ended: it writes a line after the answer.
    assert len(re.findall(rf"^{HERE} .* 429 ", front.access_log, re.MULTILINE)) == 1
