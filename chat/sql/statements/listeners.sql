-- name: keep_listeners
-- Makes users listeners, a row for each; see functions/listeners.sql.
SELECT user_id, until, is_settled, is_resuming
FROM chat.keep_listeners(%(user_ids)s::text[], %(seconds)s::int);

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
