-- The toolkit's own tables in the source database. Each version stands under its name and is what it adds to the one
-- before; an installed version is never edited.

-- name: version_1
CREATE TABLE migrator.versions (
    version integer PRIMARY KEY,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A copy of one source table for one model.
CREATE TABLE migrator.copies (
    model text NOT NULL,
    source text NOT NULL,
    mapping_fingerprint text NOT NULL,
    schema_fingerprint text NOT NULL,
    followed boolean NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (model, source)
);
COMMENT ON COLUMN migrator.copies.followed IS 'capture was installed when the copy started: later changes are marked';

CREATE TABLE migrator.copy_ranges (
    model text NOT NULL,
    source text NOT NULL,
    number integer NOT NULL,
    lower text[],
    upper text[],
    position text[],
    row_count bigint NOT NULL DEFAULT 0,
    item_count bigint NOT NULL DEFAULT 0,
    expired_count bigint NOT NULL DEFAULT 0,
    set_aside_count bigint NOT NULL DEFAULT 0,
    last_sent_at timestamptz,
    settled_at timestamptz,
    PRIMARY KEY (model, source, number),
    FOREIGN KEY (model, source) REFERENCES migrator.copies ON DELETE CASCADE
);
COMMENT ON TABLE migrator.copy_ranges IS 'a range of keys: above lower, up to and including upper; null is no bound';
COMMENT ON COLUMN migrator.copy_ranges.position IS 'the last key whose items are in the target';
COMMENT ON COLUMN migrator.copy_ranges.last_sent_at IS
    'recorded before the range is read and with each page that settles: what was read later is sent within its deadline';
COMMENT ON COLUMN migrator.copy_ranges.settled_at IS 'when the whole range was in the target; null: not yet';

CREATE TABLE migrator.marks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('insert', 'update', 'delete', 'truncate', 'copy')),
    row_key jsonb,
    old_key jsonb,
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text
);
COMMENT ON TABLE migrator.marks IS 'rows whose items are not known to be in the target';
COMMENT ON COLUMN migrator.marks.reason IS 'why the row was set aside; null: it waits for its turn';
CREATE INDEX marks_set_aside ON migrator.marks (source, id) WHERE reason IS NOT NULL;

CREATE TABLE migrator.verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    mapping_fingerprint text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    scope jsonb NOT NULL,
    counts jsonb NOT NULL,
    clean boolean NOT NULL
);
CREATE INDEX verifications_latest ON migrator.verifications (model, id);

-- name: version_2
-- Marks are written once per changed row, in the writer's own transaction. An enum is checked where it is read from a
-- literal, once; a CHECK constraint and the predicate of a partial index are compiled anew by every INSERT, and cost
-- more than the rest of it.
CREATE TYPE migrator.operation AS ENUM ('insert', 'update', 'delete', 'truncate', 'copy');
ALTER TABLE migrator.marks DROP CONSTRAINT marks_operation_check;
ALTER TABLE migrator.marks ALTER COLUMN operation TYPE migrator.operation USING operation::migrator.operation;
DROP INDEX migrator.marks_set_aside;
COMMENT ON COLUMN migrator.marks.row_key IS
    'the row''s primary key now, column name -> text; null: the row was deleted, or all rows were truncated';
COMMENT ON COLUMN migrator.marks.old_key IS
    'of the row before, the columns that item keys use, column name -> text; null: they have not changed';

