-- name: revoke_tokens
-- Refuses a user's tokens of before a time; see functions/revocations.sql.
SELECT outcome, chat.time_text(not_before) AS not_before,
       extract(epoch FROM not_before)::float8 AS seconds
FROM chat.revoke_tokens(%(user_id)s, %(not_before)s::timestamptz);

-- name: list_revocations
-- The revocations that were not visible in a snapshot, in pages, and the present snapshot: a row
-- without a user where there are none. By the snapshot each committed change is found, whenever its
-- transaction began, and each one once. It says nothing about another server, which counts
-- transactions otherwise: `server` distinguishes one from a restored or promoted one.
SELECT pg_postmaster_start_time()::text AS server, pg_current_snapshot()::text AS snapshot,
       changed.changed_in, changed.user_id, changed.not_before
FROM (SELECT) AS one LEFT JOIN LATERAL (
    SELECT r.changed_in, r.user_id, extract(epoch FROM r.not_before)::float8 AS not_before
    FROM chat_revocation r
    WHERE r.changed_in >= pg_snapshot_xmin(%(seen)s::pg_snapshot)::text::bigint
      -- A later one came with a dump from another server. It is read once, by the first look.
      AND r.changed_in < CASE WHEN pg_snapshot_xmax(%(seen)s::pg_snapshot)::text = '1'
          THEN 9223372036854775807 ELSE pg_snapshot_xmax(pg_current_snapshot())::text::bigint END
      AND (r.changed_in, r.user_id) > (%(after_change)s::bigint, %(after_user)s::text)
      AND NOT pg_visible_in_snapshot(r.changed_in::text::xid8, %(seen)s::pg_snapshot)
    ORDER BY r.changed_in, r.user_id LIMIT %(limit)s) AS changed ON true
ORDER BY changed.changed_in, changed.user_id;

-- name: prune_revocations
-- Deletes some of the revocations that no valid token needs; see functions/revocations.sql.
SELECT chat.prune_revocations(
    clock_timestamp() - %(seconds)s * interval '1 second', %(limit)s::int) AS pruned;
