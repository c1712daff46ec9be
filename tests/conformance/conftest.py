"""The servers under test: each module's tests run against the gateway and against Centrifugo."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.conformance.servers import (
    SHORT_DELAYS,
    RunningServer,
    find_kinds,
    start_server,
)
from tests.support.covered import has_javascript_sdk

collect_ignore = [] if has_javascript_sdk() else ["test_javascript.py"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that has a server once per server that can be found."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", find_kinds(), scope="module")


@pytest.fixture(scope="session")
def database_url(clone_database: Callable[[], str]) -> str:
    """Return a database for this suite alone, because its servers drain the outbox."""
    return clone_database()


@pytest.fixture(scope="session")
def partitions(database_url: str) -> int:
    """The number of the outbox's partitions."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT outbox_partitions FROM chat_installation").fetchone()
    assert row is not None
    return int(row[0])


# Not for the whole session: a server that still runs would drain the outbox of other tests.
@pytest.fixture(scope="module")
def server(kind: str, database_url: str, partitions: int) -> Iterator[RunningServer]:
    """A server with the shipped configuration."""
    running = start_server(kind, database_url, partitions)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def impatient_server(kind: str, database_url: str, partitions: int) -> Iterator[RunningServer]:
    """A server whose delays are short enough to wait for."""
    running = start_server(kind, database_url, partitions, SHORT_DELAYS)
    yield running
    assert running.stop() == 0