-- What was captured when, and how the tables looked then: what happened to them since without a mark is the difference.
CREATE TABLE migrator.captures (
    source text PRIMARY KEY,
    relation oid NOT NULL,
    columns text[] NOT NULL,
    function text NOT NULL,
    state jsonb NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN migrator.captures.columns IS 'what marks hold of an old row: the primary key first';
COMMENT ON COLUMN migrator.captures.function IS 'migrator.function_state of the trigger function, as it was installed';
COMMENT ON COLUMN migrator.captures.state IS 'migrator.capture_state when every change so far was marked or copied';

-- The table, its partitions and theirs, as far as it matters whether all of their changes were marked. By oid: the name,
-- the file that holds the rows, and the system's own versions (xmin) of the columns and of each trigger of capture. A
-- trigger that was disabled for a while is another version, as is one that came with a partition attached again.
CREATE FUNCTION migrator.capture_state(root oid) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT jsonb_object_agg(relation.oid::text, jsonb_build_object(
        'name', namespace.nspname || '.' || relation.relname,
        'file', pg_relation_filenode(relation.oid)::text,
        'columns', (
            SELECT md5(string_agg(attnum::text || ' ' || attribute.xmin::text, ',' ORDER BY attnum))
            FROM pg_attribute AS attribute
            WHERE attribute.attrelid = relation.oid AND attnum > 0
        ),
        'triggers', (
            SELECT coalesce(jsonb_object_agg(capture.tgname, jsonb_build_object(
                'version', capture.xmin::text,
                'always', capture.tgenabled = 'A',
                -- tgtype as the server keeps it: AFTER INSERT OR UPDATE OR DELETE of a row, AFTER TRUNCATE.
                'whole', capture.tgqual IS NULL
                    AND capture.tgtype = CASE capture.tgname WHEN 'migrator_capture' THEN 29 ELSE 32 END
                    AND capture.tgfoid = (
                        SELECT tgfoid FROM pg_trigger WHERE tgrelid = root AND tgname = 'migrator_capture'
                    )
            )), '{}')
            FROM pg_trigger AS capture
            WHERE capture.tgrelid = relation.oid
              AND capture.tgname IN ('migrator_capture', 'migrator_capture_truncate')
        )
    ))
    FROM pg_class AS relation
    JOIN pg_namespace AS namespace ON namespace.oid = relation.relnamespace
    WHERE relation.oid = root OR relation.oid IN (SELECT relid FROM pg_partition_tree(root::regclass))
$function$;

-- All that decides what a trigger function does.
CREATE FUNCTION migrator.function_state(function oid) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT md5(concat_ws(' ', prosrc, proconfig::text, prosecdef::text, lanname))
    FROM pg_proc
    JOIN pg_language AS language ON language.oid = prolang
    WHERE pg_proc.oid = function
$function$;

-- The columns of a table's primary key, in its order.
CREATE FUNCTION migrator.key_columns(relation oid) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT coalesce(array_agg(attname::text ORDER BY part.number), '{}')
    FROM pg_index
    CROSS JOIN unnest(indkey) WITH ORDINALITY AS part(attnum, number)
    JOIN pg_attribute AS attribute ON attribute.attrelid = indrelid AND attribute.attnum = part.attnum
    WHERE indrelid = relation AND indisprimary AND part.number <= indnkeyatts
$function$;

-- How these columns are captured: as what text, which settings of a session that text depends on, and whether values
-- that are equal are the same (of citext, numeric or text under some collations they need not be).
CREATE FUNCTION migrator.captured_columns(relation oid, names text[])
RETURNS TABLE (name text, type text, value text, settings text[], exact boolean) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    WITH RECURSIVE base AS (
        SELECT wanted.number, wanted.name, attribute.attcollation AS collation, attribute.atttypid AS oid
        FROM unnest(names) WITH ORDINALITY AS wanted(name, number)
        JOIN pg_attribute AS attribute ON attribute.attrelid = relation AND attribute.attname = wanted.name
        WHERE attribute.attnum > 0 AND NOT attribute.attisdropped
        UNION ALL
        SELECT base.number, base.name, base.collation, type.typbasetype
        FROM base
        JOIN pg_type AS type ON type.oid = base.oid AND type.typtype = 'd'
    ),
    typed AS (
        SELECT base.number, base.name, base.collation, type.typtype, type.typcategory,
               format_type(base.oid, -1) AS type, type.typnamespace = 'pg_catalog'::regnamespace AS own,
               namespace.nspname AS output_schema, output.proname AS output
        FROM base
        JOIN pg_type AS type ON type.oid = base.oid AND type.typtype <> 'd'
        JOIN pg_proc AS output ON output.oid = type.typoutput
        JOIN pg_namespace AS namespace ON namespace.oid = output.pronamespace
    )
    SELECT typed.name,
           typed.type,
           CASE
               -- jsonb prints these as the type does, and dates in the ISO form whatever the session's DateStyle is.
               WHEN typed.type IN ('text', 'character varying', 'bpchar', 'name', 'uuid', 'date',
                                   'timestamp without time zone', 'time without time zone') THEN '%s'
               -- The time at UTC, whatever the session's TimeZone is.
               WHEN typed.type = 'timestamp with time zone' THEN 'pg_catalog.timezone(''UTC''::pg_catalog.text, %s)'
               WHEN own THEN '%s::pg_catalog.text'
               -- A user's type may have casts of its own; its output function is what every client reads.
               ELSE format('pg_catalog.textin(%I.%I(%%s))', output_schema, output)
           END,
           CASE
               WHEN typed.type IN ('real', 'double precision') THEN ARRAY['extra_float_digits = 1']
               WHEN typed.type = 'bytea' THEN ARRAY['bytea_output = hex']
               WHEN typed.type = 'interval' THEN ARRAY['intervalstyle = iso_8601']
               WHEN typed.type = 'money' THEN ARRAY['lc_monetary = ''C''']
               WHEN typtype = 'e' OR typcategory = 'S' OR own AND (typcategory IN ('B', 'I', 'V') OR typed.type IN (
                   'smallint', 'integer', 'bigint', 'numeric', 'oid', 'uuid', 'jsonb', 'macaddr', 'macaddr8', 'date',
                   'timestamp without time zone', 'timestamp with time zone', 'time without time zone',
                   'time with time zone', 'smallint[]', 'integer[]', 'bigint[]', 'numeric[]', 'text[]', 'uuid[]'
               )) THEN '{}'
               ELSE ARRAY['search_path = pg_catalog, pg_temp', 'datestyle = iso, mdy', 'timezone = ''UTC''',
                          'intervalstyle = iso_8601', 'extra_float_digits = 1', 'bytea_output = hex',
                          'lc_monetary = ''C''']
           END,
           (typtype = 'e' OR own AND typed.type IN (
               'text', 'character varying', 'name', 'uuid', 'date', 'timestamp without time zone',
               'timestamp with time zone', 'time without time zone', 'smallint', 'integer', 'bigint', 'boolean',
               'bytea'
           )) AND coalesce((SELECT collisdeterministic FROM pg_collation WHERE oid = typed.collation), true)
    FROM typed
    ORDER BY number
$function$;

-- The body of a table's trigger function. It runs with the writer's settings, search_path included: every name in it,
-- operators too, is qualified, and its literals read the same with and without standard_conforming_strings.
CREATE FUNCTION migrator.capture_body(source text, relation oid, names text[]) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    WITH parts AS (
        SELECT jsonb_agg(concat(name, ' ', type)) AS columns,
               string_agg(format('%L, ', name) || format(value, format('NEW.%I', name)), ', ')
                   FILTER (WHERE name = ANY (migrator.key_columns(relation))) AS row_key,
               string_agg(format('%L, ', name) || format(value, format('OLD.%I', name)), ', ') AS old_key,
               string_agg(format('OLD.%1$I OPERATOR(pg_catalog.=) NEW.%1$I', name), ' AND ')
                   FILTER (WHERE exact) AS equal,
               string_agg(format('OLD.%I', name), ', ') FILTER (WHERE NOT exact) AS old_inexact,
               string_agg(format('NEW.%I', name), ', ') FILTER (WHERE NOT exact) AS new_inexact
        FROM migrator.captured_columns(relation, names)
    )
    SELECT format(
        $body$
-- Made by migrator.create_capture for %5$s. A NULL among these counts as a change.
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO migrator.marks (source, operation, row_key)
        VALUES (%1$L, 'insert', pg_catalog.jsonb_build_object(%2$s));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        IF %4$s THEN
            INSERT INTO migrator.marks (source, operation, row_key)
            VALUES (%1$L, 'update', pg_catalog.jsonb_build_object(%2$s));
        ELSE
            INSERT INTO migrator.marks (source, operation, row_key, old_key)
            VALUES (%1$L, 'update', pg_catalog.jsonb_build_object(%2$s), pg_catalog.jsonb_build_object(%3$s));
        END IF;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO migrator.marks (source, operation, old_key)
        VALUES (%1$L, 'delete', pg_catalog.jsonb_build_object(%3$s));
    ELSE
        INSERT INTO migrator.marks (source, operation) VALUES (%1$L, 'truncate');
    END IF;
    RETURN NULL;
END
$body$,
        source,
        row_key,
        old_key,
        concat_ws(
            ' AND ',
            equal,
            -- As bytes, for types that hold different values for equal, or have no equality.
            'ROW(' || old_inexact || ')::pg_catalog.record OPERATOR(pg_catalog.*=) '
                || 'ROW(' || new_inexact || ')::pg_catalog.record'
        ),
        columns
    )
    FROM parts
$function$;

-- The name of a table's trigger function; a name has 63 bytes at most.
CREATE FUNCTION migrator.capture_function(source text) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT 'capture_' || CASE WHEN octet_length(source) <= 55 THEN source ELSE md5(source) END
$function$;

-- Puts one trigger of capture on a table, where it is not there as it should be.
CREATE FUNCTION migrator.create_capture_trigger(part regclass, trigger_name text, events text, function_name text)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    found_trigger pg_trigger;
BEGIN
    SELECT * INTO found_trigger FROM pg_trigger WHERE tgrelid = part AND tgname = trigger_name;
    IF found_trigger.tgfoid = format('migrator.%I()', function_name)::regprocedure
        AND found_trigger.tgtype = (CASE trigger_name WHEN 'migrator_capture' THEN 29 ELSE 32 END)
        AND found_trigger.tgqual IS NULL
    THEN
        RETURN;
    END IF;
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', trigger_name, part);
    EXECUTE format('CREATE TRIGGER %I AFTER %s EXECUTE FUNCTION migrator.%I()', trigger_name,
                   replace(events, 'TABLE', part::text), function_name);
END
$function$;

-- Installs capture on a table and its partitions, or brings it to these columns (null: the primary key alone). Waits for
-- writers in flight, no longer than `patience`. What is on record of a capture that stands already is kept: that no
-- change is missing is for those to say who have brought the target up to date.
CREATE FUNCTION migrator.create_capture(captured regclass, wanted text[] DEFAULT NULL, patience text DEFAULT '5s')
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0
AS $function$
DECLARE
    new_source text;
    old_source text;
    key text[];
    names text[];
    unusable text;
    function_name text;
    part regclass;
    trigger_name text;
BEGIN
    PERFORM set_config('lock_timeout', patience, true);
    SELECT nspname || '.' || relname INTO new_source
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = captured;
    SELECT string_agg(relname, ', ') INTO unusable
    FROM pg_class
    WHERE (pg_class.oid = captured OR pg_class.oid IN (SELECT relid FROM pg_partition_tree(captured)))
      AND (relkind NOT IN ('r', 'p')
           OR relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = pg_class.oid));
    IF unusable IS NOT NULL THEN
        RAISE EXCEPTION 'no capture on %: % is no ordinary or partitioned table, or has children by INHERITS',
            new_source, unusable USING ERRCODE = 'wrong_object_type';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', captured);
    key := migrator.key_columns(captured);
    IF key = '{}' THEN
        RAISE EXCEPTION 'no capture on %: it has no primary key', new_source USING ERRCODE = 'wrong_object_type';
    END IF;
    names := key || ARRAY(SELECT name FROM unnest(wanted) WITH ORDINALITY AS each(name, place)
                          WHERE name <> ALL (key) GROUP BY name ORDER BY min(place));
    SELECT string_agg(name, ', ') INTO unusable
    FROM unnest(names) AS name
    WHERE name NOT IN (SELECT each.name FROM migrator.captured_columns(captured, names) AS each);
    IF unusable IS NOT NULL THEN
        RAISE EXCEPTION 'no capture on %: it has no column %', new_source, unusable USING ERRCODE = 'undefined_column';
    END IF;
    SELECT string_agg(attname, ', ') INTO unusable
    FROM pg_attribute WHERE attrelid = captured AND attname = ANY (names) AND attgenerated = 'v';
    IF unusable IS NOT NULL THEN
        RAISE EXCEPTION 'no capture on %: % is a virtual generated column, which triggers do not see',
            new_source, unusable USING ERRCODE = 'wrong_object_type';
    END IF;

    function_name := migrator.capture_function(new_source);
    -- A partition that was detached takes the trigger of TRUNCATE with it.
    FOR part, trigger_name IN
        SELECT tgrelid, tgname
        FROM pg_trigger
        JOIN migrator.captures ON captures.relation = captured AND captures.state ? tgrelid::text
        WHERE tgname = 'migrator_capture_truncate'
          AND tgrelid <> captured
          AND tgrelid NOT IN (SELECT relid FROM pg_partition_tree(captured))
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', trigger_name, part);
    END LOOP;
    SELECT string_agg(DISTINCT tgrelid::regclass::text, ', ') INTO unusable
    FROM pg_trigger
    WHERE tgfoid = to_regprocedure(format('migrator.%I()', function_name))
      AND tgrelid <> captured
      AND tgrelid NOT IN (SELECT relid FROM pg_partition_tree(captured));
    IF unusable IS NOT NULL THEN
        RAISE EXCEPTION 'no capture on % yet: % had this name, and its capture still has; create or drop that one first',
            new_source, unusable USING ERRCODE = 'object_in_use';
    END IF;
    -- Of a table that is gone.
    DELETE FROM migrator.captures WHERE source = new_source AND relation <> captured;
    -- A table that was renamed keeps its record, its function with the triggers, and its marks.
    FOR old_source IN SELECT source FROM migrator.captures WHERE relation = captured AND source <> new_source LOOP
        UPDATE migrator.captures SET source = new_source WHERE source = old_source;
        UPDATE migrator.marks SET source = new_source WHERE source = old_source;
        EXECUTE format('DROP FUNCTION IF EXISTS migrator.%I()', function_name);
        EXECUTE format('ALTER FUNCTION migrator.%I() RENAME TO %I',
                       migrator.capture_function(old_source), function_name);
    END LOOP;
    -- What another function has let pass unmarked nobody knows: the trigger is made anew, which shows until a resync.
    IF EXISTS (
        SELECT FROM migrator.captures
        WHERE relation = captured
          AND function <> migrator.function_state(to_regprocedure(format('migrator.%I()', function_name)))
    ) THEN
        EXECUTE format('DROP TRIGGER IF EXISTS migrator_capture ON %s', captured);
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION migrator.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER %s AS %L',
        function_name,
        (SELECT string_agg(DISTINCT 'SET ' || setting, ' ')
         FROM migrator.captured_columns(captured, names) AS each, unnest(each.settings) AS setting),
        migrator.capture_body(new_source, captured, names)
    );
    EXECUTE format('REVOKE ALL ON FUNCTION migrator.%I() FROM PUBLIC', function_name);
    PERFORM migrator.create_capture_trigger(
        captured, 'migrator_capture', 'INSERT OR UPDATE OR DELETE ON TABLE FOR EACH ROW', function_name
    );
    FOR part IN SELECT captured UNION SELECT relid FROM pg_partition_tree(captured) LOOP
        PERFORM migrator.create_capture_trigger(
            part, 'migrator_capture_truncate', 'TRUNCATE ON TABLE FOR EACH STATEMENT', function_name
        );
    END LOOP;
    FOR part, trigger_name IN
        SELECT tgrelid, tgname
        FROM pg_trigger
        WHERE (tgrelid = captured OR tgrelid IN (SELECT relid FROM pg_partition_tree(captured)))
          AND tgname IN ('migrator_capture', 'migrator_capture_truncate')
          AND tgenabled <> 'A'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', part, trigger_name);
    END LOOP;

    INSERT INTO migrator.captures (source, relation, columns, function, state)
    VALUES (
        new_source, captured, names,
        migrator.function_state(format('migrator.%I()', function_name)::regprocedure),
        migrator.capture_state(captured)
    )
    ON CONFLICT (source) DO UPDATE SET columns = excluded.columns, function = excluded.function;
