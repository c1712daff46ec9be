"""One PostgreSQL a run, one database a worker, one real server a worker; nothing is mocked.

The process that leads the run starts PostgreSQL and migrates a template; each worker clones the
template, which takes a fraction of a second. Tests keep apart by using rooms and users of their
own, so nothing is ever cleaned up between them.
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from embedded.postgres import PostgresServer
from tests.support.actors import Actor, Cast
from tests.support.processes import run_manage, serve_api

Connection = psycopg.Connection[dict[str, Any]]
TEMPLATE = "besedka"
_run = ExitStack()
_left_out: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    """Give this process its database before any test module is imported."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    os.environ["DEBUG"] = "1"
    worker = getattr(config, "workerinput", None)
    if worker is None:
        folder = Path(_run.enter_context(tempfile.TemporaryDirectory(prefix="besedka-test-")))
        server = _run.enter_context(PostgresServer.start(folder, durable=False))
        os.environ["DATABASE_URL"] = server.url(TEMPLATE)
        run_manage("migrate", "--no-input")
    else:
        os.environ["DATABASE_URL"] = worker["template_url"]
    import django  # noqa: PLC0415 - reads the environment that was just set

    django.setup()


def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the template is."""
    node.workerinput["template_url"] = os.environ["DATABASE_URL"]


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note which of the long tests this run leaves out, for its summary."""
    left_out = {item.nodeid for item in items if item.get_closest_marker("long")}
    for config in {item.config for item in items}:
        if (worker := getattr(config, "workeroutput", None)) is not None:
            worker["left_out"] = sorted(left_out)
    _left_out.update(left_out)


def pytest_testnodedown(node: Any) -> None:
    """Take from a worker what it left out."""
    _left_out.update(getattr(node, "workeroutput", {}).get("left_out", ()))


def pytest_unconfigure() -> None:
    """Stop PostgreSQL."""
    _run.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the run covered; here, because only this file is read by the process that leads."""
    from tests.support.covered import (  # noqa: PLC0415 - needs Django's settings
        describe_coverage,
        describe_left_out,
    )

    for line in [*describe_coverage(), *describe_left_out(_left_out)]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def clone_database() -> Callable[[], str]:
    """Make one more migrated, empty database and return its URL."""

    def clone() -> str:
        template_url = os.environ["DATABASE_URL"]
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(
            template_url.replace(f"/{TEMPLATE}?", "/postgres?"), autocommit=True
        ) as connection:
            # Two clones of one template at once would refuse each other.
            connection.execute("SELECT pg_advisory_lock(1)")
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"'.encode())
        url = template_url.replace(f"/{TEMPLATE}?", f"/{name}?")
        with psycopg.connect(url, autocommit=True) as connection:
            # A clone is an installation of its own, so its events have keys of their own.
            connection.execute(
                "UPDATE chat_installation SET epoch = %s, identity = chat.database_identity()",
                [secrets.token_hex(8)],
            )
        return url

    return clone


@pytest.fixture(scope="session")
def database_url(clone_database: Callable[[], str]) -> str:
    """Return the URL of this worker's database."""
    return clone_database()


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], Connection]]:
    """Open sessions of this worker's database; rows are dicts, each statement a transaction."""
    with ExitStack() as stack:

        def open_connection() -> Connection:
            return stack.enter_context(
                psycopg.connect(database_url, autocommit=True, row_factory=psycopg.rows.dict_row)
            )

        yield open_connection


@pytest.fixture
def connection(connect: Callable[[], Connection]) -> Connection:
    """Return one session of this worker's database."""
    return connect()


@pytest.fixture(scope="session")
def api_url(database_url: str) -> Iterator[str]:
    """Return the address of a real API process on this worker's database."""
    with serve_api(database_url) as url:
        yield url


@pytest.fixture
def cast(api_url: str) -> Iterator[Cast]:
    """Return the cast of a test: users nobody else has, and the host's service."""
    with Cast(api_url) as people:
        yield people


@pytest.fixture
def alice(cast: Cast) -> Actor:
    """Return Alice, who is usually a member."""
    return cast.user("alice")


@pytest.fixture
def bob(cast: Cast) -> Actor:
    """Return Bob, who is usually a member too."""
    return cast.user("bob")


@pytest.fixture
def charlie(cast: Cast) -> Actor:
    """Return Charlie, who is usually a stranger."""
    return cast.user("charlie")


@pytest.fixture
def host(cast: Cast) -> Actor:
    """Return the host's service."""
    return cast.service()


@pytest.fixture
def anonymous(cast: Cast) -> Actor:
    """Return someone without a token."""
    return cast.anonymous()
