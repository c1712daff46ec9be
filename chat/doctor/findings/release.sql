-- name: function_missing
-- error: A function that this code calls does not exist. Run `manage.py migrate`.
SELECT function FROM unnest(%(functions)s::text[]) AS function
WHERE NOT EXISTS (
    SELECT FROM pg_proc p WHERE p.pronamespace = to_regnamespace('chat') AND p.proname = function);

-- name: function_altered
-- error: The text of a function is not the one that was installed: someone replaced it by hand, or
-- added another function with its name (drop that one). Run `COMMENT ON SCHEMA chat IS NULL` in
-- SQL, then `manage.py migrate`.
SELECT w.function FROM unnest(%(functions)s::text[], %(digests)s::text[]) AS w (function, digest)
WHERE obj_description(to_regnamespace('chat')::oid, 'pg_namespace') ~ (%(fingerprint)s || '$')
  AND ARRAY[w.digest] <> (
      SELECT array_agg(encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex')) FROM pg_proc p
      WHERE p.pronamespace = to_regnamespace('chat') AND p.proname = w.function);

-- name: functions_of_other_release
-- warning: The functions are those of another release, as in the middle of a deploy. If no deploy
-- is running, run `manage.py migrate` of the newest release.
SELECT w.function FROM unnest(%(functions)s::text[], %(digests)s::text[]) AS w (function, digest)
WHERE (obj_description(to_regnamespace('chat')::oid, 'pg_namespace') ~ (%(fingerprint)s || '$'))
      IS NOT true
  AND ARRAY[w.digest] <> (
      SELECT array_agg(encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex')) FROM pg_proc p
      WHERE p.pronamespace = to_regnamespace('chat') AND p.proname = w.function);

-- name: migration_missing
-- error: The tables are not those of this code. Run `manage.py migrate`.
SELECT migration FROM unnest(%(migrations)s::text[]) AS migration
WHERE migration NOT IN (SELECT m.name FROM django_migrations m WHERE m.app = 'chat');
