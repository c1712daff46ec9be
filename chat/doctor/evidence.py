"""What the database knows about one message and one user: the rows that `explain` reasons about.

All of it is read in one snapshot, in a session that cannot write.
"""

from datetime import datetime
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg.rows import class_row

from chat.realtime.channels import personal_channel

STATEMENT_SECONDS = 60
"""A log of millions of events is read backwards from the message, until the user's last change."""

_SESSION = f"""
    SET default_transaction_read_only = on; SET jit = off;
    SET statement_timeout = '{STATEMENT_SECONDS}s'; SET lock_timeout = '2s'
""".encode()

# A message's event is not before its seq, because each message before it took a version too; nor
# after the head without the messages that came later. Between the two only other events are read.
_MESSAGE = b"""
SELECT m.room_id, m.seq, m.user_id AS sender, m.created_at, m.deleted_at,
       r.version AS head, r.member_count,
       (SELECT min(f.version) FROM chat_event f WHERE f.room_id = m.room_id) AS first_version,
       e.version, e.created_at AS event_at, k.joined_version, k.joined_at, clock_timestamp() AS now
FROM chat_message m
JOIN chat_room r ON r.id = m.room_id
LEFT JOIN chat_event e ON e.room_id = m.room_id AND e.message_id = m.id
    AND e.type = 'message_added' AND e.version BETWEEN m.seq AND r.version - (r.last_seq - m.seq)
LEFT JOIN chat_member k ON k.room_id = m.room_id AND k.user_id = %(user)s
WHERE m.id = %(message)s
"""
_CHANGES = b"""
(SELECT b.version, b.type, b.created_at FROM chat_event b
 WHERE b.room_id = %(room)s AND b.version <= %(version)s AND b.user_id = %(user)s
   AND b.type IN ('user_joined', 'user_left')
 ORDER BY b.version DESC LIMIT 1)
UNION ALL
(SELECT a.version, a.type, a.created_at FROM chat_event a
 WHERE a.room_id = %(room)s AND a.version > %(version)s AND a.user_id = %(user)s
   AND a.type IN ('user_joined', 'user_left')
 ORDER BY a.version LIMIT 1)
ORDER BY version
"""
_AUDIENCE = b"""
SELECT i.epoch, i.everyone_until, l.until, l.lapsed_at
FROM chat_installation i LEFT JOIN chat_listener l ON l.user_id = %(user)s
"""
# The room's partition now, and the one that it has with more, or fewer, than 1,000 members.
_WAITING = b"""
SELECT o.partition, o.created_at,
       coalesce((o.payload->'channels')::jsonb ? %(channel)s, false) AS is_for_user,
       (SELECT count(*) FROM (
            SELECT FROM chat_outbox b WHERE b.partition = o.partition AND b.id < o.id LIMIT 10000
        ) AS before) AS ahead
FROM chat_installation i
JOIN chat_outbox o ON o.partition IN (
    chat.partition_of(%(room)s, 1, i.outbox_partitions),
    chat.partition_of(%(room)s, 1001, i.outbox_partitions))
WHERE starts_with(o.payload->>'idempotency_key', %(key)s)
ORDER BY o.id
"""
_REALTIME = b"""
SELECT count(*) FILTER (WHERE a.application_name IN ('centrifugo', 'besedka-gateway')) AS sessions,
       count(*) FILTER (WHERE a.application_name IS NULL) AS unnamed,
       (SELECT o.created_at FROM chat_outbox o ORDER BY o.id LIMIT 1) AS oldest_row
FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
"""
_HAS_REVOCATIONS = b"SELECT to_regclass('chat_revocation') IS NOT NULL"
_REVOCATION = b"SELECT not_before, changed_at FROM chat_revocation WHERE user_id = %(user)s"


class Message(msgspec.Struct, frozen=True):
    """A message with its event, its room, and the user's membership now."""

    room_id: int
    seq: int
    sender: str
    created_at: datetime
    deleted_at: datetime | None
    head: int
    """The room's version now."""
    member_count: int
    first_version: int | None
    """The first version in the room's log; None where the log is empty."""
    version: int | None
    """That of the message's event; None if it is not in the log any more."""
    event_at: datetime | None
    joined_version: int | None
    joined_at: datetime | None
    now: datetime

    @property
    def moment(self) -> datetime:
        """When the audience of its event was read, nearly."""
        return self.event_at or self.created_at


class Change(msgspec.Struct, frozen=True):
    """The user joined, or left, at a version."""

    version: int
    type: str
    created_at: datetime


class Audience(msgspec.Struct, frozen=True):
    """The user's row in `chat_listener`, if there is one, and what holds for everyone."""

    epoch: str
    everyone_until: datetime | None
    until: datetime | None
    lapsed_at: datetime | None


class WaitingRow(msgspec.Struct, frozen=True):
    """A row of the outbox that holds the message's event."""

    partition: int
    created_at: datetime
    is_for_user: bool
    ahead: int
    """How many rows of its partition come first, counted up to 10,000."""


class Realtime(msgspec.Struct, frozen=True):
    """The realtime server's sessions, as far as this role may see their names."""

    sessions: int
    unnamed: int
    oldest_row: datetime | None


class Revocation(msgspec.Struct, frozen=True):
    """Tokens of the host that were issued to the user before this are refused."""

    not_before: datetime
    changed_at: datetime


class Evidence(msgspec.Struct, frozen=True):
    """Everything that was read."""

    message_id: int
    user_id: str
    message: Message
    changes: list[Change]
    """The user's last change up to the message's version, and the first one after it."""
    audience: Audience
    waiting: list[WaitingRow]
    realtime: Realtime
    revocation: Revocation | None


def gather_evidence(
    connection: psycopg.Connection[Any], message_id: int, user_id: str
) -> Evidence | None:
    """Return what is known about a message and a user; None if there is no such message.

    `connection`: a session of its own, in autocommit; it is made read-only. Errors: the driver's.
    """
    connection.execute(_SESSION)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with connection.transaction():
        values: dict[str, Any] = {"message": message_id, "user": user_id}
        messages = _read(connection, Message, _MESSAGE, values)
        if not messages:
            return None
        (message,) = messages
        (audience,) = _read(connection, Audience, _AUDIENCE, values)
        values |= {
            "room": message.room_id,
            "version": message.version,
            "channel": personal_channel(user_id),
            "key": f"{audience.epoch}:{message.room_id}:{message.version}:",
        }
        return Evidence(
            message_id,
            user_id,
            message,
            [] if message.version is None else _read(connection, Change, _CHANGES, values),
            audience,
            _read(connection, WaitingRow, _WAITING, values),
            _read(connection, Realtime, _REALTIME, values)[0],
            _read_revocation(connection, values),
        )


def _read_revocation(
    connection: psycopg.Connection[Any], values: dict[str, Any]
) -> Revocation | None:
    # A database of the release before has no such table.
    (found,) = connection.execute(_HAS_REVOCATIONS).fetchall()
    rows = _read(connection, Revocation, _REVOCATION, values) if found[0] else []
    return rows[0] if rows else None


Row = TypeVar("Row")


def _read(
    connection: psycopg.Connection[Any], row: type[Row], sql: bytes, values: dict[str, Any]
) -> list[Row]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(sql, values).fetchall()
