-- After DDL: what a registered tree is now against what was known of it, told as alters and gaps in the DDL's own transaction.

-- Follows columns that were renamed or dropped in a registration's lists, and takes up new ones where it says so. The columns of
-- `before` and `after` are as in facts_of().
CREATE OR REPLACE FUNCTION follow_columns(INOUT r registration, before jsonb, after jsonb) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Old name to new one, or to null where it is gone.
    became CONSTANT jsonb := (SELECT coalesce(jsonb_object_agg(b.value ->> 0, after -> b.key -> 0), '{}') FROM jsonb_each(before) AS b);
    added CONSTANT text[] := ARRAY(SELECT a.value ->> 0 FROM jsonb_each(after) AS a WHERE NOT before ? a.key ORDER BY a.key::integer);
BEGIN
    IF r.columns IS NOT NULL THEN
        r.columns := ARRAY(SELECT became ->> c.name FROM unnest(r.columns) WITH ORDINALITY AS c (name, n) WHERE became ->> c.name IS NOT NULL ORDER BY n)
            || CASE WHEN r.new_columns = 'include' THEN added ELSE '{}' END;
    END IF;
    r.asked_columns := (SELECT array_agg(became ->> c.name ORDER BY c.n) FILTER (WHERE became ->> c.name IS NOT NULL)
                        FROM unnest(r.asked_columns) WITH ORDINALITY AS c (name, n));
    r.masks := (SELECT coalesce(jsonb_object_agg(became ->> m.key, m.value), '{}') FROM jsonb_each(r.masks) AS m WHERE became ->> m.key IS NOT NULL);
    -- Part of a key is none.
    r.key_columns := (SELECT CASE WHEN bool_and(became ->> c.name IS NOT NULL) THEN array_agg(became ->> c.name ORDER BY c.n) END
                      FROM unnest(r.key_columns) WITH ORDINALITY AS c (name, n));
END $$;

-- In leaf mode a child may keep a column that the registered table lost, and its mask would be gone.
CREATE OR REPLACE FUNCTION check_masks_followed(before registration, after registration) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lost record;
BEGIN
    SELECT a.attrelid::regclass AS child, m AS name INTO lost FROM jsonb_object_keys(before.masks) AS m
    JOIN pg_attribute AS a ON a.attname = m AND a.attnum > 0 AND NOT a.attisdropped
    WHERE before.partitions = 'leaf' AND NOT after.masks ? m
      AND a.attrelid IN (SELECT paysync.tree(before.table_oid)) AND a.attrelid <> before.table_oid LIMIT 1;
    IF FOUND THEN
        RAISE dependent_objects_still_exist USING MESSAGE = format('the mask of column "%s" of registered table "%s" depends on it', lost.name, before.table_oid),
            DETAIL = format('"%s" would keep the column, but not its mask.', lost.child),
            HINT = 'Drop the column there as well, or alter the registration first.';
    END IF;
END $$;

