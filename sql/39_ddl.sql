-- Which registered tables a DDL command reaches; called by the event triggers (extension/ddl/event_trigger.cpp).

-- Columns that hold one of these types, also inside arrays, domains, ranges, composites and rows of tables; with number 0, tables
-- of these types.
CREATE OR REPLACE FUNCTION type_users(types oid[]) RETURNS TABLE (relation oid, number integer) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
        WITH RECURSIVE holder (type) AS (
            SELECT unnest(types)
            UNION
            SELECT next.type FROM holder AS h CROSS JOIN LATERAL (
                SELECT t.typarray FROM pg_type AS t WHERE t.oid = h.type AND t.typarray <> 0
                UNION ALL
                SELECT CASE WHEN d.classid = 'pg_type'::regclass THEN d.objid ELSE c.reltype END FROM pg_depend AS d
                LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND d.objsubid > 0 AND c.oid = d.objid AND c.reltype <> 0
                WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid = h.type AND (d.classid = 'pg_type'::regclass OR c.oid IS NOT NULL)) AS next (type))
        SELECT u.objid, u.objsubid FROM holder AS h CROSS JOIN LATERAL (
            SELECT d.objid, d.objsubid FROM pg_depend AS d
            WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid = h.type AND d.classid = 'pg_class'::regclass OFFSET 0) AS u;
END $$;

-- Registered tables that send a column of one of these types.
CREATE OR REPLACE FUNCTION senders_of_types(types oid[]) RETURNS SETOF oid LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
        SELECT c.root FROM paysync.type_users(types) AS u
        JOIN paysync.captured AS c ON c.relation = u.relation JOIN paysync.registration AS r ON r.table_oid = c.root
        WHERE (c.relation = c.root OR r.partitions = 'leaf') AND EXISTS (SELECT FROM paysync.shape_columns(c.shape) AS s WHERE s.number = u.number);
END $$;

-- Does the filter of a registered table itself use one of these functions, types or operators, or one in these schemas?
CREATE OR REPLACE FUNCTION filter_uses_any(registered oid, objects oid[], schemas oid[] DEFAULT '{}') RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(u.oid = ANY (objects)
        OR schemas <> '{}' AND (EXISTS (SELECT FROM pg_proc AS p WHERE p.oid = u.oid AND p.pronamespace = ANY (schemas))
            OR EXISTS (SELECT FROM pg_type AS t WHERE t.oid = u.oid AND t.typnamespace = ANY (schemas))
            OR EXISTS (SELECT FROM pg_operator AS o WHERE o.oid = u.oid AND o.oprnamespace = ANY (schemas)))), false)
    FROM paysync.captured AS c, jsonb_array_elements_text(c.facts -> 'filter') AS line,
         LATERAL (SELECT split_part(line, ' ', 2)::oid AS oid WHERE line NOT LIKE 'column %') AS u
    WHERE c.relation = registered
$$;

