"""What the benchmarks measure is what the functions would have written."""

import json
from collections.abc import Callable

import psycopg

from benches.seed import seed_history, seed_named_rooms, seed_rooms, seed_rooms_of_user
from tests.support.processes import call_manage


def test_the_doctor_finds_nothing_in_the_seeds(clone_database: Callable[[], str]) -> None:
    """Every kind of seed is sound, also those that a short run does not write."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        seed_rooms(connection, "r", count=3, members=4, listening=2)
        seed_rooms_of_user(connection, "walker", 20, "text")
        seed_history(connection, 100, "text")
        seed_named_rooms(connection, 50)

    report = json.loads(call_manage("doctor", "--json", DATABASE_URL=url).stdout)
    # The server of the tests writes nothing to disk, which the doctor says.
    assert {finding["code"] for finding in report["findings"]} <= {"setting_unsafe"}
