-- The SQL of the source edge that is the same for every table. Each statement stands under its name and what it does.

-- name: other_settings
-- Those of the settings $1 that have other values than $2.
SELECT ARRAY(
    SELECT name FROM unnest($1::text[], $2::text[]) AS wanted(name, value)
    WHERE current_setting(name) <> value
    ORDER BY name
)

-- name: writability
-- Whether this session may write: it may not on a replica, nor where transactions begin read-only.
SELECT pg_is_in_recovery() AS in_recovery, current_setting('transaction_read_only')::bool AS read_only

-- name: lock_patience
-- Bounds how long the statements of this transaction wait for a lock. $1: a duration, such as 2s.
SELECT set_config('lock_timeout', $1, true)

-- name: lock
-- Takes the lock of the name $1 for the session, once it is free.
SELECT pg_advisory_lock(hashtextextended('migrator:' || $1, 0))

-- name: unlock
-- Frees the lock of the name $1.
SELECT pg_advisory_unlock(hashtextextended('migrator:' || $1, 0))

-- name: lock_holder
-- The session that holds the lock of the name $1; without pg_read_all_stats the start of another role's session is null.
SELECT activity.pid, activity.application_name, date_trunc('second', activity.backend_start)::text AS since
FROM pg_locks
JOIN pg_stat_activity AS activity USING (pid)
CROSS JOIN (SELECT hashtextextended('migrator:' || $1, 0) AS key) AS wanted
WHERE locktype = 'advisory'
  AND granted
  AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = ((wanted.key >> 32) & 4294967295)::oid
  AND objid = (wanted.key & 4294967295)::oid

-- name: table
-- The relation that to_regclass finds under the quoted name $1: its kind, and what would make reading it incomplete.
SELECT relation.oid,
       namespace.nspname AS schema,
       relation.relname AS name,
       relation.relkind::text AS kind,
       relation.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = relation.oid) AS inherited
FROM pg_class AS relation
JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE relation.oid = to_regclass($1)

-- name: columns
-- The columns of the relation $1 in order. A domain's base is the type at its end, however many domains stand between.
WITH RECURSIVE base AS (
    SELECT attribute.attnum, attribute.atttypid AS oid
    FROM pg_attribute AS attribute
    WHERE attribute.attrelid = $1 AND attribute.attnum > 0 AND NOT attribute.attisdropped
    UNION ALL
    SELECT base.attnum, type.typbasetype
    FROM base
    JOIN pg_type AS type ON type.oid = base.oid
    WHERE type.typtype = 'd'
)
SELECT attribute.attname AS name,
       format_type(attribute.atttypid, -1) AS type,
       format_type(attribute.atttypid, attribute.atttypmod) AS declared_type,
       format_type(base.oid, -1) AS base_type,
       attribute.attnotnull AS not_null,
       attribute.attgenerated <> '' AS generated,
       CASE WHEN attribute.attcollation <> 0 THEN attribute.attcollation::regcollation::text END AS collation,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = base.oid ORDER BY enumsortorder) AS labels
FROM pg_attribute AS attribute
JOIN base ON base.attnum = attribute.attnum
JOIN pg_type AS base_type ON base_type.oid = base.oid AND base_type.typtype <> 'd'
WHERE attribute.attrelid = $1
ORDER BY attribute.attnum

-- name: primary_key
-- The names of the primary key's columns of the relation $1, in the key's order.
SELECT attribute.attname AS name
FROM pg_index AS index
CROSS JOIN unnest(index.indkey) WITH ORDINALITY AS part(attnum, number)
JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = part.attnum
WHERE index.indrelid = $1 AND index.indisprimary AND part.number <= index.indnkeyatts
ORDER BY part.number

-- name: shapes
-- What the quoted names $1 stand for: the relation, its columns with their types, and its primary key.
SELECT wanted.relation AS oid,
       ARRAY(
           SELECT attname || ' ' || format_type(atttypid, atttypmod)
           FROM pg_attribute
           WHERE attrelid = wanted.relation AND attnum > 0 AND NOT attisdropped
       ) AS columns,
       ARRAY(
           SELECT attribute.attname::text
           FROM pg_index AS index
           CROSS JOIN unnest(index.indkey) WITH ORDINALITY AS part(attnum, number)
           JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = part.attnum
           WHERE index.indrelid = wanted.relation AND index.indisprimary AND part.number <= index.indnkeyatts
           ORDER BY part.number
       ) AS key