-- At ddl_command_end: the registered tables to look at again, those that lose members first, and why they need a gap whatever they
-- look like. `retells`: the command changes how values of the types that it names, or of the rows of its tables, are written.
CREATE OR REPLACE FUNCTION ddl_roots(retells boolean) RETURNS TABLE (root oid, reasons text[]) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    types oid[];
    relations oid[];
    triggers oid[];
    schemas oid[];
    in_filters oid[];
    retold oid[];
    reached oid[];
    about_all boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM paysync.captured) THEN
        RETURN;
    END IF;
    SELECT array_agg(c.objid) FILTER (WHERE c.classid = 'pg_type'::regclass), array_agg(c.objid) FILTER (WHERE c.classid = 'pg_class'::regclass),
           array_agg(c.objid) FILTER (WHERE c.classid = 'pg_trigger'::regclass), array_agg(c.objid) FILTER (WHERE c.classid = 'pg_namespace'::regclass),
           array_agg(c.objid) FILTER (WHERE c.classid IN ('pg_proc'::regclass, 'pg_type'::regclass)), bool_or(c.classid = 'pg_extension'::regclass)
    INTO types, relations, triggers, schemas, in_filters, about_all FROM pg_event_trigger_ddl_commands() AS c;
    IF triggers IS NOT NULL THEN
        relations := relations || ARRAY(SELECT t.tgrelid FROM pg_trigger AS t WHERE t.oid = ANY (triggers));
    END IF;
    IF schemas IS NOT NULL THEN
        relations := relations || ARRAY(SELECT k.oid FROM pg_class AS k WHERE k.relnamespace = ANY (schemas) AND k.relkind IN ('r', 'p', 'f'));
        types := types || ARRAY(SELECT y.oid FROM pg_type AS y WHERE y.typnamespace = ANY (schemas));
    END IF;
    relations := relations || ARRAY(SELECT i.indrelid FROM pg_index AS i WHERE i.indexrelid = ANY (relations));
    -- What a command does to a table it does to those below; what it adds is found from above.
    relations := ARRAY(
        WITH RECURSIVE below AS (
            SELECT unnest(relations) AS oid UNION SELECT i.inhrelid FROM below AS b JOIN pg_inherits AS i ON i.inhparent = b.oid)
        SELECT b.oid FROM below AS b);
    types := types || ARRAY(SELECT c.reltype FROM pg_class AS c WHERE c.oid = ANY (relations) AND c.reltype <> 0);
    IF retells THEN
        retold := ARRAY(SELECT paysync.senders_of_types(types));
    END IF;
    reached := ARRAY(
        WITH RECURSIVE above AS (
            SELECT unnest(relations) AS oid UNION SELECT i.inhparent FROM above AS a JOIN pg_inherits AS i ON i.inhrelid = a.oid)
        SELECT c.root FROM above AS a CROSS JOIN LATERAL (SELECT k.root FROM paysync.captured AS k WHERE k.relation = a.oid OFFSET 0) AS c
        UNION
        SELECT c.root FROM paysync.type_users(types) AS u CROSS JOIN LATERAL (SELECT k.root FROM paysync.captured AS k WHERE k.relation = u.relation OFFSET 0) AS c
        UNION
        SELECT r.table_oid FROM paysync.registration AS r
        WHERE about_all
           OR r.row_filter IS NOT NULL AND paysync.filter_uses_any(r.table_oid, coalesce(in_filters, '{}'), coalesce(schemas, '{}')));
    IF reached <> '{}' THEN
        RETURN QUERY
            SELECT d, CASE WHEN d = ANY (retold) THEN '{values of a type that it holds are written in another way}'::text[] ELSE '{}' END
            FROM unnest(reached) AS d JOIN paysync.registration AS r ON r.table_oid = d JOIN paysync.captured AS c ON c.relation = d
            ORDER BY EXISTS (SELECT FROM paysync.captured AS m WHERE m.root = d AND m.relation NOT IN (SELECT paysync.tree(d))) DESC, d;
    END IF;
END $$;

-- At ddl_command_end of INHERIT: a table that is registered by itself is no part of another one.
CREATE OR REPLACE FUNCTION refuse_registered_members() RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
BEGIN
    -- Also one further below.
    WITH RECURSIVE below AS (
        SELECT c.objid AS oid FROM pg_event_trigger_ddl_commands() AS c WHERE c.classid = 'pg_class'::regclass
        UNION SELECT i.inhrelid FROM below AS b JOIN pg_inherits AS i ON i.inhparent = b.oid)
    SELECT b.oid INTO member FROM below AS b
    JOIN paysync.registration AS r ON r.table_oid = b.oid JOIN pg_inherits AS i ON i.inhrelid = b.oid
    WHERE paysync.root_of(i.inhparent) IS NOT NULL LIMIT 1;
    IF member IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('table "%s" is registered by itself', member),
            DETAIL = 'What inherits from a registered table is captured with it.', HINT = 'Take it out with paysync.unregister() first.';
    END IF;
END $$;

