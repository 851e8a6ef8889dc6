
-- Who ran the relay, looked at the views or made subscribers, can do so with what is new. What a script of an extension grants is taken
-- for the extension's own, which a dump leaves out; so that is set right.
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN SELECT g FROM pg_catalog.string_to_table(pg_catalog.current_setting('paysync_upgrade.relays'), E'\n') AS g WHERE g OPERATOR(pg_catalog.<>) '' LOOP
        EXECUTE pg_catalog.format('SELECT paysync.grant_relay(%L)', grantee);
    END LOOP;
    FOR grantee IN SELECT g FROM pg_catalog.string_to_table(pg_catalog.current_setting('paysync_upgrade.monitors'), E'\n') AS g WHERE g OPERATOR(pg_catalog.<>) '' LOOP
        EXECUTE pg_catalog.format('SELECT paysync.grant_monitor(%L)', grantee);
    END LOOP;
    FOR grantee IN SELECT g FROM pg_catalog.string_to_table(pg_catalog.current_setting('paysync_upgrade.makers'), E'\n') AS g WHERE g OPERATOR(pg_catalog.<>) '' LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION paysync.create_subscriber TO %s', grantee);
    END LOOP;
    UPDATE pg_catalog.pg_init_privs AS i SET initprivs = ARRAY(
        SELECT item FROM pg_catalog.unnest(i.initprivs) AS item, pg_catalog.aclexplode(ARRAY[item]) AS a
        WHERE a.grantee OPERATOR(pg_catalog.=) (SELECT e.extowner FROM pg_catalog.pg_extension AS e WHERE e.extname OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.name))
    FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS x ON x.oid OPERATOR(pg_catalog.=) d.refobjid AND x.extname OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.name
    WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype OPERATOR(pg_catalog.=) 'e'::"char"
      AND i.classoid OPERATOR(pg_catalog.=) d.classid AND i.objoid OPERATOR(pg_catalog.=) d.objid;
    DELETE FROM pg_catalog.pg_init_privs AS i
    WHERE i.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass AND i.objoid OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.regnamespace::pg_catalog.oid;
END $$;
