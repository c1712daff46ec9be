"""Rooms, members and messages, written as the functions would have written them.

`manage.py doctor` passes on the result. Rows are made inside PostgreSQL, and foreign keys are not
checked meanwhile, which would take most of the time. A room without events is one whose log was
pruned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Rooms:
    """Rooms with ids that follow each other; in room `id` the users are `<name><id>-1`, `-2`, ….

    The first `listening` of each room's members have asked for a subscription token.
    """

    name: str
    first_id: int
    count: int
    members: int
    listening: int

    @property
    def ids(self) -> Sequence[int]:
        """The ids of the rooms."""
        return range(self.first_id, self.first_id + self.count)

    def user(self, room_id: int, number: int) -> str:
        """Return the id of a room's member; numbers begin with 1."""
        return f"{self.name}{room_id}-{number}"

    def listeners(self, room_id: int) -> list[str]:
        """Return the ids of the members whose devices are connected."""
        return [self.user(room_id, number) for number in range(1, self.listening + 1)]


CREATE_ROOMS: LiteralString = """
INSERT INTO chat_room (name, version, last_seq, member_count, bumped_at, created_at)
SELECT %(name)s || ' ' || n, %(members)s, 0, %(members)s, now(), now()
FROM generate_series(1, %(count)s) AS n RETURNING id"""
CREATE_MEMBERS: LiteralString = """
INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
SELECT r.id, u.id, 'personal:' || u.id, 1, r.created_at
FROM chat_room r, generate_series(1, %(members)s) AS n,
     LATERAL (SELECT %(name)s || r.id || '-' || n AS id) AS u
WHERE r.id >= %(first)s ORDER BY r.id, n"""
CREATE_EVENTS: LiteralString = """
INSERT INTO chat_event (
    room_id, version, type, user_id, joined_at, member_count, bumped_at, created_at)
SELECT r.id, n, 'user_joined', %(name)s || r.id || '-' || n, r.created_at, r.member_count,
       r.bumped_at, r.created_at
FROM chat_room r, generate_series(1, %(members)s) AS n
WHERE r.id >= %(first)s ORDER BY r.id, n"""
# For longer than a token needs, so that asking for one writes nothing.
CREATE_LISTENERS: LiteralString = """
INSERT INTO chat_listener (user_id, channel, until, is_settled)
SELECT m.user_id, m.channel, now() + interval '10 days', true FROM chat_member m
WHERE m.room_id >= %(first)s AND split_part(m.user_id, '-', 2)::int <= %(listening)s"""
API_SESSION = {"PGAPPNAME": "besedka-api", "PGOPTIONS": "-c besedka.audience=listeners"}
"""With it, libpq opens sessions like those of the API, which publish to listeners."""


def seed_rooms(
    connection: Connection, name: str, *, count: int, members: int, listening: int
) -> Rooms:
    """Write so many rooms with so many members each, of whom so many are listening."""
    given = {"name": name, "count": count, "members": members, "listening": listening}
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        given["first"] = _execute_for_first(connection, CREATE_ROOMS, given)
        connection.execute(CREATE_MEMBERS, given)
        connection.execute(CREATE_EVENTS, given)
        if has_listeners(connection):
            connection.execute(CREATE_LISTENERS, given)
    return Rooms(name, int(str(given["first"])), count, members, listening)


CREATE_ROOMS_OF_USER: LiteralString = """
WITH room AS (
    INSERT INTO chat_room (name, version, last_seq, member_count, bumped_at, created_at)
    SELECT 'with ' || %(user)s || ' ' || n, 3, 1, 2, now() - n * interval '1 s',
           now() - interval '1 day'
    FROM generate_series(1, %(count)s) AS n RETURNING id, bumped_at, created_at
), member AS (
    INSERT INTO chat_member (room_id, user_id, channel, joined_version, joined_at)
    SELECT r.id, u.id, 'personal:' || u.id, 1, r.created_at
    FROM room r, unnest(ARRAY[%(user)s, %(user)s || '-peer']) AS u (id)
)
INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
SELECT r.id, 1, %(user)s, '1', %(text)s, r.bumped_at FROM room r ORDER BY r.id DESC"""
# The place of a room in lists is the id of its last message.
PLACE_ROOMS: LiteralString = """
UPDATE chat_room r SET bump_id = m.id FROM chat_message m
WHERE m.room_id = r.id AND m.seq = r.last_seq AND r.bump_id <> m.id"""


