"""One kind of damage, and the rows of the outbox that damages are made from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to a database, and all that is found then, with the first example of one."""

    sql: str
    example: dict[str, Any]
    codes: tuple[str, ...]

    @property
    def code(self) -> str:
        """The code that the example is of."""
        return self.codes[0]


EVADE = "SET session_replication_role = replica;"
# A row of the outbox as the functions write it, with one thing changed.
ROW = """INSERT INTO chat_outbox (method, payload, partition, created_at)
    SELECT 'broadcast', json_build_object(
        'channels', json_build_array('personal:alice'), 'data', json_build_object('type', 'x'),
        'idempotency_key', i.epoch || ':3:1:0'), 3, now() FROM chat_installation i;"""


def queue(change: str) -> str:
    """Return the SQL that queues a sound row for the busy room and then changes it."""
    return f"{ROW} UPDATE chat_outbox o SET {change} WHERE id = (SELECT max(id) FROM chat_outbox)"


def queue_with(key: str, value: str) -> str:
    """Return the SQL that queues a row whose payload has another value under a key."""
    return queue(f"payload = (o.payload::jsonb || jsonb_build_object('{key}', {value}))::json")


def disconnect(change: str) -> str:
    """Return the SQL that ends a user's connections, as a revocation does, and changes the row."""
    return (
        "SELECT chat.revoke_tokens('alice');"
        f" UPDATE chat_outbox o SET {change} WHERE id = (SELECT max(id) FROM chat_outbox)"
    )


def undeliverable(sql: str) -> Damage:
    """Return a damage that is one row which Centrifugo cannot publish."""
    return Damage(sql, {}, ("outbox_undeliverable",))
