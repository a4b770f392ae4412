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