FROM (SELECT to_regclass(name)::oid AS relation, number FROM unnest($1::text[]) WITH ORDINALITY AS each(name, number))
    AS wanted
ORDER BY number

-- name: types
-- The types that the names $1 stand for, without their modifiers; null where a name means none.
SELECT format_type(to_regtype(name), -1) AS type
FROM unnest($1::text[]) WITH ORDINALITY AS declared(name, number)
ORDER BY number

-- name: size
-- The planner's estimate of the rows of the relation $1 with its partitions, whether it covers them all, and their bytes.
SELECT coalesce(sum(greatest(leaf.reltuples, 0)), 0)::bigint AS rows,
       coalesce(bool_and(leaf.reltuples >= 0), false) AS analyzed,
       coalesce(sum(pg_relation_size(leaf.oid)), 0)::bigint AS bytes
FROM pg_class AS leaf
WHERE leaf.relkind = 'r'
  AND leaf.oid IN (SELECT $1::oid UNION SELECT relid FROM pg_partition_tree($1::oid::regclass))

-- name: database
-- The name of this session's database.
SELECT current_database()

-- name: versions_table
-- Whether the toolkit's schema holds the table of its versions. Read from the catalog: no privilege is needed.
SELECT EXISTS (
    SELECT
    FROM pg_class AS relation
    JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE namespace.nspname = 'migrator' AND relation.relname = 'versions'
)

-- name: installed_version
-- The latest version of the toolkit's schema that is installed.
SELECT coalesce(max(version), 0) FROM migrator.versions

-- name: install_lock
-- Lets one session at a time install, until its transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('migrator:install', 0))

-- name: install
-- Makes the toolkit's schema where there is none (an administrator may have made it for a role that may not create
-- schemas), and brings it to the latest version by the steps that stand in for the comment.
DO $install$
DECLARE
    installed integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('migrator:install', 0));
    IF to_regnamespace('migrator') IS NULL THEN
        CREATE SCHEMA migrator;
    END IF;
    IF to_regclass('migrator.versions') IS NOT NULL THEN
        SELECT coalesce(max(version), 0) INTO installed FROM migrator.versions;
    END IF;
    -- steps
END
$install$

-- name: copy
-- The copy of the source $2 for the model $1.
SELECT model, source, mapping_fingerprint, schema_fingerprint, followed, started_at, finished_at
FROM migrator.copies
WHERE model = $1 AND source = $2

-- name: copies
-- All copies for the model $1, with the totals of their ranges.
SELECT copies.model, copies.source, copies.mapping_fingerprint, copies.schema_fingerprint, copies.followed,
       copies.started_at, copies.finished_at,
       coalesce(sum(row_count), 0)::bigint AS rows,
       coalesce(sum(item_count), 0)::bigint AS items,
       coalesce(sum(expired_count), 0)::bigint AS expired,
       coalesce(sum(set_aside_count), 0)::bigint AS set_aside
FROM migrator.copies
LEFT JOIN migrator.copy_ranges USING (model, source)
WHERE copies.model = $1
GROUP BY copies.model, copies.source
ORDER BY copies.source

-- name: begin_copy
-- Records a copy that begins: model, source, the fingerprints of mapping and schema, whether capture is on.
INSERT INTO migrator.copies (model, source, mapping_fingerprint, schema_fingerprint, followed)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING model, source, mapping_fingerprint, schema_fingerprint, followed, started_at, finished_at