-- At sql_drop: registered tables that send a column of a type that lost an attribute.
CREATE OR REPLACE FUNCTION retold_by_drop() RETURNS SETOF oid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.senders_of_types(ARRAY(
        SELECT k.reltype FROM pg_event_trigger_dropped_objects() AS d JOIN pg_class AS k ON k.oid = d.objid
        WHERE d.classid = 'pg_class'::regclass AND d.objsubid > 0 AND k.reltype <> 0))
$$;

-- At sql_drop: what of ours, or of what filters stand on, is gone.
CREATE OR REPLACE FUNCTION dropped_roots() RETURNS SETOF oid LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY SELECT d.root FROM (
        WITH gone AS MATERIALIZED (SELECT d.* FROM pg_event_trigger_dropped_objects() AS d WHERE NOT d.is_temporary)
        SELECT c.root FROM gone AS g JOIN paysync.captured AS c ON c.relation = g.objid JOIN paysync.registration AS r ON r.table_oid = c.root
        WHERE g.classid = 'pg_class'::regclass
        UNION
        SELECT c.root FROM gone AS g JOIN paysync.captured AS c ON c.relation = to_regclass(format('%I.%I', g.address_names[1], g.address_names[2]))
        JOIN paysync.registration AS r ON r.table_oid = c.root
        WHERE g.object_type IN ('trigger', 'table constraint')
        UNION
        SELECT c.root FROM paysync.registration AS r JOIN paysync.captured AS c ON c.relation = r.table_oid
        WHERE r.key_columns IS NOT NULL AND EXISTS (SELECT FROM gone AS g WHERE g.object_type = 'index')
        UNION
        SELECT c.root FROM paysync.registration AS r JOIN paysync.captured AS c ON c.relation = r.table_oid
        WHERE r.row_filter IS NOT NULL AND (
            EXISTS (SELECT FROM gone AS g WHERE g.object_type IN ('cast', 'collation'))
            OR paysync.filter_uses_any(r.table_oid, ARRAY(SELECT g.objid FROM gone AS g
                WHERE g.classid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass))))
        UNION
        SELECT paysync.retold_by_drop()) AS d (root)
        WHERE NOT EXISTS (SELECT FROM pg_class AS k WHERE k.oid = d.root) OR d.root IN (SELECT paysync.retold_by_drop())
           OR paysync.needs_reconcile(d.root, '{}', '{}');
END $$;

-- At sql_drop of an ALTER: what its CASCADE reached beside its own table.
CREATE OR REPLACE FUNCTION cascaded_roots() RETURNS TABLE (root oid, retold boolean) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT d.root, d.root IN (SELECT paysync.retold_by_drop()) FROM paysync.dropped_roots() AS d (root);
END $$;

CREATE OR REPLACE FUNCTION cascade_reasons(retold boolean) RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT CASE WHEN retold THEN '{values of a type that it holds are written in another way}'::text[] ELSE '{}' END $$;

CREATE OR REPLACE FUNCTION needs_reconcile_after_cascade(root oid, retold boolean) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$ BEGIN RETURN EXISTS (SELECT FROM pg_class AS c WHERE c.oid = root) AND paysync.needs_reconcile(root, '{}', paysync.cascade_reasons(retold)); END $$;

CREATE OR REPLACE FUNCTION reconcile_cascaded(root oid, retold boolean) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.reconcile(root, '{}', paysync.cascade_reasons(retold)) $$;

