"""The SQL times of the benchmarks are those of the API's statements, with parsing and planning."""

from pathlib import Path

import psycopg
import pytest

from benches.statements import LINE_PREFIX, recorded
from embedded.postgres import PostgresServer

pytestmark = pytest.mark.slow
SLEEP = "SELECT pg_sleep(0.05)"


def test_only_statements_of_the_api_are_counted(tmp_path: Path) -> None:
    """Each statement of the API within the block is one figure; those of others are none."""
    with PostgresServer.start(
        tmp_path, durable=False, settings={"log_line_prefix": LINE_PREFIX}
    ) as server:
        url = server.url()
        with (
            psycopg.connect(url, autocommit=True, application_name="besedka-api") as api,
            psycopg.connect(url, autocommit=True, application_name="centrifugo") as other,
        ):
            api.execute(SLEEP)
            with recorded(url, server.log) as milliseconds:
                other.execute(SLEEP)
                api.execute(SLEEP)
                api.execute("SELECT %s::int", [1])
            api.execute(SLEEP)

    slow, fast = milliseconds
    assert 50 <= slow < 1000
    assert fast < 50
