-- name: outbox_undeliverable
-- error: Centrifugo cannot publish this row. `--repair` prints it and removes it; clients fetch its
-- event from the log.
SELECT o.id AS outbox, why FROM {chunk} o, chat.outbox_fault(o.method, o.payload) AS why
WHERE why IS NOT NULL;

-- name: outbox_partition
-- error: The row is not in the partition of its room: it is never drained, or out of order.
SELECT o.id AS outbox, o.partition FROM {chunk} o, chat_installation i
WHERE chat.outbox_fault(o.method, o.payload) IS NULL
  AND o.partition <> chat.partition_of_row(o.payload, i.outbox_partitions);

-- name: outbox_epoch
-- warning: The row was queued under another epoch, before a restore: Centrifugo may take it for one
-- that it has published already. Clients fetch what is missing. It goes away as the outbox drains.
SELECT o.id AS outbox FROM {chunk} o, chat_installation i
WHERE chat.outbox_fault(o.method, o.payload) IS NULL
  AND (chat.outbox_key(o.payload))[1] <> i.epoch;

-- name: outbox_large
-- warning: A hundred events of this size do not fit queue_max_size of Centrifugo, so a client that
-- recovers them is disconnected as slow. Lower CHAT_MESSAGE_MAX_LENGTH or raise queue_max_size.
SELECT id AS outbox, bytes FROM (
    SELECT o.id, CASE WHEN chat.outbox_key(o.payload) IS NOT NULL
                      THEN octet_length((o.payload->'data')::text) END AS bytes FROM {chunk} o) AS o
WHERE bytes > %(large_bytes)s;

-- name: outbox_late
-- warning: Events wait for Centrifugo, which is down, behind, or does not drain this partition.
SELECT o.id AS outbox, to_json(o.created_at) AS created_at FROM {chunk} o
WHERE o.created_at < clock_timestamp() - %(late_seconds)s * interval '1 second';