END
$function$;

-- Takes capture off a table, which may be gone or renamed. Its marks stay.
CREATE FUNCTION migrator.drop_capture(captured regclass, captured_source text, patience text DEFAULT '5s')
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0
AS $function$
DECLARE
    function_name text;
    part regclass;
    trigger_name text;
BEGIN
    PERFORM set_config('lock_timeout', patience, true);
    SELECT migrator.capture_function(source) INTO function_name
    FROM migrator.captures
    WHERE relation = captured OR source = captured_source
    ORDER BY relation = captured DESC
    LIMIT 1;
    IF function_name IS NULL THEN
        RAISE EXCEPTION 'there is no capture on %', captured_source USING ERRCODE = 'undefined_object';
    END IF;
    -- From the partitioned table down: the triggers on its partitions go with its own.
    FOR part, trigger_name IN
        SELECT tgrelid, tgname
        FROM pg_trigger
        WHERE tgfoid = to_regprocedure(format('migrator.%I()', function_name)) AND tgparentid = 0
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', trigger_name, part);
    END LOOP;
    EXECUTE format('DROP FUNCTION IF EXISTS migrator.%I()', function_name);
    DELETE FROM migrator.captures WHERE migrator.capture_function(source) = function_name;
END
$function$;

-- name: version_3
-- Where each entity of a model is on its way, and since when; every move counts the epoch up.
CREATE TYPE migrator.phase AS ENUM ('prepare', 'dual_write', 'read_target', 'write_target', 'complete');
CREATE TABLE migrator.phases (
    model text NOT NULL,
    entity text NOT NULL,
    phase migrator.phase NOT NULL,
    epoch bigint NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, entity)
);

