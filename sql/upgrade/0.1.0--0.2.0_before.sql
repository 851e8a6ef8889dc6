\echo Use "ALTER EXTENSION paysync UPDATE" to load this file. \quit

-- From 0.1.0 to 0.2.0: tables, and functions that got other arguments or are no more. The parts of the install script that hold
-- code follow.

-- Registrations of tables that were dropped, which 0.1 did not notice.
DELETE FROM paysync.registration AS r WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) r.table_oid);
ALTER TABLE paysync.registration
    ALTER COLUMN table_oid TYPE regclass,
    ADD COLUMN format integer NOT NULL DEFAULT 2,
    ADD COLUMN columns text[],
    ADD COLUMN row_filter text,
    ADD COLUMN masks jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN old_values text NOT NULL DEFAULT 'key',
    ADD COLUMN key_columns text[],
    ADD COLUMN new_columns text NOT NULL DEFAULT 'include',
    ADD COLUMN replica boolean NOT NULL DEFAULT true,
    ADD COLUMN partitions text NOT NULL DEFAULT 'root',
    ADD COLUMN skip_unchanged boolean NOT NULL DEFAULT false,
    ADD COLUMN asked_columns text[];
SELECT pg_catalog.pg_extension_config_dump('paysync.registration', '');

CREATE TABLE paysync.captured (
    relation  oid PRIMARY KEY,
    root      oid NOT NULL,
    shape     bigint,
    capturing boolean NOT NULL,
    facts     jsonb NOT NULL
);
CREATE INDEX captured_root ON paysync.captured (root);

CREATE TABLE paysync.mask_key (
    name       text PRIMARY KEY,
    secret     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    rotations  integer NOT NULL DEFAULT 0
);
ALTER TABLE paysync.mask_key ENABLE ROW LEVEL SECURITY;
-- Nor may ANALYZE put secrets into pg_statistic.
ALTER TABLE paysync.mask_key ALTER COLUMN secret SET STATISTICS 0;

-- Who may register, for later.
SELECT pg_catalog.set_config('paysync_upgrade.registrars', coalesce((
    SELECT pg_catalog.string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END
               OPERATOR(pg_catalog.||) CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, E'\n')
    FROM pg_catalog.pg_proc AS p, pg_catalog.aclexplode(p.proacl) AS a
    WHERE p.oid OPERATOR(pg_catalog.=) 'paysync.register(regclass,text,text[],jsonb)'::pg_catalog.regprocedure
      AND a.grantee OPERATOR(pg_catalog.<>) p.proowner), ''), true);

DROP FUNCTION paysync.register(regclass, text, text[], jsonb);
DROP FUNCTION paysync.register_table(regclass, text, text[], jsonb);
DROP FUNCTION paysync.create_triggers(regclass, text[], boolean);
DROP FUNCTION paysync.drop_triggers(regclass);
DROP FUNCTION paysync.check_capturable(regclass, boolean);
DROP FUNCTION paysync.read_insert_only(jsonb);
DROP FUNCTION paysync.read_operations(text[], boolean);
DROP FUNCTION paysync.has_triggers(paysync.registration);
