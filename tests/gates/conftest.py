"""A database with rooms of very different sizes; its plans are those of a large installation."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.conftest import Connection
from tests.gates.plans import ExplainedSession, PlanCache

# Rooms 1 to 4; the others have 3 members and one message.
SMALL, LONG, WIDE, LARGE = 1, 2, 3, 4
MEMBERS = {SMALL: 20, LONG: 20, WIDE: 2_000, LARGE: 2_000}
MESSAGES = {SMALL: 60, LONG: 6_000, WIDE: 60, LARGE: 6_000}
MEMBER = "user-9"
"""A member of each of the four rooms."""
ROOMS = 20_000
FEW, MANY = "in-60-rooms", "in-3000-rooms"
"""Users who are members of so many other rooms."""

SEED = f"""
INSERT INTO chat_room (
    id, name, version, last_seq, member_count, bumped_at, bump_id, created_at, external_id)
SELECT n, 'room ' || n || ' ' || md5(n::text), 4, 1, 3, now() - n * interval '1 minute', n, now(),
    'team-' || n
FROM generate_series(1, {ROOMS}) n;
SELECT setval(pg_get_serial_sequence('chat_room', 'id'), {ROOMS});
INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
SELECT r, 'user-' || u, 'personal:user-' || u, 1, now()
FROM generate_series(1, {ROOMS}) r, LATERAL (
    SELECT u FROM generate_series(1, 20) u WHERE r <= 4
    UNION ALL
    SELECT 1 + (7 * r + u) % 2000 FROM generate_series(1, 3) u WHERE r > 4
) AS member;
INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
SELECT r, user_id, 'personal:' || user_id, 1, now()
FROM (VALUES ('{FEW}', 60), ('{MANY}', 3000)) AS users (user_id, rooms),
    generate_series(5, 4 + rooms) r;
INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
SELECT r, 1, 'user-9', 'first', 'text', now() FROM generate_series(1, {ROOMS}) r;
INSERT INTO chat_room_key (room_id, created_by, client_id, digest)
SELECT r, 'host', 'key-' || r, '' FROM generate_series(1, {ROOMS}) r;
INSERT INTO chat_listener (user_id, channel, until, is_settled)
SELECT name || '-' || n, 'personal:' || name || '-' || n, now() + interval '1 day', true
FROM (VALUES ('user', 2000), ('other', 20000)) AS users (name, count), generate_series(1, count) n;
INSERT INTO chat_revocation (user_id, not_before, changed_at, changed_in)
SELECT 'gone-' || n, now() - n * interval '1 hour', now(), 3 + n % 500
FROM generate_series(1, 20000) n;
INSERT INTO chat_join_count (user_id, times)
SELECT 'user-' || n, ARRAY[now()] FROM generate_series(1, 2000) n;
INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)
SELECT n, 'barred-' || n, '', 'host', now() FROM generate_series(1, 5000) n;
UPDATE chat_room SET deleted_at = now() WHERE id = {ROOMS};
INSERT INTO chat_room_deletion (room_id, requested_by, requested_at, finished_at)
SELECT {ROOMS} + n, 'host', now(), CASE WHEN n > 0 THEN now() END
FROM generate_series(0, 5000) n;
INSERT INTO chat_word (word, skeleton, action)
SELECT 'word' || n, 'word' || n, 'mask' FROM generate_series(1, 2000) n;
INSERT INTO chat_audit (created_at, actor, actor_kind, address, action, room_id, user_id)
SELECT now(), 'user-' || n % 500, 'user', '', 'action-' || n % 20, 1 + n % 2000, 'user-' || n % 700
FROM generate_series(1, 20000) n;
INSERT INTO chat_report (
    room_id, message_id, user_id, reported_by, reason, created_at, decision)
SELECT 1 + n % 2000, (SELECT min(id) FROM chat_message) + n % 2000, 'user-' || n % 500,
       'user-' || n, 'rude', now(), CASE WHEN n % 10 > 0 THEN 'keep' END