-- The versions of items. A sequence gives no number twice, not even after a rollback.
CREATE SEQUENCE migrator.item_versions;

-- Tombstones that stand in the target until no request of before can still arrive.
CREATE TABLE migrator.tombstones (
    target text NOT NULL,
    key text NOT NULL,
    version numeric NOT NULL,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (target, key)
);
CREATE INDEX tombstones_written ON migrator.tombstones (written_at);

-- name: version_4
-- Verifications that are under way, have failed or were cut off are on record too, and what each has cost.
CREATE TYPE migrator.outcome AS ENUM ('equal', 'different', 'failed', 'interrupted');
ALTER TABLE migrator.verifications ADD COLUMN outcome migrator.outcome;
UPDATE migrator.verifications SET outcome = CASE WHEN clean THEN 'equal' ELSE 'different' END::migrator.outcome;
ALTER TABLE migrator.verifications DROP COLUMN clean;
ALTER TABLE migrator.verifications ALTER COLUMN started_at SET DEFAULT clock_timestamp();
ALTER TABLE migrator.verifications ALTER COLUMN finished_at DROP NOT NULL;
ALTER TABLE migrator.verifications ALTER COLUMN counts SET DEFAULT '{}';
ALTER TABLE migrator.verifications ADD COLUMN cost jsonb NOT NULL DEFAULT '{}';
ALTER TABLE migrator.verifications ADD COLUMN failure text;
ALTER TABLE migrator.verifications ADD COLUMN report text;
COMMENT ON COLUMN migrator.verifications.outcome IS
    'null: it is under way while a session holds the lock verification:<id>, and was cut off otherwise';
