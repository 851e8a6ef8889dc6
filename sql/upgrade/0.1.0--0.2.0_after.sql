
-- Who could register a table can do so with the new arguments. What a script of an extension grants is taken for the extension's
-- own, which a dump leaves out; so that is set right.
DO $$
DECLARE
    grantee text;
    registrar regprocedure;
BEGIN
    FOR grantee IN SELECT g FROM pg_catalog.string_to_table(pg_catalog.current_setting('paysync_upgrade.registrars'), E'\n') AS g
                   WHERE g OPERATOR(pg_catalog.<>) '' LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION paysync.register TO %s', grantee);
    END LOOP;
    registrar := (SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.pronamespace OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.regnamespace
                  AND p.proname OPERATOR(pg_catalog.=) 'register'::pg_catalog.name);
    UPDATE pg_catalog.pg_init_privs AS i SET initprivs = ARRAY(
        SELECT item FROM pg_catalog.unnest(i.initprivs) AS item, pg_catalog.aclexplode(ARRAY[item]) AS a, pg_catalog.pg_proc AS p
        WHERE p.oid OPERATOR(pg_catalog.=) i.objoid AND a.grantee OPERATOR(pg_catalog.=) p.proowner)
    WHERE i.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.objoid OPERATOR(pg_catalog.=) registrar::pg_catalog.oid;
END $$;

-- What is registered is looked at once, so that the next change of it can be told. That is no gap.
SELECT paysync.reconcile(r.table_oid) FROM paysync.registration AS r ORDER BY r.table_oid;
