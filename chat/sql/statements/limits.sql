-- name: prune_counts
-- Deletes some of the counts whose time is over; see functions/limits.sql.
SELECT pruned, last_user_id
FROM chat.prune_counts(
    clock_timestamp() - %(days)s * interval '1 day', %(after)s::text, %(limit)s::int);
