"""Sends into a room of 20,000 listeners, written to the outbox as the application writes them."""

import psycopg

MEMBERS = 20_000
CHUNK = 1000

_SENDS = """
INSERT INTO chat_outbox (method, payload, partition, created_at)
SELECT 'broadcast', json_build_object(
           'channels', (SELECT json_agg('personal:m' || m)
                        FROM generate_series(chunk * %(chunk)s, (chunk + 1) * %(chunk)s - 1) AS m),
           'data', json_build_object('n', send, 'text', repeat('x', %(size)s)),
           'idempotency_key', 'flood:' || send || ':' || chunk),
       chat.partition_of(%(room)s, %(members)s, i.outbox_partitions), now()
FROM chat_installation i, generate_series(%(first)s::int, %(first)s + %(sends)s - 1) AS send,
     generate_series(0, %(members)s / %(chunk)s - 1) AS chunk
ORDER BY send, chunk
"""


def queue_sends(database_url: str, sends: int, *, size: int, room: int = 1, first: int = 0) -> None:
    """Queue so many sends of `size` bytes, in one transaction."""
    values = {
        "sends": sends,
        "size": size,
        "room": room,
        "first": first,
        "members": MEMBERS,
        "chunk": CHUNK,
    }
    with psycopg.connect(database_url) as connection:
        connection.execute(_SENDS, values)
