-- The event triggers. They sort before others, which may write to the table that was altered. Last, so that they take no notice of this script. The tags are the first and cheapest filter.

CREATE OR REPLACE FUNCTION ddl_event() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_ddl_command';
REVOKE ALL ON FUNCTION ddl_event FROM PUBLIC;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger AS e WHERE e.evtfoid OPERATOR(pg_catalog.=) 'paysync.ddl_event()'::pg_catalog.regprocedure) THEN
        CREATE EVENT TRIGGER "!paysync_ddl" ON ddl_command_end
            WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA', 'ALTER TRIGGER',
                'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER EXTENSION', 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'CREATE TRIGGER',
                'CREATE FUNCTION', 'CREATE INDEX', 'CREATE VIEW',
                'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER SEQUENCE')
            EXECUTE FUNCTION paysync.ddl_event();
        CREATE EVENT TRIGGER "!paysync_drop" ON sql_drop EXECUTE FUNCTION paysync.ddl_event();
        CREATE EVENT TRIGGER "!paysync_rewrite" ON table_rewrite EXECUTE FUNCTION paysync.ddl_event();
        ALTER EVENT TRIGGER "!paysync_ddl" ENABLE ALWAYS;
        ALTER EVENT TRIGGER "!paysync_drop" ENABLE ALWAYS;
        ALTER EVENT TRIGGER "!paysync_rewrite" ENABLE ALWAYS;
    END IF;
END $$;
