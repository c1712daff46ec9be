-- name: keep_listeners
-- Makes users listeners, a row for each, and reads from when on their tokens are accepted: see
-- functions/listeners.sql and functions/revocations.sql.
SELECT k.user_id, k.until, k.is_settled, k.is_resuming, (
    SELECT extract(epoch FROM r.not_before)::float8 FROM chat_revocation r
    WHERE r.user_id = k.user_id) AS not_before
FROM chat.keep_listeners(%(user_ids)s::text[], %(seconds)s::int) AS k;

-- name: list_running_writes
-- The transactions of the API that may have changed something; see functions/listeners.sql.
SELECT id FROM chat.running_writes() AS id;

-- name: settle_listeners
-- Records that tokens of these users are answered at once; see functions/listeners.sql.
SELECT chat.settle_listeners(%(user_ids)s::text[], %(untils)s::timestamptz[]) AS settled;

-- name: prune_listeners
-- Deletes some of the users who stopped listening; see functions/listeners.sql.
SELECT chat.prune_listeners(
    clock_timestamp() - %(days)s * interval '1 day', %(limit)s::int) AS pruned;
