"""Each process serves its own metrics, on the first free port from METRICS_PORT on."""

import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from chat.metrics import PORTS
from tests.support.processes import serve_api, start_api

SERVED = re.compile(r"metrics_served\b.*\bport=(\d+)")


@pytest.fixture
def base() -> int:
    """Return a port whose successors the system gives to no connection of its own accord."""
    return 15_000 + secrets.randbelow(15_000)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the file in which a process of the test logs."""
    return tmp_path / "log"


@pytest.fixture
def all_taken(base: int) -> Iterator[int]:
    """Return a port from which on something else listens on all that a process would try."""
    with ExitStack() as stack:
        for port in range(base, base + PORTS):
            # A port that another program has is taken too.
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield base


def read_ports(log: Path, count: int) -> list[int]:
    """Wait until so many processes have said where their metrics are; the test's timeout bounds."""
    while len(found := SERVED.findall(log.read_text())) < count:
        pass
    return [int(port) for port in found]


def read_metrics(port: int) -> str:
    """Return what Prometheus reads at a port."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    assert answer.status_code == 200
    return answer.text


def count_requests(metrics: str) -> float:
    """Return how often a process said that it was alive."""
    route = r'besedka_requests_total\{method="GET",route="/health/live",status="200"\} (\S+)'
    return sum(float(count) for count in re.findall(route, metrics))


@pytest.mark.slow
def test_each_worker_serves_its_own_metrics(
    clone_database: Callable[[], str], base: int, log: Path
) -> None:
    """Of two workers both start, on two ports; their counters together are all requests."""
    environment = {"METRICS_PORT": str(base), "WEB_CONCURRENCY": "2", "LOG_LEVEL": "INFO"}
    with (
        log.open("wb") as output,
        start_api(clone_database(), output=output, **environment) as (url, _),
    ):
        ports = read_ports(log, 2)
        for _ in range(20):
            httpx.get(f"{url}/health/live", trust_env=False).raise_for_status()
        counts = [count_requests(read_metrics(port)) for port in ports]

    assert len(set(ports)) == 2
    assert set(ports) <= set(range(base, base + PORTS))
    assert sum(counts) == 20


def test_a_port_that_something_else_has_is_left_alone(
    clone_database: Callable[[], str], base: int, log: Path
) -> None:
    """The next free port is taken, and the log says which."""
    environment = {"METRICS_PORT": str(base), "LOG_LEVEL": "INFO"}
    with (
        socket.create_server(("127.0.0.1", base)),
        log.open("wb") as output,
        serve_api(clone_database(), output=output, **environment),
    ):
        (port,) = read_ports(log, 1)
        metrics = read_metrics(port)

    assert base < port < base + PORTS
    assert "besedka_outbox_rows{" in metrics


@pytest.mark.parametrize(
    "changed, reason", [({}, "Address already in use"), ({"METRICS_HOST": "192.0.2.1"}, "assign")]
)
def test_the_service_starts_without_a_port_for_metrics(
    clone_database: Callable[[], str],
    all_taken: int,
    log: Path,
    changed: dict[str, str],
    reason: str,
) -> None:
    """Nobody misses a message because of metrics; a warning names the ports and the reason."""
    environment = {"METRICS_PORT": str(all_taken), "LOG_LEVEL": "INFO"} | changed
    with log.open("wb") as output, serve_api(clone_database(), output=output, **environment) as url:
        assert httpx.get(f"{url}/health/live", trust_env=False).status_code == 200

    (line,) = [line for line in log.read_text().splitlines() if "metrics_not_served" in line]
    assert f"ports={all_taken}-{all_taken + PORTS - 1}" in line
    assert reason in line
    assert "[warning" in line


def test_the_admin_serves_metrics_too(
    clone_database: Callable[[], str], base: int, log: Path
) -> None:
    """A process with SERVE=admin counts its requests at the same kind of port."""
    environment = {"METRICS_PORT": str(base), "LOG_LEVEL": "INFO", "SERVE": "admin"}
    with (
        log.open("wb") as output,
        start_api(clone_database(), output=output, **environment) as (url, _),
    ):
        (port,) = read_ports(log, 1)
        httpx.get(f"{url}/admin/login/", trust_env=False).raise_for_status()
        metrics = read_metrics(port)

    assert 'besedka_requests_total{method="GET",route="admin"' in metrics