-- name: begin_range
-- Records a range of a copy that begins: model, source, number, lower and upper bound, and when a copy in whose place it
-- begins has sent last.
INSERT INTO migrator.copy_ranges (model, source, number, lower, upper, last_sent_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: ranges
-- The ranges of the copy of the source $2 for the model $1, in order.
SELECT number, lower, upper, position, row_count AS rows, item_count AS items, expired_count AS expired,
       set_aside_count AS set_aside, last_sent_at, settled_at
FROM migrator.copy_ranges
WHERE model = $1 AND source = $2
ORDER BY number

-- name: sending
-- Records that requests for rows of a range are about to be sent: model, source, number, the copy's start, the entity
-- and the phase in which the copy knows it. Nothing is to be sent where it is in another by now.
UPDATE migrator.copy_ranges
SET last_sent_at = clock_timestamp()
WHERE model = $1 AND source = $2 AND number = $3
  AND EXISTS (SELECT FROM migrator.copies WHERE model = $1 AND source = $2 AND started_at = $4)
  AND coalesce((SELECT phase::text FROM migrator.phases WHERE model = $1 AND entity = $5), 'prepare') = $6
RETURNING number

-- name: settle
-- Moves a range from the position $5 to $6, adds to its counts ($7 to $10), ends it where $11 says so, and marks the rows
-- that were set aside ($12 their keys as JSON, $13 the reasons). Moves nothing where the copy that started at $4 is not
-- the one on record, or the range is elsewhere.
WITH moved AS (
    UPDATE migrator.copy_ranges
    SET position = $6::text[],
        row_count = row_count + $7,
        item_count = item_count + $8,
        expired_count = expired_count + $9,
        set_aside_count = set_aside_count + $10,
        last_sent_at = clock_timestamp(),
        settled_at = CASE WHEN $11 THEN clock_timestamp() END
    WHERE model = $1 AND source = $2 AND number = $3
      AND position IS NOT DISTINCT FROM $5::text[]
      AND settled_at IS NULL
      AND EXISTS (SELECT FROM migrator.copies WHERE model = $1 AND source = $2 AND started_at = $4)
      AND coalesce((SELECT phase::text FROM migrator.phases WHERE model = $1 AND entity = $14), 'prepare') = $15
    RETURNING last_sent_at, settled_at
), marked AS (
    INSERT INTO migrator.marks (source, operation, row_key, reason)
    SELECT $2, 'copy', aside.row_key::jsonb, aside.reason
    FROM moved, unnest($12::text[], $13::text[]) AS aside(row_key, reason)
)
SELECT last_sent_at, settled_at FROM moved

-- name: finish_copy
-- Records that a copy is done, if every one of its ranges is settled: model, source, and the copy's start.
UPDATE migrator.copies
SET finished_at = clock_timestamp()
WHERE model = $1 AND source = $2 AND started_at = $3
  AND NOT EXISTS (SELECT FROM migrator.copy_ranges WHERE model = $1 AND source = $2 AND settled_at IS NULL)
RETURNING finished_at

-- name: drop_copy
-- Forgets the copy of the source $2 for the model $1, its ranges with it; returns when it may have sent its last request.
WITH gone AS (
    DELETE FROM migrator.copies WHERE model = $1 AND source = $2
)
SELECT max(last_sent_at) FROM migrator.copy_ranges WHERE model = $1 AND source = $2

-- name: drop_copy_marks
-- Forgets the rows that a copy of the source $1 has set aside.
DELETE FROM migrator.marks WHERE source = $1 AND operation = 'copy'

-- name: set_aside
-- The rows of the source $1 that were set aside, the oldest first, $2 at most.
SELECT id, source, operation::text, row_key::text, marked_at, reason
FROM migrator.marks
WHERE source = $1 AND reason IS NOT NULL
ORDER BY id
LIMIT $2

-- name: set_aside_count
-- How many rows of the source $1 are set aside.
SELECT count(*) FROM migrator.marks WHERE source = $1 AND reason IS NOT NULL

-- name: clear_mark
-- Deletes the mark $1.
DELETE FROM migrator.marks WHERE id = $1 RETURNING id

-- name: begin_verification
-- Records that a verification begins: model, fingerprint of its mapping, scope as JSON, and since when, where it goes on
-- with an earlier one. The lock that is the session's from here on says that it is under way.
WITH begun AS (
    INSERT INTO migrator.verifications (model, mapping_fingerprint, scope, started_at)
    VALUES ($1, $2, $3::text::jsonb, coalesce($4::timestamptz, clock_timestamp()))
    RETURNING *
)
SELECT id, model, mapping_fingerprint, started_at, finished_at, scope::text, counts::text, cost::text,
       'running' AS outcome, failure, report,
       pg_advisory_lock(hashtextextended('migrator:verification:' || id, 0))::text AS lock
FROM begun

-- name: finish_verification
-- Records how the verification $1 has ended: outcome, scope, counts and cost as JSON, and why it has failed, if it has.
UPDATE migrator.verifications
SET finished_at = clock_timestamp(), outcome = $2::text::migrator.outcome, scope = $3::text::jsonb,
    counts = $4::text::jsonb, cost = $5::text::jsonb, failure = $6
WHERE id = $1

-- name: record_failure
-- Records a verification that could not begin: model, fingerprint of its mapping, when it was, scope as JSON, and why.
INSERT INTO migrator.verifications (model, mapping_fingerprint, started_at, finished_at, scope, outcome, failure)
VALUES ($1, $2, $3, greatest($3, clock_timestamp()), $4::text::jsonb, 'failed', $5)

-- name: name_report
-- Records the file $2 that tells of the verification $1.
UPDATE migrator.verifications SET report = $2 WHERE id = $1

-- name: verifications
-- The verifications of the model $1, the latest first, $2 at most; with $3, those only that came to a verdict, and with $4
-- those only that looked at everything. A replica does not see the locks of its primary.
SELECT id, model, mapping_fingerprint, started_at, finished_at, scope::text, counts::text, cost::text, failure, report,
       coalesce(outcome::text, CASE WHEN pg_is_in_recovery() OR EXISTS (
           SELECT
           FROM pg_locks
           CROSS JOIN (SELECT hashtextextended('migrator:verification:' || verifications.id, 0) AS key) AS held
           WHERE locktype = 'advisory'
             AND granted
             AND objsubid = 1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND classid = ((held.key >> 32) & 4294967295)::oid
             AND objid = (held.key & 4294967295)::oid
       ) THEN 'running' ELSE 'interrupted' END) AS outcome
FROM migrator.verifications
WHERE model = $1
  AND (NOT $3 OR outcome IN ('equal', 'different'))
  AND (NOT $4 OR scope -> 'whole' = 'true')
ORDER BY id DESC
LIMIT $2

-- name: since_proof
-- What has happened since the verification $2 of the model $1 began: the latest one that found differences, the tables
-- that were copied, and how many divergences are open.
SELECT clock_timestamp() - proof.started_at AS age,
       (SELECT max(later.started_at)
        FROM migrator.verifications AS later
        WHERE later.model = proof.model AND later.id > proof.id AND later.outcome = 'different') AS differing_at,
       ARRAY(SELECT source FROM migrator.copies
             WHERE copies.model = proof.model AND coalesce(finished_at, copies.started_at) > proof.started_at
             ORDER BY source) AS copied,
       (SELECT count(*) FROM migrator.divergences
        WHERE divergences.model = proof.model AND repaired_at IS NULL) AS open
FROM migrator.verifications AS proof
WHERE proof.model = $1 AND proof.id = $2

-- name: forget_verifications
-- Forgets verifications that ended more than $1 days ago, but for the latest of each model.
DELETE FROM migrator.verifications
WHERE coalesce(finished_at, started_at) < clock_timestamp() - make_interval(days => $1)
  AND id NOT IN (SELECT max(id) FROM migrator.verifications GROUP BY model)

-- name: truncation_set_aside
-- Why the latest TRUNCATE of the source $1 was set aside.
SELECT reason FROM migrator.marks
WHERE source = $1 AND operation = 'truncate' AND reason IS NOT NULL
ORDER BY id DESC
LIMIT 1

-- name: record_divergences
-- Records what the verification $2 of the model $1 has found: tables, keys, verdicts, entities, attributes, causes.
INSERT INTO migrator.divergences AS known
    (model, target, key, verdict, entity, attributes, cause, first_verification, last_verification)
SELECT $1, target, key, verdict, entity, attributes, cause, $2, $2
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS found(target, key, verdict, entity, attributes, cause)
ON CONFLICT (model, target, md5(key), verdict) DO UPDATE
SET entity = excluded.entity, attributes = excluded.attributes, cause = coalesce(excluded.cause, known.cause),
    last_verification = excluded.last_verification, last_seen = excluded.last_seen, times = known.times + 1,
    repaired_at = NULL
WHERE known.last_verification < excluded.last_verification

-- name: close_divergences
-- Closes what verifications before $2 of the model $1 have found and this one has not: of the entities $3, and of no
-- entity in the tables $4; but not of the keys $6, in the tables $5, of which it can say nothing.
UPDATE migrator.divergences SET repaired_at = clock_timestamp()
WHERE model = $1 AND repaired_at IS NULL AND last_verification < $2
  AND (entity = ANY ($3) OR (entity IS NULL AND target = ANY ($4)))
  AND (target, key) NOT IN (SELECT * FROM unnest($5::text[], $6::text[]))

-- name: close_divergences_of_keys
-- Closes what verifications before $2 of the model $1 have found of the keys $4 in the table $3.
UPDATE migrator.divergences SET repaired_at = clock_timestamp()
WHERE model = $1 AND repaired_at IS NULL AND last_verification < $2 AND target = $3
  AND (md5(key), key) IN (SELECT md5(closed), closed FROM unnest($4::text[]) AS closed)

-- name: end_divergences
-- Closes what was found of the entities $2 of the model $1, of which nothing is said any more.
UPDATE migrator.divergences SET repaired_at = clock_timestamp()
WHERE model = $1 AND entity = ANY ($2::text[]) AND repaired_at IS NULL

-- name: divergences
-- The divergences of the model $1, seen latest first, $2 at most; with $3, the open ones only.
SELECT target AS table, key, verdict, entity, attributes, cause, first_verification, last_verification, times,
       first_seen, last_seen, repaired_at
FROM migrator.divergences
WHERE model = $1 AND (NOT $3 OR repaired_at IS NULL)
ORDER BY last_verification DESC, id
LIMIT $2

-- name: open_divergences
-- How many divergences of the model $1 are open.
SELECT count(*) FROM migrator.divergences WHERE model = $1 AND repaired_at IS NULL

-- name: forget_divergences
-- Forgets divergences that were closed more than $1 days ago, and the oldest beyond $2 in all, closed ones first.
DELETE FROM migrator.divergences
WHERE repaired_at < clock_timestamp() - make_interval(days => $1)
   OR id IN (SELECT id FROM migrator.divergences ORDER BY repaired_at IS NULL DESC, last_seen DESC, id DESC OFFSET $2)

-- name: record_rehearsal
-- Records a rehearsal: model, fingerprint of its mapping, when it began and ended, the sample, whether all was proven, and
-- its counts as JSON.
INSERT INTO migrator.rehearsals (model, mapping_fingerprint, started_at, finished_at, sample, proven, counts)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb)

