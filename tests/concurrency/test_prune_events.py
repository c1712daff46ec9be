"""`manage.py prune_events`."""

from collections.abc import Callable

import psycopg
import pytest

from tests.support.actors import Cast
from tests.support.processes import run_manage, serve_api


@pytest.mark.slow
def test_old_events_go_and_clients_below_are_told(clone_database: Callable[[], str]) -> None:
    """Events beyond the retention are deleted, what stays is dense, and below it the log says 410.

    The clock jumped backwards between the second and the third event: by time alone, the second
    would be kept while the third goes.
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


@pytest.mark.parametrize("days", ["0", "-3"])
def test_a_log_that_would_be_emptied_is_kept(database_url: str, days: str) -> None:
    """A mistyped age deletes nothing, and the error names it."""
    with pytest.raises(AssertionError, match="the log is kept for at least one"):
        run_manage("prune_events", f"--days={days}", DATABASE_URL=database_url)
