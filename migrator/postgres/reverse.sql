-- The SQL of the way back: what the engine that carries changes back keeps, and what it asks of the tables it writes.

-- name: hold_phases_still
-- Keeps phases from being moved until the transaction ends; waits for a move that is under way. It fixes no snapshot.
LOCK TABLE migrator.phases IN ACCESS SHARE MODE

-- name: marked
-- Those of the sources $1 of which there is a mark.
SELECT DISTINCT source FROM migrator.marks WHERE source = ANY ($1) ORDER BY source

-- name: unmark
-- Deletes the marks of the sources $1 that this transaction sees.
DELETE FROM migrator.marks WHERE source = ANY ($1)

-- name: references
-- The foreign keys that refer to the relations $1: from where, by which columns, and what becomes of who refers when the
-- row that is referred to is deleted (a, r: it is not; c, n, d: the row that refers is deleted or changed).
SELECT conrelid AS child,
       nspname AS schema,
       relname AS name,
       confrelid AS parent,
       confdeltype::text AS on_delete,
       ARRAY(SELECT attname::text
             FROM unnest(conkey) WITH ORDINALITY AS part(attnum, number)
             JOIN pg_attribute AS attribute ON attrelid = conrelid AND attribute.attnum = part.attnum
             ORDER BY part.number) AS child_columns,
       ARRAY(SELECT attname::text
             FROM unnest(confkey) WITH ORDINALITY AS part(attnum, number)
             JOIN pg_attribute AS attribute ON attrelid = confrelid AND attribute.attnum = part.attnum
             ORDER BY part.number) AS parent_columns
FROM pg_constraint
JOIN pg_class ON pg_class.oid = conrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE contype = 'f' AND conparentid = 0 AND confrelid = ANY ($1::oid[])
ORDER BY conname

-- name: identities
-- The columns of the relation $1 whose values are GENERATED ALWAYS AS IDENTITY.
SELECT attname::text FROM pg_attribute WHERE attrelid = $1 AND attidentity = 'a'

-- name: positions
-- How far the shards of streams of the table $2 were carried back for the model $1.
SELECT stream, shard, position FROM migrator.stream_positions WHERE model = $1 AND target = $2

-- name: note_positions
-- Notes how far shards $4 of the stream $3 of the table $2 are carried back for the model $1: positions $5, lags $6.
INSERT INTO migrator.stream_positions (model, target, stream, shard, position, lag)
SELECT $1, $2, $3, shard, position, lag
FROM unnest($4::text[], $5::text[], $6::float8[]) AS noted(shard, position, lag)
ON CONFLICT (model, target, stream, shard)
DO UPDATE SET position = excluded.position, lag = excluded.lag, read_at = excluded.read_at

-- name: forget_positions
-- Forgets shards $3 of streams of the table $2 for the model $1.
DELETE FROM migrator.stream_positions WHERE model = $1 AND target = $2 AND shard = ANY ($3)

-- name: refuse
-- Records that changes of the table $2 were refused for the model $1: keys $3, entities $4, whether they were removals
-- $5, reasons $6.
INSERT INTO migrator.refused_changes (model, target, key, entity, removed, reason)
SELECT $1, $2, key, entity, removed, reason
FROM unnest($3::text[], $4::text[], $5::boolean[], $6::text[]) AS refused(key, entity, removed, reason)
ON CONFLICT (model, target, key) DO UPDATE
SET entity = excluded.entity, removed = excluded.removed, reason = excluded.reason, tried_at = excluded.tried_at

-- name: settle_refused
-- Forgets refused changes of the table $2 for the model $1: keys $3.
DELETE FROM migrator.refused_changes WHERE model = $1 AND target = $2 AND key = ANY ($3)

-- name: refused
-- Refused changes of the table $2 for the model $1 that were not tried since $3: $4 at most, those that wait longest first.
SELECT key, removed
FROM migrator.refused_changes
WHERE model = $1 AND target = $2 AND tried_at < $3
ORDER BY tried_at, key
LIMIT $4

-- name: refusals
-- The refused changes of the model $1, the oldest first, $2 at most.
SELECT target AS table, key, entity, reason, first_at, tried_at
FROM migrator.refused_changes
WHERE model = $1
ORDER BY first_at, target, key
LIMIT $2

-- name: reverse_backlog
-- How many changes of the tables $2 were refused for the model $1, and for how many seconds the stream of a table was not
-- read, of the one that was not for longest; null: one was never read. And the lag at which they were read.
SELECT (SELECT count(*) FROM migrator.refused_changes WHERE model = $1 AND target = ANY ($2)) AS refused,
       CASE WHEN bool_and(read_at IS NOT NULL)
           THEN max(extract(epoch FROM clock_timestamp() - read_at))::float8
       END AS seconds,
       coalesce(max(lag), 0) AS lag
FROM (
    SELECT max(read_at) AS read_at, max(lag) AS lag
    FROM unnest($2::text[]) AS each(target)
    LEFT JOIN migrator.stream_positions ON model = $1 AND stream_positions.target = each.target
    GROUP BY each.target
) AS latest

-- name: forget_streams
-- Forgets how far streams were read of those of the tables $2 in which no entity of the model $1 is carried back any
-- more: $3 has the entity of each table, and $2 and $3 are of one length.
DELETE FROM migrator.stream_positions
WHERE model = $1 AND target = ANY ($2) AND NOT EXISTS (
    SELECT
    FROM unnest($2::text[], $3::text[]) AS known(target, entity)
    JOIN migrator.phases ON phases.model = $1 AND phases.entity = known.entity
    WHERE known.target = stream_positions.target AND phases.stage IN ('open', 'returning')
)

-- name: forget_refused
-- Forgets refused changes of the entities $2 of the model $1.
DELETE FROM migrator.refused_changes WHERE model = $1 AND entity = ANY ($2)
