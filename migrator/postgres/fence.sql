-- The SQL of the fence; the function that refuses is in schema.sql.

-- name: parts
-- The tables of these quoted names and all of their partitions, with their fences: what each was told (null: there is
-- none), and whether it is whole. A table that is not there has no schema.
SELECT wanted.name AS asked,
       nspname AS schema,
       relname AS name,
       tgargs AS told,
       coalesce(
           -- BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE of a statement, as the server keeps it.
           tgenabled = 'A' AND tgtype = 62 AND tgqual IS NULL AND tgfoid = to_regprocedure('migrator.refuse_write()'),
           false
       ) AS whole
FROM unnest($1::text[]) AS wanted(name)
LEFT JOIN LATERAL (
    SELECT to_regclass(wanted.name)::oid AS oid
    UNION
    SELECT relid FROM pg_partition_tree(to_regclass(wanted.name))
) AS part ON part.oid IS NOT NULL
LEFT JOIN pg_class ON pg_class.oid = part.oid
LEFT JOIN pg_namespace ON pg_namespace.oid = relnamespace
LEFT JOIN pg_trigger ON tgrelid = part.oid AND tgname = 'migrator_fence'
ORDER BY nspname, relname

-- name: pass
-- From here on this transaction may write to fenced tables.
INSERT INTO migrator.carriers DEFAULT VALUES

-- name: pass_no_more
-- It may not any more.
DELETE FROM migrator.carriers WHERE transaction = pg_current_xact_id()
