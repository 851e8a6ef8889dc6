-- Nothing is granted to PUBLIC; a role is granted the least that its part needs.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA paysync FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA paysync FROM PUBLIC;

-- Grants or revokes `privilege` on all that a part needs.
CREATE FUNCTION change_rights(role regrole, granting boolean, routines text[], views text[]) RETURNS void LANGUAGE plpgsql
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

CREATE FUNCTION relay_routines() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{lead,next_tick,read_transactions,read_shapes,open_subscriber,close_subscriber,acknowledge,maintain}'::text[] $$;
CREATE FUNCTION monitor_routines() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{registered_tables,subscriber_states,segment_states,health}'::text[] $$;
CREATE FUNCTION monitor_views() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{tables,subscribers,segments,status}'::text[] $$;

CREATE FUNCTION grant_relay(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, true, paysync.relay_routines(), '{}') $$;
CREATE FUNCTION revoke_relay(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, false, paysync.relay_routines(), '{}') $$;
CREATE FUNCTION grant_monitor(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, true, paysync.monitor_routines(), paysync.monitor_views()) $$;
CREATE FUNCTION revoke_monitor(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, false, paysync.monitor_routines(), paysync.monitor_views()) $$;

COMMENT ON FUNCTION grant_relay IS 'let a role run the relay: it can drain the outbox, and no more';
COMMENT ON FUNCTION grant_monitor IS 'let a role look at the views';

REVOKE ALL ON FUNCTION change_rights, relay_routines, monitor_routines, monitor_views, grant_relay, revoke_relay, grant_monitor, revoke_monitor FROM PUBLIC;