-- name: latest_rehearsal
-- The latest rehearsal of the model $1.
SELECT mapping_fingerprint, started_at, finished_at, sample, proven, counts::text
FROM migrator.rehearsals
WHERE model = $1
ORDER BY id DESC
LIMIT 1

-- name: now
-- The server's clock, by which all ages are judged.
SELECT clock_timestamp()

-- name: claim_marks
-- Locks marks of the sources $1 that nobody else works on, the oldest first, $2 at most.
SELECT id, source, operation::text, row_key::text, old_key::text, marked_at
FROM migrator.marks
WHERE reason IS NULL AND source = ANY ($1)
ORDER BY id
LIMIT $2
FOR UPDATE SKIP LOCKED

-- name: make_marks
-- Marks rows of the source $1 as changed: their keys since $2 (null: gone, or not known) and before $3, as JSON.
INSERT INTO migrator.marks (source, operation, row_key, old_key)
SELECT $1, CASE WHEN row_key IS NULL THEN 'delete' ELSE 'update' END::migrator.operation, row_key::jsonb, old_key::jsonb
FROM unnest($2::text[], $3::text[]) AS missed(row_key, old_key)
RETURNING id

-- name: claim_these_marks
-- Locks those of the marks $1 that wait and that nobody else works on.
SELECT id, source, operation::text, row_key::text, old_key::text, marked_at
FROM migrator.marks
WHERE reason IS NULL AND id = ANY ($1)
ORDER BY id
FOR UPDATE SKIP LOCKED