COMMENT ON COLUMN migrator.verifications.failure IS 'why it could not be brought to its end';
COMMENT ON COLUMN migrator.verifications.report IS 'the file that tells of it, if one was written';

-- What verifications have found, one row per key and verdict. Keys are kept, values never.
CREATE TABLE migrator.divergences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    target text NOT NULL,
    key text NOT NULL,
    verdict text NOT NULL,
    entity text,
    attributes text NOT NULL,
    cause text,
    first_verification bigint NOT NULL,
    last_verification bigint NOT NULL,
    times integer NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    repaired_at timestamptz
);
COMMENT ON COLUMN migrator.divergences.key IS
    'a JSON object as text, which may hold characters that jsonb cannot; so may attributes, a JSON array';
COMMENT ON COLUMN migrator.divergences.repaired_at IS 'when a later look found the key in order; null: none has';
-- A key may be longer than an entry of an index.
CREATE UNIQUE INDEX divergences_key ON migrator.divergences (model, target, md5(key), verdict);
CREATE INDEX divergences_open ON migrator.divergences (model) WHERE repaired_at IS NULL;

-- name: version_5
-- The timeline that the server is on: a standby that is promoted begins a new one. Null on a standby.
CREATE FUNCTION migrator.timeline() RETURNS bigint LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE WHEN NOT pg_is_in_recovery()
        THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint
    END
