-- Nothing is granted to PUBLIC; a role is granted the least that its part needs.

-- Grants or revokes `privilege` on all that a part needs.
CREATE OR REPLACE FUNCTION change_rights(role regrole, granting boolean, routines text[], views text[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    verb CONSTANT text := CASE WHEN granting THEN 'GRANT' ELSE 'REVOKE' END;
    preposition CONSTANT text := CASE WHEN granting THEN 'TO' ELSE 'FROM' END;
    object text;
BEGIN
    EXECUTE format('%s USAGE ON SCHEMA paysync %s %s', verb, preposition, role);
    FOREACH object IN ARRAY routines LOOP
        EXECUTE format('%s EXECUTE ON ROUTINE paysync.%s %s %s', verb, object, preposition, role);
    END LOOP;
    FOREACH object IN ARRAY views LOOP
        EXECUTE format('%s SELECT ON paysync.%s %s %s', verb, object, preposition, role);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION relay_routines() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{lead,next_tick,read_transactions,read_page,read_manifest,read_in_order,read_shapes,open_subscriber,close_subscriber,stale_sessions,acknowledge,maintain,subscriber_states,health}'::text[] $$;
CREATE OR REPLACE FUNCTION monitor_routines() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{registered_tables,subscriber_states,segment_states,relay_states,health}'::text[] $$;
CREATE OR REPLACE FUNCTION monitor_views() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{tables,subscribers,relays,segments,parked,log,status,mask_keys}'::text[] $$;

CREATE OR REPLACE FUNCTION grant_relay(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, true, paysync.relay_routines(), '{}') $$;
CREATE OR REPLACE FUNCTION revoke_relay(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, false, paysync.relay_routines(), '{}') $$;
CREATE OR REPLACE FUNCTION grant_monitor(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, true, paysync.monitor_routines(), paysync.monitor_views()) $$;
CREATE OR REPLACE FUNCTION revoke_monitor(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, false, paysync.monitor_routines(), paysync.monitor_views()) $$;

COMMENT ON FUNCTION grant_relay IS 'let a role run the relay: it can drain the outbox, and no more';
COMMENT ON FUNCTION grant_monitor IS 'let a role look at the views';

-- Only what PUBLIC may call now is touched: PostgreSQL takes whatever right a function has once a REVOKE of this script is done
-- for the extension's own, and a dump would leave out what an administrator granted.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.pronamespace OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.regnamespace
                   AND (p.proacl IS NULL OR EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) AS a WHERE a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid)) LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END $$;
