-- name: constraint_missing
-- error: A constraint is missing. Create it again: `manage.py sqlmigrate chat 0001` and the later
-- ones show the SQL.
SELECT w.table, w.constraint
FROM unnest(%(constraint_tables)s::text[], %(constraints)s::text[]) AS w ("table", "constraint")
WHERE to_regclass(w.table) IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_constraint c
    LEFT JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.conrelid = to_regclass(w.table)
      AND w.constraint IN (c.conname, c.contype::text || '(' || a.attname || ')'));

-- name: constraint_not_in_force
-- error: A constraint is not enforced: it was never validated, or its triggers are disabled.
SELECT c.conrelid::regclass::text AS table, c.conname AS constraint FROM pg_constraint c
WHERE c.conrelid IN (SELECT to_regclass(t) FROM unnest(%(constraint_tables)s::text[]) AS t)
  AND (NOT c.convalidated OR NOT c.conenforced OR EXISTS (
       SELECT FROM pg_trigger g WHERE g.tgconstraint = c.oid AND g.tgenabled IN ('D', 'R')))
ORDER BY c.conrelid, c.conname;

-- name: index_missing
-- error: An index is missing, so its queries read whole tables. Create it again, CONCURRENTLY:
-- `manage.py sqlmigrate chat 0001` and the later ones show the SQL.
SELECT w.table, w.index
FROM unnest(%(index_tables)s::text[], %(indexes)s::text[]) AS w ("table", index)
WHERE to_regclass(w.table) IS NOT NULL AND to_regclass(w.index) IS NULL;

-- name: index_invalid
-- error: An index is never used, because its creation was interrupted. REINDEX it.
SELECT i.indrelid::regclass::text AS table, i.indexrelid::regclass::text AS index FROM pg_index i
WHERE i.indrelid IN (SELECT to_regclass(t) FROM unnest(%(constraint_tables)s::text[]) AS t)
  AND NOT (i.indisvalid AND i.indisready)
  -- One that is being created at this moment is no finding.
  AND NOT EXISTS (
      SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid);
