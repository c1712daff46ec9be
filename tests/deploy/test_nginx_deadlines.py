"""What nginx does when a client or a process behind it is slow, or away."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.deploy.front import CONFIGURATION, Front, run_nginx
from tests.deploy.image import read_instruction
from tests.support.processes import find_free_port

LINE = b"POST /api/rooms/ HTTP/1.1\r\nHost: localhost\r\n"
HEADER = LINE + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"


class _Echo(BaseHTTPRequestHandler):
    """Answers with the header that it received."""

    def do_GET(self) -> None:
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve_echo() -> Iterator[int]:
    """Run a server that shows how a request arrives behind nginx."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def stall() -> Iterator[int]:
    """Give the port of a process that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


def measure_close(front: Front, said: bytes) -> float:
    """Send an incomplete request; return after how long nginx closes the connection."""
    with front.connect() as client:
        client.sendall(said)
        start = time.monotonic()
        assert client.recv(1024) == b""
        return time.monotonic() - start


def assert_unavailable(answer: httpx.Response) -> None:
    """It is the 503 with the time to try again."""
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == "unavailable"


@pytest.mark.parametrize(
    "directive",
    [
        "client_header_timeout 5s",
        "client_body_timeout 10s",
        "send_timeout 10s",
        "proxy_connect_timeout 3s",
        "proxy_read_timeout 15s",
        "client_max_body_size 64k",
    ],
)
def test_the_shipped_deadlines(directive: str) -> None:
    """The shipped configuration has these values; the tests below shorten them."""
    assert f" {directive};" in CONFIGURATION


def test_nginx_gives_up_idle_connections_first() -> None:
    """If uvicorn closed a connection while nginx uses it, a request would be lost."""
    command = json.loads(read_instruction("service", "CMD"))
    kept = int(command[command.index("--timeout-keep-alive") + 1])
    reused = re.findall(r"keepalive \d+;\s+keepalive_timeout (\d+)s;", CONFIGURATION)

    assert len(reused) == 2
    assert max(map(int, reused)) * 2 < kept


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ("client_header_timeout", LINE),
        ("client_header_timeout", b""),
        ("client_body_timeout", HEADER + b'{"name":'),
    ],
)
def test_a_slow_client_is_cut_at_its_deadline(directive: str, said: bytes, tmp_path: Path) -> None:
    """A header or a body that stops arriving ends the connection; it never reaches the API."""
    with stall() as backend, run_nginx(tmp_path, backend=backend, changes={directive: "1s"}) as it:
        took = measure_close(it, said)

    assert 0.8 < took < 4


def test_a_header_that_drips_is_cut_all_the_same(tmp_path: Path) -> None:
    """The header's deadline is for all of it: single bytes do not prolong it."""
    changes = {"client_header_timeout": "1s"}
    with (
        stall() as backend,
        run_nginx(tmp_path, backend=backend, changes=changes) as front,
        front.connect() as client,
    ):
        client.sendall(LINE + b"X: ")
        client.settimeout(0.2)
        start = time.monotonic()
        while time.monotonic() - start < 10:
            try:
                client.sendall(b"x")
                if client.recv(1024) == b"":
                    break
            except TimeoutError:
                continue  # the pause between two drops
            except OSError:
                break

        assert 0.8 < time.monotonic() - start < 4


def test_a_process_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """While nothing listens behind nginx, clients get 503 with Retry-After."""
    with run_nginx(tmp_path, backend=find_free_port()) as front:
        assert_unavailable(httpx.get(f"{front.url}/api/rooms/", timeout=10))


def test_a_process_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    """After the read timeout the client gets 503 with Retry-After."""
    changes = {"proxy_read_timeout": "1s"}
    with stall() as backend, run_nginx(tmp_path, backend=backend, changes=changes) as front:
        assert_unavailable(httpx.get(f"{front.url}/api/rooms/", timeout=10))


def test_requests_do_not_pile_up(tmp_path: Path) -> None:
    """Beyond the allowed connections to a process, the answer is 503 at once."""
    changes = {"max_conns": "1"}
    with (
        stall() as backend,
        run_nginx(tmp_path, backend=backend, changes=changes) as front,
        ThreadPoolExecutor(2) as pool,
    ):
        asked = [pool.submit(httpx.get, f"{front.url}/api/", timeout=3) for _ in range(2)]
        answers = [future.exception() or future.result() for future in asked]

    refused = [answer for answer in answers if isinstance(answer, httpx.Response)]
    assert len(refused) == 1, answers
    assert_unavailable(refused[0])
    assert refused[0].elapsed.total_seconds() < 2


def test_the_process_behind_learns_the_real_client(tmp_path: Path) -> None:
    """The address is the one that the proxy in front of nginx saw, not one that a client adds."""
    said = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7", "X-Forwarded-Proto": "https"}
    with serve_echo() as backend, run_nginx(tmp_path, backend=backend) as front:
        arrived = httpx.get(f"{front.url}/api/", headers=said).json()

    assert arrived["X-Forwarded-For"] == "203.0.113.7"
    assert arrived["X-Forwarded-Proto"] == "https"
    assert arrived["Host"] == arrived["X-Forwarded-Host"] == f"127.0.0.1:{front.port}"
