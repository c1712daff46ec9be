-- name: database_in_recovery
-- error: This server is a standby or is recovering, and accepts no message. Check the primary.
SELECT WHERE pg_is_in_recovery();

-- name: database_read_only
-- error: default_transaction_read_only is on for the role that connected. If the service uses the
-- same role, nothing can be sent: turn it off. If the role only monitors, ignore this finding.
SELECT FROM pg_settings WHERE name = 'default_transaction_read_only' AND reset_val = 'on';

-- name: setting_unsafe
-- error: With this setting a crash can lose messages that were acknowledged. Turn it on.
SELECT name || ' = ' || reset_val AS setting FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND reset_val = 'off'
ORDER BY name;

-- name: migration_missing
-- error: The tables are not those of this code. Run `manage.py migrate`.
SELECT unnest(%(migrations)s::text[]) AS migration WHERE to_regclass('django_migrations') IS NULL;