-- At sql_drop, where dropped_roots() found something: the last word on what was dropped; what is left is looked at again.
CREATE OR REPLACE FUNCTION reconcile_dropped(roots oid[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    top oid;
    gone oid[] := ARRAY(SELECT d.objid FROM pg_event_trigger_dropped_objects() AS d WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0);
    retold oid[] := ARRAY(SELECT paysync.retold_by_drop());
BEGIN
    FOREACH top IN ARRAY roots LOOP
        IF NOT EXISTS (SELECT FROM paysync.registration AS r WHERE r.table_oid = top) THEN
            RAISE serialization_failure USING MESSAGE = 'a registration that this drops is newer than the transaction''s snapshot',
                HINT = 'Run the transaction again.';
        END IF;
        -- In root mode all have one shape, and one gap is enough; those without rows of their own have none in leaf mode.
        PERFORM paysync.record_gap(s.shape, CASE WHEN top = ANY (gone) THEN 'the table was dropped' ELSE 'a partition or child of the table was dropped' END)
        FROM (SELECT DISTINCT c.shape FROM paysync.captured AS c WHERE c.root = top AND c.relation = ANY (gone) AND c.shape IS NOT NULL ORDER BY 1) AS s;
        DELETE FROM paysync.captured AS c WHERE c.root = top AND c.relation = ANY (gone);
        IF top = ANY (gone) THEN
            DELETE FROM paysync.captured AS c WHERE c.root = top;
            DELETE FROM paysync.registration AS r WHERE r.table_oid = top;
        ELSE
            PERFORM paysync.reconcile_cascaded(top, top = ANY (retold));
        END IF;
    END LOOP;
END $$;

-- Did DDL that event triggers did not see leave this registration behind?
CREATE OR REPLACE FUNCTION is_behind_unseen(r registration) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.is_altered_unseen(r) OR EXISTS (SELECT FROM paysync.tree(r.table_oid) AS m, paysync.triggers_to_mend(m, r)) $$;

-- What event triggers could not see, because somebody had disabled them, is found and ends in a gap. A table whose lock is not to be
-- had at once is for another time: nobody's writers wait here. Registrations that came with a dump are taken in.
-- What belonged to a table and does not any more is locked as well, with the table's lock in hand: for that the time is short.
CREATE OR REPLACE FUNCTION reconcile_unseen() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '10ms' AS $$
DECLARE
    r paysync.registration;
    is_new boolean;
BEGIN
    -- Where somebody deleted a registration by hand.
    BEGIN
        DELETE FROM paysync.captured AS c WHERE NOT EXISTS (SELECT FROM paysync.registration AS g WHERE g.table_oid = c.root);
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
    -- Some at a time, by chance: it is the last resort, and is called every few seconds.
    FOR r IN SELECT c.* FROM (SELECT * FROM paysync.registration AS g ORDER BY random() LIMIT 100) AS c ORDER BY c.table_oid::oid LOOP
        is_new := NOT EXISTS (SELECT FROM paysync.captured AS c WHERE c.relation = r.table_oid);
        CONTINUE WHEN NOT is_new AND NOT paysync.is_behind_unseen(r);
        IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = r.table_oid) THEN
            PERFORM paysync.record_gap(s.shape, 'the table was dropped')
            FROM (SELECT DISTINCT c.shape FROM paysync.captured AS c WHERE c.root = r.table_oid AND c.shape IS NOT NULL ORDER BY 1) AS s;
            DELETE FROM paysync.captured AS c WHERE c.root = r.table_oid;
            DELETE FROM paysync.registration AS g WHERE g.table_oid = r.table_oid;
            CONTINUE;
        END IF;
        BEGIN
            IF NOT is_new OR NOT paysync.has_triggers(r) THEN
                EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE NOWAIT', r.table_oid);
                -- It may have been altered just now: some of what is compared comes from caches that are newer than the snapshot.
                SELECT * INTO r FROM paysync.registration AS g WHERE g.table_oid = r.table_oid;
                CONTINUE WHEN NOT FOUND OR (NOT is_new AND NOT paysync.is_behind_unseen(r));
            END IF;
            PERFORM paysync.reconcile(r.table_oid, '{}', CASE WHEN is_new THEN '{}' ELSE '{it was altered while event triggers were off}'::text[] END, true);
        EXCEPTION
            WHEN lock_not_available THEN
                NULL;
            WHEN OTHERS THEN
                RAISE WARNING 'could not look at registered table "%" again: %', r.table_oid, SQLERRM;
        END;
    END LOOP;
END $$;
