"""`manage.py migrate`."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.processes import run_manage


@pytest.mark.slow
def test_two_at_once_migrate_an_empty_database_once(database_url: str) -> None:
    """Whoever comes second waits and finds everything done; neither fails."""
    name = f"empty_{secrets.token_hex(6)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    here = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    url = database_url.replace(f"/{here}?", f"/{name}?")

    with ThreadPoolExecutor(max_workers=2) as threads:
        both = [
            threads.submit(run_manage, "migrate", "--no-input", DATABASE_URL=url) for _ in range(2)
        ]
        for done in both:
            done.result()

    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT count(*) FROM chat_installation").fetchone()
    assert counted == (1,)