-- Some DDL takes no lock on the tables that it reaches (a type's label or a schema is renamed). What is told of them must stand behind
-- all that was written before: their writers are waited for, as for any other DDL. Here are the tables that are not locked yet.
-- In root mode rows of all members are written in the root's shape, also by who writes to a member alone.
CREATE OR REPLACE FUNCTION to_be_locked(r registration, every_member boolean) RETURNS SETOF oid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF r.partitions = 'root' AND EXISTS (
        SELECT FROM paysync.captured AS c WHERE c.relation = r.table_oid AND c.facts - 'filter' <> paysync.facts_of(c.relation, r.key_columns)) THEN
        every_member := true;
    END IF;
    RETURN QUERY
        SELECT k.oid FROM paysync.captured AS c JOIN pg_class AS k ON k.oid = c.relation
        WHERE c.root = r.table_oid AND k.relkind <> 'f' AND (every_member OR c.facts - 'filter' <> paysync.facts_of(c.relation, r.key_columns))
          AND NOT EXISTS (
              SELECT FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()
              WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation = k.oid AND l.granted
                AND l.mode IN ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'));
END $$;

CREATE OR REPLACE FUNCTION lock_told(r registration, every_member boolean) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.lock_writers(ARRAY(SELECT t FROM paysync.to_be_locked(r, every_member) AS t ORDER BY t))
$$;

-- A command that reaches several registrations locks all of them before it tells of the first.
CREATE OR REPLACE FUNCTION lock_all_told(roots oid[]) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.lock_writers(ARRAY(
        SELECT DISTINCT t FROM paysync.registration AS r, paysync.to_be_locked(r, true) AS t WHERE r.table_oid = ANY (roots) ORDER BY t))
$$;

-- A row filter must mean what it meant: the same columns of the same types, the same functions.
CREATE OR REPLACE FUNCTION check_filter(r registration, uses jsonb) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reason text := 'A column, or something else that it uses, was renamed, dropped or changed.';
BEGIN
    BEGIN
        IF paysync.check_row_filter(r.table_oid, r.row_filter) = r.row_filter
            AND (uses IS NULL OR to_jsonb(paysync.filter_uses(r.table_oid, r.row_filter)) = uses) THEN
            RETURN;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        -- To be tried again: no verdict on the filter.
        IF SQLSTATE LIKE '40%' OR SQLSTATE = '55P03' THEN
            RAISE;
        END IF;
        reason := format('It would fail: %s.', SQLERRM);
    END;
    RAISE dependent_objects_still_exist USING MESSAGE = format('the row filter of registered table "%s" depends on it', r.table_oid),
        DETAIL = format('The filter is %s. %s', r.row_filter, reason),
        HINT = 'Alter the filter first: paysync.alter_registration(..., row_filter => ...).';
END $$;

-- May values that are there read differently after this change of base types? Those that are one type to the server's eyes, or
-- text under another name, do not.
CREATE OR REPLACE FUNCTION reads_differently(before oid, after oid) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT before <> after AND NOT (before = ANY (likes) AND after = ANY (likes)) FROM (
            SELECT CASE WHEN before IN ('bit'::regtype, 'varbit'::regtype) THEN '{bit,varbit}'::regtype[]::oid[]
                        ELSE '{text,varchar,bpchar,xml}'::regtype[]::oid[] END AS likes) AS l);
END $$;

-- Why values of sent columns that kept their number may read differently; null: they do not.
CREATE OR REPLACE FUNCTION retyped(before jsonb, after jsonb, shape bigint) RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT string_agg(format('column "%s" became %s', a.value ->> 0, a.value ->> 1), ', ' ORDER BY a.key)
        FROM jsonb_each(before) AS b JOIN jsonb_each(after) AS a USING (key)
        WHERE paysync.reads_differently((b.value ->> 2)::bigint::oid, (a.value ->> 2)::bigint::oid)
          AND a.key::integer IN (SELECT s.number FROM paysync.shape_columns(shape) AS s));
END $$;

-- Takes a new member of a tree in: its triggers, and its row in `captured`.
CREATE OR REPLACE FUNCTION adopt(member regclass, r registration) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other oid;
BEGIN
    SELECT c.root INTO other FROM paysync.captured AS c WHERE c.relation = member AND c.root <> r.table_oid;
    IF other IS NOT NULL AND member IN (SELECT paysync.tree(other)) THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('table "%s" belongs to registered tables "%s" and "%s"', member, other::regclass, r.table_oid),
            DETAIL = 'A table''s rows are captured once.', HINT = 'Take one of them out with paysync.unregister() first.';
    END IF;
    IF (SELECT c.relkind FROM pg_class AS c WHERE c.oid = member) <> 'f' THEN
        PERFORM paysync.create_trigger(member, r, name) FROM unnest(paysync.wanted_triggers(r)) AS name
        WHERE NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = member AND t.tgname = name);
    END IF;
    INSERT INTO paysync.captured AS c (relation, root, shape, capturing, facts)
    VALUES (member, r.table_oid, NULL, paysync.trouble_of_relation(member, r) IS NULL, paysync.facts_of(member, r.key_columns))
    ON CONFLICT (relation) DO UPDATE SET root = excluded.root, shape = NULL, capturing = excluded.capturing, facts = excluded.facts;
END $$;

-- Ours that somebody enabled, but not the way that the registration asks for (ENABLE TRIGGER ALL does), is put right.
CREATE OR REPLACE FUNCTION triggers_to_mend(member oid, r registration) RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.tgname::text FROM pg_trigger AS t
    WHERE t.tgrelid = member AND t.tgfoid = 'paysync.capture()'::regprocedure AND t.tgname = ANY (paysync.wanted_triggers(r))
      AND t.tgenabled NOT IN ('D', CASE WHEN r.replica THEN 'A' ELSE 'O' END)