def seed_rooms_of_user(connection: Connection, user_id: str, count: int, text: str) -> None:
    """Write so many rooms of one user and one other, with one message each."""
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        given = {"user": user_id, "count": count, "text": text}
        connection.execute(CREATE_ROOMS_OF_USER, given)
        _place_rooms(connection)


CREATE_MESSAGES: LiteralString = """
INSERT INTO chat_message (room_id, seq, user_id, client_id, content, created_at)
SELECT %(room)s, n, %(name)s || %(room)s || '-' || 1 + n %% %(members)s, n::text, %(text)s,
       now() - (%(count)s - n) * interval '1 s'
FROM generate_series(1, %(count)s) AS n"""
# The log is pruned: the members' events with it, or it would begin before the messages.
CLOSE_HISTORY: LiteralString = """
UPDATE chat_room r SET last_seq = %(count)s, version = r.version + %(count)s, bumped_at = now()
WHERE r.id = %(room)s"""


def seed_history(connection: Connection, count: int, text: str) -> Rooms:
    """Write one room of 20 members with so many messages."""
    rooms = seed_rooms(connection, "h", count=1, members=20, listening=0)
    given = {
        "room": rooms.first_id,
        "count": count,
        "text": text,
        "members": rooms.members,
        "name": rooms.name,
    }
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM chat_event WHERE room_id = %(room)s", given)
        connection.execute(CREATE_MESSAGES, given)
        connection.execute(CLOSE_HISTORY, given)
        _place_rooms(connection)
    return rooms


SYLLABLES = [*"ba ko ri mu ne sa to vi la du pe zo ша ко ми ро".split(" ")]  # noqa: SIM905 - it is a word list
CREATE_NAMED_ROOMS: LiteralString = """
INSERT INTO chat_room (name, version, last_seq, member_count, bumped_at, created_at)
SELECT s[1 + n %% 16] || s[1 + n / 16 %% 16] || s[1 + n / 256 %% 16] || ' '
       || s[1 + n * 7 %% 16] || s[1 + n / 32 %% 16] || ' room ' || n, 0, 0, 0, now(), now()
FROM generate_series(1, %(count)s) AS n, (SELECT %(syllables)s::text[]) AS given (s)"""


def seed_named_rooms(connection: Connection, count: int) -> None:
    """Write so many rooms to be searched, named by syllables of two scripts and a number."""
    connection.execute(CREATE_NAMED_ROOMS, {"count": count, "syllables": SYLLABLES})


def has_listeners(connection: Connection) -> bool:
    """Return whether this database knows who is listening."""
    row = connection.execute("SELECT to_regclass('chat_listener')").fetchone()
    return row is not None and row[0] is not None


def _place_rooms(connection: Connection) -> None:
    row = connection.execute(
        "SELECT FROM pg_attribute WHERE attrelid = 'chat_room'::regclass AND attname = 'bump_id'"
    ).fetchone()
    # An older commit, measured beside this one, lists rooms by their time alone.
    if row is not None:
        connection.execute(PLACE_ROOMS)


def settle(connection: Connection) -> None:
    """Leave the tables as they are after a while in production: analysed, vacuumed, on disk."""
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")


def _execute_for_first(
    connection: Connection, statement: LiteralString, given: dict[str, object]
) -> int:
    return min(int(str(row[0])) for row in connection.execute(statement, given).fetchall())
