"""`manage.py prune_events`."""

from collections.abc import Callable

import psycopg
import pytest

from tests.support.actors import Cast
from tests.support.processes import call_manage, run_manage, serve_api


@pytest.mark.slow
def test_old_events_go_and_clients_below_are_told(clone_database: Callable[[], str]) -> None:
    """Events beyond the retention are deleted, the rest is dense, and older versions answer 410.

    The clock jumped backwards between the second and the third event: by time alone, the second
    would be kept while the third is deleted.
    """
    database_url = clone_database()
    with serve_api(database_url) as url, Cast(url) as cast:
        alice = cast.user("alice")
        room = cast.service().create_room(alice)
        for number in range(5):
            alice.send(room, f"message {number}")
        with psycopg.connect(database_url) as connection:
            for version, days in {1: 100, 2: 80, 3: 100, 4: 80}.items():
                connection.execute(
                    "UPDATE chat_event SET created_at = created_at - %s * interval '1 day'"
                    " WHERE version = %s",
                    [days, version],
                )

        said = run_manage("prune_events", DATABASE_URL=database_url)

        assert said.startswith("Pruned 1 events")
        gone = alice.get(f"/api/rooms/{room}/events/", after=0)
        assert gone.status_code == 410
        assert (gone.json()["floor"], gone.json()["head"]) == (1, 6)
        kept = alice.get(f"/api/rooms/{room}/events/", after=1).json()["results"]
        assert [event["body"]["room"]["version"] for event in kept] == [2, 3, 4, 5, 6]


@pytest.mark.slow
def test_users_who_stopped_listening_go(clone_database: Callable[[], str]) -> None:
    """Rows that ran out more than two days ago are deleted, however many; the others stay."""
    database_url = clone_database()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO chat_listener (user_id, channel, until)"
            " SELECT 'user' || n, 'personal:user' || n,"
            " now() - CASE WHEN n <= 10001 THEN interval '49 h' ELSE interval '47 h' END"
            " FROM generate_series(1, 10003) n"
        )

        said = run_manage("prune_events", DATABASE_URL=database_url)

        assert "Pruned 10001 users who stopped listening." in said
        left = connection.execute("SELECT user_id FROM chat_listener ORDER BY 1").fetchall()
        assert left == [("user10002",), ("user10003",)]


@pytest.mark.parametrize("days", ["0", "-3", "1.5", "ten"])
def test_a_mistyped_age_deletes_nothing(database_url: str, days: str) -> None:
    """An age that is not a number of days above 0 is refused before anything is deleted."""
    done = call_manage("prune_events", "--days", days, DATABASE_URL=database_url)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "manage.py prune_events: error: argument --days: "
        f"{days} days: the log is kept for at least one."
    )