-- name: waiting_marks
-- Those of the marks $1 that wait, locked or not.
SELECT id FROM migrator.marks WHERE reason IS NULL AND id = ANY ($1)

-- name: delete_marks
-- Deletes the marks $1.
DELETE FROM migrator.marks WHERE id = ANY ($1)

-- name: give_reasons
-- Sets the marks $1 aside, for the reasons $2.
UPDATE migrator.marks SET reason = given.reason
FROM unnest($1::bigint[], $2::text[]) AS given(id, reason)
WHERE marks.id = given.id

-- name: try_again
-- Lets the marks of the sources $1 that were set aside wait for their turn again, those of a TRUNCATE excepted: the ones
-- after $2, $3 at most.
UPDATE migrator.marks SET reason = NULL
WHERE id IN (
    SELECT id
    FROM migrator.marks
    WHERE reason IS NOT NULL AND operation <> 'truncate' AND source = ANY ($1) AND id > $2
    ORDER BY id
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
RETURNING id

-- name: to_try_again
-- How many marks of the sources $1 were set aside, those of a TRUNCATE excepted.
SELECT count(*) FROM migrator.marks WHERE reason IS NOT NULL AND operation <> 'truncate' AND source = ANY ($1)

-- name: backlog
-- The marks of the sources $1 that wait for their turn: how many, when the oldest was made, and how many seconds ago; and
-- how many are set aside.
SELECT count(*) FILTER (WHERE reason IS NULL) AS waiting,
       min(marked_at) FILTER (WHERE reason IS NULL) AS oldest,
       extract(epoch FROM clock_timestamp() - min(marked_at) FILTER (WHERE reason IS NULL))::float8 AS lag,
       count(*) FILTER (WHERE reason IS NOT NULL) AS set_aside
FROM migrator.marks
WHERE source = ANY ($1)

-- name: horizon
-- The id that a mark was given last, and the oldest mark of the sources $1 that there still is.
SELECT (SELECT last_value FROM migrator.marks_id_seq) AS last,
       (SELECT id FROM migrator.marks WHERE source = ANY ($1) ORDER BY id LIMIT 1) AS oldest

-- name: marks_size
-- The bytes that the marks take on disk.
SELECT pg_total_relation_size('migrator.marks')

-- name: waiting_marks_bytes
-- The bytes that the live marks take on disk, about: what was deleted is room for others, and is not counted.
SELECT (pg_stat_get_live_tuples('migrator.marks'::regclass)
        * (80 + coalesce((SELECT sum(avg_width) FROM pg_stats WHERE (schemaname, tablename) = ('migrator', 'marks')), 120))
       )::bigint

-- name: moment
-- What a snapshot needs beside the rows: the server's clock, a version for what is written from it (no number comes
-- twice, and a timeline's are above those of the one before), and the entities of the model $1 whose items are written
-- as the source says.
SELECT clock_timestamp() AS at,
       ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint * 1099511627776
           + nextval('migrator.item_versions') AS version,
       ARRAY(
           SELECT entity
           FROM migrator.phases
           WHERE model = $1 AND (phase IN ('dual_write', 'read_target') OR stage = 'fenced')
       ) AS followed

-- name: record_tombstones
-- Records tombstones of the target $1 that were written at $4: keys $2, versions $3. Whoever comes later with an older
-- one was slow: the newer one stands in the target.
INSERT INTO migrator.tombstones (target, key, version, written_at)
SELECT $1, key, version, $4 FROM unnest($2::text[], $3::numeric[]) AS written(key, version)
ON CONFLICT (target, key) DO UPDATE SET version = excluded.version, written_at = excluded.written_at
WHERE tombstones.version < excluded.version

-- name: old_tombstones
-- Tombstones of the target $1 that were written more than $2 seconds ago, $3 at most.
SELECT key, version::text
FROM migrator.tombstones
WHERE target = $1 AND written_at < clock_timestamp() - make_interval(secs => $2)
ORDER BY written_at
LIMIT $3

-- name: forget_tombstones
-- Forgets the tombstones of the target $1 with the keys $2 and the versions $3.
DELETE FROM migrator.tombstones
USING unnest($2::text[], $3::numeric[]) AS purged(key, version)
WHERE tombstones.target = $1 AND tombstones.key = purged.key AND tombstones.version = purged.version

-- name: phases
-- The phases of the model $1 by entity. Older versions of the schema have no percentage, fingerprint and
-- stage.
SELECT entity, phase::text, epoch, changed_at, extract(epoch FROM clock_timestamp() - changed_at)::float8 AS seconds,
       coalesce((to_jsonb(phases) ->> 'percent')::int, 0) AS percent,
       to_jsonb(phases) ->> 'mapping_fingerprint' AS fingerprint, to_jsonb(phases) ->> 'stage' AS stage
FROM migrator.phases
WHERE model = $1

-- name: phases_table
-- Whether there is a table of phases. Read from the catalog: no privilege is needed.
SELECT EXISTS (
    SELECT
    FROM pg_class AS relation
    JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE namespace.nspname = 'migrator' AND relation.relname = 'phases'
)

-- name: hold_copies
-- Waits until no copy records what it is about to send, and lets none do so until the transaction ends.
LOCK TABLE migrator.copy_ranges IN SHARE ROW EXCLUSIVE MODE

-- name: hold_phases
-- Waits until no snapshot is under way, and lets none be taken until the transaction ends: whatever is read in the
-- phase before was read before this.
LOCK TABLE migrator.phases IN ACCESS EXCLUSIVE MODE

-- name: move_phase
-- Moves the entities $2 of the model $1 to the phase $3, with $4 percent of reads from the target; $5 are the
-- fingerprints of their mappings, $6 is the stage.
INSERT INTO migrator.phases (model, entity, phase, percent, mapping_fingerprint, stage)
SELECT $1, entity, $3::text::migrator.phase, $4, fingerprint, $6::text::migrator.stage
FROM unnest($2::text[], $5::text[]) AS moved(entity, fingerprint)
ON CONFLICT (model, entity) DO UPDATE
SET phase = excluded.phase, percent = excluded.percent, mapping_fingerprint = excluded.mapping_fingerprint,
    stage = excluded.stage, epoch = phases.epoch + 1, changed_at = clock_timestamp()
WHERE (phases.phase, phases.percent, phases.stage) IS DISTINCT FROM (excluded.phase, excluded.percent, excluded.stage)

-- name: sources_last_sent
-- When a copy for the model $1 may have sent its last request for rows of each source, as seconds before now.
SELECT source, extract(epoch FROM clock_timestamp() - max(last_sent_at))::float8 AS seconds
FROM migrator.copy_ranges
WHERE model = $1 AND last_sent_at IS NOT NULL
GROUP BY source

-- name: last_sent
-- When a copy for the model $1 may have sent its last request, as seconds before now; null: none has sent any.
SELECT extract(epoch FROM clock_timestamp() - max(last_sent_at))::float8
FROM migrator.copy_ranges
WHERE model = $1

-- name: note_timeline
-- Notes the timeline that the source is on, where it is a new one.
INSERT INTO migrator.timelines (timeline) VALUES (migrator.timeline()) ON CONFLICT DO NOTHING

-- name: promotion
-- For how many seconds a timeline is known that is not the first, and those of the sources $1 that were last in order on
-- one before.
SELECT extract(epoch FROM clock_timestamp() - seen_at)::float8 AS seconds,
       ARRAY(SELECT source FROM migrator.captures
             WHERE source = ANY ($1) AND captures.timeline <> timelines.timeline ORDER BY source) AS sources
FROM migrator.timelines
WHERE timeline = migrator.timeline() AND timeline > (SELECT min(timeline) FROM migrator.timelines)

-- name: advance_versions
-- Has the next versions be above those that applications have given, which are made of the time in nanoseconds.
SELECT setval(
    'migrator.item_versions',
    greatest(last_value, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000 + 999)
)
FROM migrator.item_versions
