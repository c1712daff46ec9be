"""What `manage.py prune_events` deletes of the counts of what users did."""

from collections.abc import Callable

import psycopg

from chat.actions.limits import prune_counts
from chat.sql.database import run_call
from tests.support.processes import run_manage

OLD, RECENT = "now() - interval '3 days'", "now() - interval '1 hour'"


def count_uses(connection: psycopg.Connection) -> dict[str, int]:
    """Return how many counts there are, by table."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM chat_join_count), (SELECT count(*) FROM chat_use_count)"
    ).fetchone()
    assert row is not None
    return {"joins": row[0], "uses": row[1]}


def fill(connection: psycopg.Connection) -> None:
    """Let ten users have joined and reported long ago, of whom five did it lately too."""
    connection.execute(f"""
        INSERT INTO chat_join_count (user_id, times)
        SELECT 'u' || n, CASE WHEN n % 2 = 0 THEN ARRAY[{OLD}] ELSE ARRAY[{OLD}, {RECENT}] END
        FROM generate_series(1, 10) n;
        INSERT INTO chat_use_count (user_id, kind, times)
        SELECT 'u' || n, kind,
            CASE WHEN n % 2 = 0 THEN ARRAY[{OLD}] ELSE ARRAY[{OLD}, {RECENT}] END
        FROM generate_series(1, 10) n, unnest(ARRAY['reported', 'room_created']) kind;
    """)


def test_what_limits_nothing_any_more_is_deleted(clone_database: Callable[[], str]) -> None:
    """Whoever did something within the longest time of a limit keeps the whole count."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True) as connection:
        fill(connection)

        said = run_manage("prune_events", DATABASE_URL=url)

        assert "Pruned 15 counts of users that limit nothing any more." in said
        assert count_uses(connection) == {"joins": 5, "uses": 10}
        kept = connection.execute("SELECT DISTINCT cardinality(times) FROM chat_join_count")
        assert kept.fetchall() == [(2,)]


def test_batches_reach_every_user(clone_database: Callable[[], str]) -> None:
    """Each batch begins after the last user of the one before, and the last one says so."""
    with psycopg.connect(clone_database(), autocommit=True) as connection:
        fill(connection)
        last: str | None = ""
        pruned = batches = 0
        while last is not None:
            found = run_call(connection, prune_counts(last, limit=3))
            pruned, last, batches = pruned + found.pruned, found.last_user_id, batches + 1

        assert (pruned, batches) == (15, 5)
        assert count_uses(connection) == {"joins": 5, "uses": 10}
