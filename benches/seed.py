"""Rooms, members and messages, written as the functions would have written them.

`manage.py doctor` passes on the result. Rows are made inside PostgreSQL, and foreign keys are not
checked meanwhile, which would take most of the time. Where a room has no events, its log was pruned.
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
SELECT r.id, u.id, chat.personal_channel(u.id), 1, r.created_at
FROM chat_room r, generate_series(1, %(members)s) AS n,
     LATERAL (SELECT %(name)s || r.id || '-' || n AS id) AS u
WHERE r.id >= %(first)s ORDER BY r.id, n"""
CREATE_EVENTS: LiteralString = """
INSERT INTO chat_event (room_id, version, type, user_id, joined_at, member_count, bumped_at, created_at)
SELECT r.id, n, 'user_joined', %(name)s || r.id || '-' || n, r.created_at, r.member_count,
       r.bumped_at, r.created_at
FROM chat_room r, generate_series(1, %(members)s) AS n
WHERE r.id >= %(first)s ORDER BY r.id, n"""
CREATE_LISTENERS: LiteralString = """
INSERT INTO chat_listener (user_id, channel, until)
SELECT m.user_id, m.channel, now() + interval '40 hours' FROM chat_member m
WHERE m.room_id >= %(first)s
  AND split_part(m.user_id, '-', 2)::int <= %(listening)s"""


def seed_rooms(
    connection: Connection, name: str, *, count: int, members: int, listening: int
) -> Rooms:
    """Write so many rooms with so many members each, of whom so many are listening."""
    given = {"name": name, "count": count, "members": members, "listening": listening}
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        first = min(int(str(row[0])) for row in connection.execute(CREATE_ROOMS, given).fetchall())
        given["first"] = first
        connection.execute(CREATE_MEMBERS, given)
        connection.execute(CREATE_EVENTS, given)
        if has_listeners(connection):
            connection.execute(CREATE_LISTENERS, given)
    return Rooms(name, first, count, members, listening)


def has_listeners(connection: Connection) -> bool:
    """Return whether this database knows who is listening."""
    row = connection.execute("SELECT to_regclass('chat_listener')").fetchone()
    return row is not None and row[0] is not None


def settle(connection: Connection) -> None:
    """Leave the tables as they are after a while in production: analysed, vacuumed, on disk."""
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")