$function$;

-- The timelines that the source was found on.
CREATE TABLE migrator.timelines (
    timeline bigint PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO migrator.timelines (timeline) VALUES (migrator.timeline());

-- The one before may have held commits that were carried over and that this one lacks, until the source is accepted.
ALTER TABLE migrator.captures ADD COLUMN timeline bigint NOT NULL DEFAULT migrator.timeline();
COMMENT ON COLUMN migrator.captures.timeline IS 'the timeline on which every change so far was marked or copied';

-- name: version_6
-- How much is read from the target, and by which mapping an entity has moved where it is.
ALTER TABLE migrator.phases ADD COLUMN percent smallint NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100);
ALTER TABLE migrator.phases ADD COLUMN mapping_fingerprint text;
COMMENT ON COLUMN migrator.phases.percent IS 'in read_target: of a hundred keys, so many are read from the target';
COMMENT ON COLUMN migrator.phases.mapping_fingerprint IS 'that of the entity, when it moved; null: not known';

-- name: version_7
-- Rehearsals of the way back: rows of every entity led to their items, back, and into a stand-in of their table.
CREATE TABLE migrator.rehearsals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    mapping_fingerprint text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    sample integer NOT NULL,
    proven boolean NOT NULL,
    counts jsonb NOT NULL
);
CREATE INDEX rehearsals_latest ON migrator.rehearsals (model, id);