$$;
CREATE OR REPLACE FUNCTION mend_triggers(member regclass, r registration) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.enable_trigger(member, r, t) FROM paysync.triggers_to_mend(member, r) AS t
$$;

-- Does a filter still mean what it meant?
CREATE OR REPLACE FUNCTION is_filter_as_it_was(r registration) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN r.row_filter IS NULL OR EXISTS (
        SELECT FROM paysync.captured AS c
        WHERE c.relation = r.table_oid AND c.facts -> 'filter' = to_jsonb(paysync.filter_uses(r.table_oid, r.row_filter)));
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END $$;

-- Much DDL reaches a registration and does nothing to it: then nothing is written, and nobody waits for a row of ours. To be asked with
-- a snapshot of the moment: in an older one of the transaction neither the table nor what is known of it looks altered.
CREATE OR REPLACE FUNCTION needs_reconcile(registered oid, rewritten oid[], reasons text[]) RETURNS boolean LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r paysync.registration;
BEGIN
    SELECT * INTO r FROM paysync.registration AS g WHERE g.table_oid = registered;
    RETURN NOT FOUND OR reasons <> '{}' OR NOT EXISTS (SELECT FROM paysync.captured AS c WHERE c.relation = registered)
        OR EXISTS (SELECT FROM paysync.tree(registered) AS m WHERE m = ANY (rewritten) OR EXISTS (SELECT FROM paysync.triggers_to_mend(m, r)))
        OR paysync.is_altered_unseen(r) OR NOT paysync.is_filter_as_it_was(r);
END $$;

