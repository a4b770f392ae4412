-- The SQL of sequences.

-- name: fed
-- The numeric columns of the tables of these quoted names that a sequence feeds: serial, identity, or by a default that draws
-- from a sequence of somebody else's. `forward` says whether the sequence counts up.
SELECT DISTINCT
       wanted.name AS asked,
       attname AS column,
       namespace.nspname AS schema,
       sequence.relname AS sequence,
       pg_sequence.seqincrement > 0 AS forward
FROM unnest($1::text[]) AS wanted(name)
JOIN pg_attribute AS attribute ON attrelid = to_regclass(wanted.name) AND attnum > 0 AND NOT attisdropped
JOIN pg_type AS type ON type.oid = atttypid AND typcategory = 'N'
LEFT JOIN pg_attrdef AS filled ON filled.adrelid = attrelid AND filled.adnum = attnum
JOIN pg_depend AS depend
    ON depend.classid = 'pg_class'::regclass AND depend.refclassid = 'pg_class'::regclass
       AND depend.refobjid = attrelid AND depend.refobjsubid = attnum AND depend.deptype IN ('a', 'i')
    OR depend.classid = 'pg_attrdef'::regclass AND depend.objid = filled.oid
       AND depend.refclassid = 'pg_class'::regclass
JOIN pg_class AS sequence
    ON sequence.relkind = 'S'
       AND sequence.oid = CASE depend.classid WHEN 'pg_class'::regclass THEN depend.objid ELSE depend.refobjid END
JOIN pg_namespace AS namespace ON namespace.oid = sequence.relnamespace
JOIN pg_sequence ON seqrelid = sequence.oid
ORDER BY 1, 2, 3, 4
