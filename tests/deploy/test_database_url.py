"""One `DATABASE_URL` for everything that connects: the API, its metrics, Django and the doctor."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from chat.conf import compose_conninfo
from chat.sql.database import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS, open_database
from embedded.postgres import PostgresServer
from tests.support.processes import call_manage, find_free_port, run_manage, serve_api

SHOW_SETTING = (
    "from django.db import connection; cursor = connection.cursor(); "
    "cursor.execute('SHOW work_mem'); print(*cursor.fetchone())"
)


@pytest.fixture(scope="module")
def standby_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the socket folder of a PostgreSQL that takes no writes, as a standby."""
    folder: Path = tmp_path_factory.mktemp("standby")
    with PostgresServer.start(folder, durable=False) as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
        yield str(conninfo_to_dict(server.url())["host"])


@pytest.fixture
def several_hosts(database_url: str, standby_folder: str) -> str:
    """Return a URL of three hosts: one that is away, a standby, and the primary."""
    parts = conninfo_to_dict(database_url)
    hosts = ["127.0.0.1", standby_folder, str(parts["host"])]
    ports = [str(find_free_port()), "5432", str(parts["port"])]
    places = ",".join(
        f"{quote(host, safe='')}:{port}" for host, port in zip(hosts, ports, strict=True)
    )
    return (
        f"postgresql://{parts['user']}@{places}/{parts['dbname']}?target_session_attrs=read-write"
    )


def add_options(url: str, options: str) -> str:
    """Return the URL with libpq's `options`."""
    return f"{url}{'&' if '?' in url else '?'}options={quote(options)}"


@pytest.mark.slow
def test_every_part_finds_the_primary_among_several_hosts(several_hosts: str) -> None:
    """The API and its metrics, Django's commands and the doctor pass a dead host and a standby."""
    port = find_free_port()
    with serve_api(several_hosts, METRICS_PORT=str(port)) as url:
        ready = httpx.get(f"{url}/health/ready").json()
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    migrations = run_manage("showmigrations", "chat", DATABASE_URL=several_hosts)
    examined = json.loads(call_manage("doctor", "--json", DATABASE_URL=several_hosts).stdout)

    assert ready["database"] == "ok"
    assert 'besedka_outbox_rows{partition="0"}' in metrics
    assert "[X] 0001_initial" in migrations
    assert (examined["complete"], examined["problem"]) == (True, None)


def test_the_pool_keeps_the_options_of_the_url(database_url: str) -> None:
    """The API's limits take precedence over the same ones in the URL; other options apply."""
    expected = {
        "work_mem": "7MB",
        "statement_timeout": f"{STATEMENT_TIMEOUT_MS}ms",
        "lock_timeout": f"{LOCK_TIMEOUT_MS // 1000}s",
        "default_transaction_isolation": "read committed",
        "application_name": "besedka-api",
    }
    url = add_options(database_url, "-c work_mem=7MB -c statement_timeout=0 -c lock_timeout=0")

    async def show() -> dict[str, str]:
        async with open_database(url, 1) as database, database._pool.connection() as connection:
            shown = {}
            for name in expected:
                cursor = await connection.execute(f"SHOW {name}".encode())
                (shown[name],) = await cursor.fetchone() or ("",)
        return shown

    assert asyncio.run(show()) == expected


def test_django_keeps_the_options_of_the_url(database_url: str) -> None:
    """What the URL asks of each session holds for the admin and the commands too."""
    url = add_options(database_url, "-c work_mem=7MB")

    assert run_manage("shell", "-v", "0", "-c", SHOW_SETTING, DATABASE_URL=url) == "7MB\n"


@pytest.mark.parametrize(
    "value", ["read committed", r"a\b", "two  spaces", "it's", '"quoted", list', "back\\"]
)
def test_any_value_of_a_setting_arrives_whole(database_url: str, value: str) -> None:
    """Spaces, quotes and backslashes of a session's setting reach PostgreSQL as they are."""
    url = add_options(database_url, r"-c test.theirs=their\ own")
    conninfo = compose_conninfo(url, "besedka-test", **{"test.ours": value})
    with psycopg.connect(conninfo) as connection:
        found = [
            connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("test.theirs", "test.ours")
        ]

    assert found == [("their own",), (value,)]