-- Compares a registered tree with what is known of it, and tells the difference. `rewritten` are relations whose rows the command
-- wrote anew, `reasons` is why the whole tree needs a gap all the same, if it has rows or `even_empty`. What was never looked at (it
-- came with a dump) is only taken in. Doing it again tells nothing.
CREATE OR REPLACE FUNCTION reconcile(registered regclass, rewritten oid[] DEFAULT '{}', reasons text[] DEFAULT '{}', even_empty boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r paysync.registration;
    followed paysync.registration;
    base paysync.captured;
    was record;
    was_whole boolean;
    -- Relation to why it needs a gap; in root mode all are the root's.
    gaps jsonb := '{}';
    reason text;
    after jsonb;
    reporter oid;
BEGIN
    SELECT * INTO r FROM paysync.registration AS g WHERE g.table_oid = registered;
    IF NOT FOUND THEN
        RAISE serialization_failure USING MESSAGE = format('the registration of table "%s" is newer than the transaction''s snapshot', registered),
            HINT = 'Run the transaction again.';
    END IF;
    SELECT * INTO base FROM paysync.captured AS c WHERE c.relation = registered;
    IF NOT FOUND THEN
        PERFORM paysync.create_trigger(m, r, name) FROM paysync.tree(registered) AS m, unnest(paysync.wanted_triggers(r)) AS name
        WHERE NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = m AND t.tgname = name);
        was_whole := NOT FOUND;
        PERFORM paysync.remember(r, false);
        IF NOT was_whole THEN
            PERFORM paysync.record_gaps(r, 'triggers were missing', true);
        END IF;
        RETURN;
    END IF;

    PERFORM paysync.lock_told(r, reasons <> '{}');
    after := paysync.facts_of(registered, r.key_columns);
    IF after -> 'columns' IS DISTINCT FROM base.facts -> 'columns' THEN
        followed := paysync.follow_columns(r, base.facts -> 'columns', after -> 'columns');
        PERFORM paysync.check_masks_followed(r, followed);
        UPDATE paysync.registration AS g SET columns = followed.columns, masks = followed.masks, key_columns = followed.key_columns,
            asked_columns = followed.asked_columns
        WHERE g.table_oid = registered AND to_jsonb(g) <> to_jsonb(followed);
        r := followed;
    END IF;
    IF r.row_filter IS NOT NULL THEN
        PERFORM paysync.check_filter(r, base.facts -> 'filter');
    END IF;
    IF r.masks <> '{}' THEN
        PERFORM paysync.raise_problems(format('cannot keep the masks of registered table "%s"', registered), paysync.leaks(r));
    END IF;

    FOR was IN
        SELECT coalesce(t.relation, c.relation) AS relation, t.relation IS NULL AS left_tree, c.root IS NULL AS joined, c.shape, c.capturing, c.facts
        FROM (SELECT m AS relation FROM paysync.tree(registered) AS m) AS t
        FULL JOIN (SELECT * FROM paysync.captured AS k WHERE k.root = registered) AS c USING (relation)
        ORDER BY t.relation IS NULL, 1 LOOP
        reason := NULL;
        IF was.left_tree THEN
            CONTINUE WHEN NOT EXISTS (SELECT FROM pg_class AS k WHERE k.oid = was.relation);
            IF paysync.root_of(was.relation) IS NULL THEN
                PERFORM paysync.drop_triggers(was.relation);
            END IF;
            PERFORM paysync.forget(was.relation);
            IF (SELECT k.relkind FROM pg_class AS k WHERE k.oid = was.relation) <> 'p' AND NOT paysync.is_empty(was.relation) THEN
                reason := format('"%s" was taken out with rows in it', was.relation::regclass);
                IF r.partitions = 'leaf' THEN
                    PERFORM paysync.record_gap(was.shape, reason);
                    reason := NULL;
                END IF;
            END IF;
        ELSIF was.joined THEN
            PERFORM paysync.adopt(was.relation, r);
            reason := format('"%s" was added and is not captured: ', was.relation::regclass) || paysync.trouble_of_relation(was.relation, r);
            IF reason IS NULL AND (SELECT k.relkind FROM pg_class AS k WHERE k.oid = was.relation) <> 'p' AND NOT paysync.is_empty(was.relation) THEN
                reason := format('"%s" was added with rows in it', was.relation::regclass);
            END IF;
        ELSE
            PERFORM paysync.mend_triggers(was.relation, r);
            reason := paysync.trouble_of_relation(was.relation, r);
            IF was.capturing = (reason IS NULL) THEN
                -- A column that is new in the registered table, but not here, has values that its default does not tell of.
                reason := CASE WHEN r.partitions = 'root' AND was.relation <> registered AND EXISTS (
                    SELECT FROM jsonb_each(was.facts -> 'columns') AS w WHERE w.value ->> 0 IN (
                        SELECT a.value ->> 0 FROM jsonb_each(after -> 'columns') AS a WHERE NOT base.facts -> 'columns' ? a.key))
                    AND NOT paysync.is_empty(was.relation)
                    THEN format('"%s" had a column before that was added', was.relation::regclass) END;
            ELSE
                reason := format('"%s" %s', was.relation::regclass, coalesce('is not captured: ' || reason, 'is captured again'));
            END IF;
        END IF;
        IF reason IS NULL AND was.relation = ANY (rewritten) AND NOT paysync.is_empty(was.relation) THEN
            reason := format('"%s" was rewritten', was.relation::regclass);
        END IF;
        IF reason IS NULL AND NOT was.left_tree AND NOT was.joined AND was.relation IN (SELECT paysync.reporters(r)) THEN
            reason := paysync.retyped(was.facts -> 'columns', paysync.facts_of(was.relation, r.key_columns) -> 'columns', was.shape);
            IF reason IS NOT NULL AND paysync.is_empty(was.relation) THEN
                reason := NULL;
            END IF;
        END IF;
        IF reason IS NOT NULL THEN
            gaps := gaps || jsonb_build_object(CASE r.partitions WHEN 'root' THEN registered::oid ELSE was.relation END::text, reason);
        END IF;
    END LOOP;

    FOR reporter IN SELECT paysync.reporters(r) LOOP
        IF NOT gaps ? reporter::text AND reasons <> '{}' AND (even_empty OR NOT paysync.is_empty(reporter)) THEN
            gaps := gaps || jsonb_build_object(reporter::text, array_to_string(reasons, ', '));
        END IF;
    END LOOP;
    -- Before the alter, under the shape that subscribers know: who reads on knows then that the rows do not bear it out. What has no
    -- shape yet gets its gap once it has one.
    FOR was IN SELECT c.relation, c.shape FROM paysync.captured AS c
               WHERE c.root = registered AND c.shape IS NOT NULL AND gaps ? c.relation::text ORDER BY 1 LOOP
        PERFORM paysync.record_gap(was.shape, gaps ->> was.relation::text);
        gaps := gaps - was.relation::text;
    END LOOP;
    PERFORM paysync.remember(r, true);
    PERFORM paysync.record_gap(c.shape, gaps ->> c.relation::text) FROM paysync.captured AS c
    WHERE c.root = registered AND gaps ? c.relation::text ORDER BY c.relation;
END $$;