-- name: version_8
-- Refuses what would change a table that is fenced. The trigger's arguments: the model, and the phase it is in.
CREATE FUNCTION migrator.refuse_write() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION '%.% is fenced: % is in phase %, and is written in DynamoDB',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], TG_ARGV[1]
        USING ERRCODE = 'MG001', HINT = 'Nothing was changed. Read the phase anew and write to DynamoDB.';
END
$function$;

-- name: version_9
-- The keys of tombstones are recorded without the types of their attributes, which the table has. As text: functions of
-- json refuse a key with a zero character. A quote within a text is escaped, so that none looks like a type's.
UPDATE migrator.tombstones
SET key = regexp_replace(key, '[{]"[SNB]":("(?:[^"\\]|\\.)*")[}]', '\1', 'g')
WHERE key LIKE '[{%';

-- name: version_10
-- The stages of write_target: fenced, while the source still says what is right and nobody writes to it any more; open,
-- when DynamoDB is what is written; returning, when nobody writes, and its last changes are carried back.
CREATE TYPE migrator.stage AS ENUM ('fenced', 'open', 'returning');
ALTER TABLE migrator.phases ADD COLUMN stage migrator.stage;
ALTER TABLE migrator.phases ADD CONSTRAINT phases_stage CHECK ((phase = 'write_target') = (stage IS NOT NULL));

-- Transactions that carry changes of DynamoDB back, which the fence lets pass. Each sees its own row alone, since it
-- deletes it last; a setting could be left behind in a session that is used again.
CREATE TABLE migrator.carriers (transaction xid8 PRIMARY KEY DEFAULT pg_current_xact_id());
CREATE OR REPLACE FUNCTION migrator.refuse_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF EXISTS (SELECT FROM migrator.carriers WHERE transaction = pg_current_xact_id_if_assigned()) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '%.% is fenced: % is in phase %, and is written in DynamoDB',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], TG_ARGV[1]
        USING ERRCODE = 'MG001', HINT = 'Nothing was changed. Read the phase anew and write to DynamoDB.';
END
$function$;

-- How far the shards of a table's stream have been carried back. lag is how many seconds old the newest change was that was
-- carried back then, where more may follow; 0 where nothing was left.
CREATE TABLE migrator.stream_positions (
    model text NOT NULL,
    target text NOT NULL,
    stream text NOT NULL,
    shard text NOT NULL,
    position text NOT NULL,
    lag double precision NOT NULL,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, target, stream, shard)
);

-- Items whose change the source does not take back, with the reason; they are tried again.
CREATE TABLE migrator.refused_changes (
    model text NOT NULL,
    target text NOT NULL,
    key text NOT NULL,
    entity text NOT NULL,
    removed boolean NOT NULL,
    reason text NOT NULL,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, target, key)
);
COMMENT ON COLUMN migrator.refused_changes.key IS 'as in tombstones';
COMMENT ON COLUMN migrator.refused_changes.removed IS
    'the change was a removal: where nothing is under the key, its row goes';
