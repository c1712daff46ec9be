-- name: read_readiness
-- What the readiness probe reports: migrations applied, the comment that names the functions, the
-- age in seconds of the oldest outbox row, and whether this is a primary that takes writes.
SELECT ARRAY(SELECT name::text FROM django_migrations WHERE app = 'chat') AS migrations,
       obj_description(to_regnamespace('chat')::oid, 'pg_namespace') AS functions,
       extract(epoch FROM clock_timestamp() - (
           SELECT o.created_at FROM chat_outbox o ORDER BY o.id LIMIT 1))::float8
           AS outbox_age,
       NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean
           AS is_writable;

-- name: is_copy
-- Whether the database was restored, copied or promoted, and `manage.py after_restore` was not run.
SELECT i.identity <> chat.database_identity() AS is_copy FROM chat_installation i;
