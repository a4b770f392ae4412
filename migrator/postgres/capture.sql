-- The SQL of capture that is the same for every table; what installs it is in schema.sql.

-- name: standing
-- For each quoted table name in $1, what is there of capture, what is on record of it, and whether the two agree.
-- Marks are searched for TRUNCATE only where something has happened to the table: that may take a while.
SELECT wanted.relation IS NOT NULL AS exists,
       (SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = wanted.relation) AS name,
       capture.source,
       capture.columns,
       capture.installed_at,
       capture.state::text AS recorded,
       present.state::text AS present,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = wanted.relation AND attnum > 0 AND NOT attisdropped) AS existing,
       migrator.function_state(function.oid) = capture.function AS own_function,
       function.prosrc = migrator.capture_body(capture.source, wanted.relation, capture.columns) AS fitting,
       has_schema_privilege(function.proowner, 'migrator', 'USAGE')
           AND has_table_privilege(function.proowner, 'migrator.marks', 'INSERT') AS privileged,
       pg_get_userbyid(function.proowner) AS owner,
       CASE WHEN capture.state <> present.state THEN EXISTS (
           SELECT FROM migrator.marks WHERE marks.source = capture.source AND operation = 'truncate'
       ) ELSE false END AS truncated,
       -- Read so that a schema of before this column does as well.
       (to_jsonb(capture) ->> 'timeline')::bigint AS timeline,
       CASE WHEN NOT pg_is_in_recovery()
           THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
       END AS present_timeline
FROM (SELECT to_regclass(name)::oid AS relation, number FROM unnest($1::text[]) WITH ORDINALITY AS each(name, number))
    AS wanted
CROSS JOIN LATERAL (SELECT migrator.capture_state(wanted.relation) AS state) AS present
LEFT JOIN migrator.captures AS capture ON capture.relation = wanted.relation
LEFT JOIN pg_trigger ON tgrelid = wanted.relation AND tgname = 'migrator_capture'
LEFT JOIN pg_proc AS function ON function.oid = tgfoid
ORDER BY number

-- name: look
-- What is to be accepted of the source $1, should everything up to now have been brought to the target.
SELECT migrator.capture_state(relation)::text AS state,
       ARRAY(
           SELECT id
           FROM migrator.marks
           WHERE marks.source = $1
             AND (operation = 'truncate'
                  OR reason IS NOT NULL AND (NOT row_key ?& migrator.key_columns(captures.relation)
                                             OR NOT old_key ?& captures.columns))
       ) AS unnamed,
       migrator.timeline() AS timeline
FROM migrator.captures
WHERE captures.source = $1

-- name: accept
-- Puts the state $2 of the source $1 and its timeline $4 on record, and deletes the marks $3 that do not name all keys they are about, as far
-- as they are set aside still.
WITH accepted AS (
    UPDATE migrator.captures SET state = $2::text::jsonb, timeline = $4, accepted_at = clock_timestamp() WHERE source = $1
    RETURNING source
)
DELETE FROM migrator.marks
WHERE id = ANY ($3::bigint[])
  AND source IN (SELECT source FROM accepted)
  AND (operation = 'truncate' OR reason IS NOT NULL)

-- name: captures_exist
-- The table of captures, or null where the toolkit's schema is not installed, or of its first version.
SELECT to_regclass('migrator.captures')

-- name: captured
-- The tables that capture is on record for, with their columns: those that are gone under their last name, and none that
-- have lost the trigger.
SELECT coalesce(nspname, split_part(source, '.', 1)) AS schema,
       coalesce(relname, substr(source, strpos(source, '.') + 1)) AS name,
       columns
FROM migrator.captures
LEFT JOIN pg_class ON pg_class.oid = captures.relation
LEFT JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid IS NULL
   OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgname = 'migrator_capture')
ORDER BY 1, 2
