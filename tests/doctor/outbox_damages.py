"""Damages of the outbox, planted by SQL past the functions."""

from tests.doctor.damage import Damage

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


OUTBOX = {
    "a row publishes": undeliverable(queue("method = 'publish'")),
    "a row has a list for a payload": undeliverable(queue("payload = '[]'")),
    "a row has a null for a payload": undeliverable(queue("payload = 'null'")),
    "a row has no channels": undeliverable(queue_with("channels", "'[]'::jsonb")),
    "a row has channels in an object": undeliverable(queue_with("channels", "'{}'::jsonb")),
    "a row has a number for a channel": undeliverable(queue_with("channels", "'[1]'::jsonb")),
    "a row has 1,001 channels": undeliverable(
        queue_with("channels", "array_fill('personal:a'::text, '{1001}')")
    ),
    "a row is for a foreign channel": undeliverable(
        queue_with("channels", "'[\"news:a\"]'::jsonb")
    ),
    "a row is for a channel in Greek": undeliverable(
        queue_with("channels", "'[\"personal:Ω\"]'::jsonb")
    ),
    "a row is for a channel of 256 bytes": undeliverable(
        queue_with("channels", "ARRAY['personal:' || repeat('x', 247)]")
    ),
    "a row is for a channel with a null byte": undeliverable(
        queue("payload = replace(o.payload::text, 'alice', '\\u0000')::json")
    ),
    "a row has no key": undeliverable(
        queue("payload = (o.payload::jsonb - 'idempotency_key')::json")
    ),
    "a row has a key of its own": undeliverable(queue_with("idempotency_key", "'mine'")),
    "a row has text for data": undeliverable(queue_with("data", "'text'")),
    "a row disconnects nobody": undeliverable(disconnect("payload = '{}'")),
    "a row disconnects a user without a code": undeliverable(
        disconnect("payload = (o.payload::jsonb - 'disconnect')::json")
    ),
    "a row disconnects with text for a code": undeliverable(
        disconnect("payload = jsonb_set(o.payload::jsonb, '{disconnect,code}', '\"1\"')::json")
    ),
    "a disconnect is in a partition that is not drained": Damage(
        disconnect("partition = 8"), {"partition": 8}, ("outbox_partition",)
    ),
    "a row is in another partition": Damage(
        queue("partition = 4"), {"partition": 4}, ("outbox_partition",)
    ),
    "a row is in a partition that is not drained": Damage(
        queue("partition = 8"), {"partition": 8}, ("outbox_partition",)
    ),
    "a row is of another epoch": Damage(
        queue_with("idempotency_key", "'before:3:1:0'"), {}, ("outbox_epoch",)
    ),
    "a row has an event of a megabyte": Damage(
        queue_with("data", "jsonb_build_object('text', repeat('x', 1000000))"),
        {"bytes": 1000012},
        ("outbox_large",),
    ),
    "a row waits for two hours": Damage(
        queue("created_at = now() - interval '2 hours'"), {}, ("outbox_late",)
    ),
}