FROM generate_series(1, 20000) n;
INSERT INTO chat_decision (report_id, decision, note, decided_by, decided_at)
SELECT r.id, 'keep', '', 'anna', now() FROM chat_report r WHERE r.decision IS NOT NULL;
INSERT INTO chat_use_count (user_id, kind, times)
SELECT 'user-' || n, kind, ARRAY[now()]
FROM generate_series(1, 2000) n, unnest(ARRAY['room_created', 'direct_opened', 'reported']) kind;
INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)
SELECT nullif(n % 10, 0), 'banned-' || n, '', 'host', now() FROM generate_series(1, 2000) n;
INSERT INTO chat_block (user_id, blocked_id, created_at)
SELECT 'user-' || n, 'blocked-' || n, now() FROM generate_series(1, 2000) n;
INSERT INTO chat_invite (room_id, created_by, created_at, expires_at, max_uses)
SELECT n % 500 + 1, 'host', '2026-01-02T03:04:05.678901Z', now() + interval '1 day', 5
FROM generate_series(1, 5000) n;
INSERT INTO chat_ban (room_id, user_id, reason, created_by, created_at)
SELECT n, 'user-' || n % 500, '', 'host', now() FROM generate_series(1, 500) n;
INSERT INTO chat_outbox (method, payload, partition, created_at)
SELECT 'broadcast', '{{}}', n % 8, now() FROM generate_series(1, 5000) n;
"""
GROW = """
INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
SELECT %(room)s, 'user-' || u, 'personal:user-' || u, 1, now()
FROM generate_series(21, %(members)s) u;
INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
SELECT %(room)s, n, 'user-' || 1 + mod(n, 20), 'key-' || n, 'text', now()
FROM generate_series(2, %(messages)s) n;
INSERT INTO chat_event (
    room_id, version, type, message_id, user_id, member_count, bumped_at, created_at)
SELECT m.room_id, %(members)s + m.seq, 'message_added', m.id, m.user_id, %(members)s, now(), now()
FROM chat_message m WHERE m.room_id = %(room)s ORDER BY m.seq;
UPDATE chat_room SET member_count = %(members)s, last_seq = %(messages)s,
    version = %(members)s + %(messages)s WHERE id = %(room)s
"""


@pytest.fixture(scope="session")
def sized_url(clone_database: Callable[[], str]) -> str:
    """Return the URL of the database; what tests change in it they undo."""
    url = clone_database()
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(SEED.encode())
        for room, members in MEMBERS.items():
            sizes = {"room": room, "members": members, "messages": MESSAGES[room]}
            connection.execute(GROW, sizes)
        connection.execute("VACUUM ANALYZE")
    return url


@pytest.fixture(scope="session")
def explain(sized_url: str) -> Iterator[Callable[[PlanCache], ExplainedSession]]:
    """Return what opens a session whose calls say what they used, one for each way to plan."""
    sessions: dict[PlanCache, ExplainedSession] = {}
    connections: list[psycopg.Connection] = []

    def open_session(plans: PlanCache) -> ExplainedSession:
        if plans not in sessions:
            connections.append(
                psycopg.connect(
                    sized_url,
                    autocommit=True,
                    # As the API's sessions: events go to the listeners.
                    application_name="besedka-api",
                    options="-c besedka.audience=listeners",
                )
            )
            sessions[plans] = ExplainedSession(connections[-1], plans)
        return sessions[plans]

    yield open_session
    for connection in connections:
        connection.close()


@pytest.fixture(scope="session")
def generic(explain: Callable[[PlanCache], ExplainedSession]) -> ExplainedSession:
    """Return a session that has one plan for all values, as sessions of the API come to have."""
    return explain("force_generic_plan")


@pytest.fixture
def connection_of_sizes(sized_url: str) -> Iterator[Connection]:
    """Return a plain session of the database."""
    with psycopg.connect(
        sized_url, autocommit=True, row_factory=psycopg.rows.dict_row
    ) as connection:
        yield connection
