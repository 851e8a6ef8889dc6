\echo Use "CREATE EXTENSION paysync" to load this file. \quit

-- A schema that was there before may hold functions of somebody else, which ours would call with the owner's rights.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace AS n JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) n.nspowner
               WHERE n.nspname OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.name
                 AND (NOT r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.pronamespace OPERATOR(pg_catalog.=) n.oid)
                      OR EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid))) THEN
        RAISE EXCEPTION 'schema "paysync" exists and is not empty, or is not a superuser''s' USING ERRCODE = 'duplicate_schema',
            HINT = 'Drop it, then CREATE EXTENSION paysync.';
    END IF;
END $$;

-- The parts of this script are joined in the order of their names. Those from 30 on hold code: an upgrade runs them again, so they
-- replace what is there. Nothing in the schema is granted to PUBLIC.
-- Functions that run with the owner's rights pin their search path and are granted by paysync.grant_relay() only.
