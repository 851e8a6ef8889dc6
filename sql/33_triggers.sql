-- Our triggers on the relations of a tree. The server copies row triggers to partitions, now and later; those for TRUNCATE, and
-- those of tables that inherit, are made one by one.

-- The names of the triggers that a registration wants on each of its relations.
CREATE OR REPLACE FUNCTION wanted_triggers(r registration) RETURNS text[] LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN r.insert_only OR r.operations <> '{truncate}' THEN '{!paysync_row}'::text[] ELSE '{}' END
            || CASE WHEN 'truncate' = ANY (r.operations) THEN '{!paysync_truncate}'::text[] ELSE '{}' END);
END $$;

-- Drops our triggers of a table, whatever they are called by now, but those to keep; were there any? Those that the server copied
-- to a partition go with the one they are copies of.
CREATE OR REPLACE FUNCTION drop_triggers(table_name regclass, keep text[] DEFAULT '{}') RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trigger_name name;
    found_any boolean := false;
BEGIN
    FOR trigger_name IN SELECT t.tgname FROM pg_trigger AS t WHERE t.tgrelid = table_name AND t.tgfoid = 'paysync.capture()'::regprocedure
                        AND t.tgparentid = 0 AND t.tgname <> ALL (keep) LOOP
        PERFORM paysync.own_command(format('DROP TRIGGER %I ON %s', trigger_name, table_name));
        found_any := true;
    END LOOP;
    RETURN found_any;
END $$;

-- Ours must be the first trigger of each row, so that it sets the anchor for what others do: '!' sorts before all letters.
-- It has no WHEN. An insert-only table's trigger fires for updates and deletes as well, to refuse them. One that is there is
-- made again as it should be, with a lock that lets readers pass; a copy of another one's is left to that.
CREATE OR REPLACE FUNCTION create_trigger(table_name regclass, r registration, trigger_name text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    row_operations CONSTANT text := array_to_string(ARRAY(SELECT o FROM unnest(
        CASE WHEN r.insert_only THEN '{insert,update,delete}' ELSE r.operations END) AS o WHERE o <> 'truncate'), ' OR ');
BEGIN
    IF EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = table_name AND t.tgname = trigger_name AND t.tgparentid <> 0) THEN
        RETURN;
    END IF;
    PERFORM paysync.own_command(format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s FOR EACH %s EXECUTE FUNCTION paysync.capture()', trigger_name,
        CASE trigger_name WHEN '!paysync_row' THEN row_operations ELSE 'TRUNCATE' END, table_name,
        CASE trigger_name WHEN '!paysync_row' THEN 'ROW' ELSE 'STATEMENT' END));
    PERFORM paysync.enable_trigger(table_name, r, trigger_name);
END $$;

-- ALWAYS: session_replication_role does not pass it by, unless the registration says so.
CREATE OR REPLACE FUNCTION enable_trigger(table_name regclass, r registration, trigger_name text) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.own_command(format('ALTER TABLE %s ENABLE %s TRIGGER %I', table_name, CASE WHEN r.replica THEN 'ALWAYS' ELSE '' END, trigger_name))
$$;

-- All triggers of a registration, on the whole tree.
CREATE OR REPLACE FUNCTION create_triggers(r registration) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
BEGIN
    FOR member IN SELECT paysync.tree(r.table_oid) LOOP
        PERFORM paysync.drop_triggers(member, paysync.wanted_triggers(r));
        PERFORM paysync.create_trigger(member, r, name) FROM unnest(paysync.wanted_triggers(r)) AS name;
    END LOOP;
END $$;

-- pg_trigger.tgtype of a trigger of ours: 1 for each row, 4 insert, 8 delete, 16 update, 32 truncate.
CREATE OR REPLACE FUNCTION trigger_type(name text, r registration) RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE name WHEN '!paysync_truncate' THEN 32
        ELSE 1 + CASE WHEN r.insert_only THEN 28 ELSE
            CASE WHEN 'insert' = ANY (r.operations) THEN 4 ELSE 0 END + CASE WHEN 'delete' = ANY (r.operations) THEN 8 ELSE 0 END
            + CASE WHEN 'update' = ANY (r.operations) THEN 16 ELSE 0 END END END
$$;

-- Triggers after each row that sort before ours: what they do to rows would be recorded before the change that they fired for, and
-- cannot be told from what a BEFORE trigger did. Null: none.
CREATE OR REPLACE FUNCTION earlier_triggers(relation oid) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('trigger "%s" sorts before "!paysync_row"', t.tgname), ', ' ORDER BY t.tgname) FROM pg_trigger AS t
    WHERE t.tgrelid = earlier_triggers.relation AND t.tgname < '!paysync_row' AND t.tgtype::integer & 3 = 1
      AND t.tgfoid <> 'paysync.capture()'::regprocedure
$$;

-- What keeps a relation's changes from being captured as they were made; null: nothing.
CREATE OR REPLACE FUNCTION trouble_of_relation(relation oid, r registration) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        SELECT nullif(concat_ws(', ', CASE WHEN c.relkind = 'f' THEN 'it is a foreign table' WHEN c.relpersistence <> 'p' THEN 'the table is not permanent' END, (
            SELECT string_agg(CASE WHEN t.oid IS NULL THEN format('trigger "%s" is gone', name)
                                   WHEN t.tgenabled <> CASE WHEN r.replica THEN 'A' ELSE 'O' END THEN format('trigger "%s" is disabled', name)
                                   ELSE format('trigger "%s" is not as it was made', name) END, ', ')
            FROM unnest(paysync.wanted_triggers(r)) AS name
            LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname = name AND t.tgfoid = 'paysync.capture()'::regprocedure
            WHERE t.oid IS NULL OR t.tgenabled <> CASE WHEN r.replica THEN 'A' ELSE 'O' END
               OR t.tgtype <> paysync.trigger_type(name, r) OR t.tgqual IS NOT NULL OR t.tgattr <> '' OR t.tgdeferrable),
            CASE WHEN EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid AND i.inhdetachpending) THEN 'it is being detached' END,
            paysync.earlier_triggers(c.oid)), '')
        FROM pg_class AS c WHERE c.oid = trouble_of_relation.relation);
END $$;

-- Are the triggers of this registration all there, and firing, and is nothing else in the way, on the whole tree?
CREATE OR REPLACE FUNCTION has_triggers(r registration) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT coalesce(bool_and(paysync.trouble_of_relation(t, r) IS NULL), false) FROM paysync.tree(r.table_oid) AS t);
END $$;

-- Does a tree look other than when it was looked at last? Takes no locks, so it sees what is committed.
CREATE OR REPLACE FUNCTION is_altered_unseen(r registration) RETURNS boolean LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        SELECT EXISTS (
            SELECT FROM paysync.tree(r.table_oid) AS t (relation)
            FULL JOIN (SELECT * FROM paysync.captured AS c WHERE c.root = r.table_oid) AS c USING (relation)
            WHERE t.relation IS NULL OR c.root IS NULL OR c.capturing <> (paysync.trouble_of_relation(t.relation, r) IS NULL)
               OR c.facts - 'filter' <> paysync.facts_of(t.relation, r.key_columns)));
END $$;

-- What keeps a registered table's changes from being captured, for people to read; null: nothing.
CREATE OR REPLACE FUNCTION trouble_of(r registration) RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    members CONSTANT oid[] := ARRAY(SELECT paysync.tree(r.table_oid));
    troubles text[];
BEGIN
    troubles := ARRAY(
        SELECT CASE WHEN m = r.table_oid THEN '' ELSE format('"%s": ', m::regclass) END || t.trouble
        FROM unnest(members) AS m, paysync.trouble_of_relation(m, r) AS t (trouble) WHERE t.trouble IS NOT NULL);
    IF NOT r.insert_only AND r.old_values <> 'none' THEN
        troubles := troubles || ARRAY(
            SELECT CASE WHEN o = r.table_oid THEN '' ELSE format('"%s": ', o::regclass) END
                || CASE WHEN r.key_columns IS NULL THEN 'the primary key is gone' ELSE 'the key is gone' END
            FROM paysync.reporters(r) AS o WHERE paysync.key_of(o, r.key_columns) IS NULL);
        troubles := troubles || ARRAY(
            SELECT CASE WHEN o = r.table_oid THEN '' ELSE format('"%s": ', o::regclass) END || format('key column "%s" is not sent', k)
            FROM paysync.reporters(r) AS o, unnest(paysync.key_of(o, r.key_columns)) AS k WHERE NOT k = ANY (r.columns));
    END IF;
    troubles := troubles || ARRAY(
        SELECT format('"%s" is registered itself', i.inhrelid::regclass) FROM pg_inherits AS i JOIN paysync.registration AS other ON other.table_oid = i.inhrelid
        WHERE i.inhparent = ANY (members));
    IF r.masks <> '{}' THEN
        troubles := troubles || ARRAY(
            SELECT DISTINCT format('mask key "%s" is not set', m.value ->> 'key') FROM jsonb_each(r.masks) AS m
            WHERE m.value ->> 'mask' = 'hmac' AND NOT EXISTS (SELECT FROM paysync.mask_key AS k WHERE k.name = m.value ->> 'key'));
    END IF;
    IF EXISTS (SELECT FROM paysync.captured AS c WHERE c.relation = r.table_oid) AND paysync.is_altered_unseen(r) THEN
        troubles := troubles || 'it was altered while event triggers were off: paysync.maintain() leaves a gap'::text;
    END IF;
    troubles := troubles || ARRAY(
        SELECT format('event trigger "%s" is %s', w.name, CASE WHEN e.oid IS NULL THEN 'gone' ELSE 'disabled' END)
        FROM (VALUES ('!paysync_ddl'), ('!paysync_drop'), ('!paysync_rewrite')) AS w (name)
        LEFT JOIN pg_event_trigger AS e ON e.evtname = w.name WHERE e.oid IS NULL OR e.evtenabled <> 'A');
    RETURN nullif(array_to_string(troubles, ', '), '');
END $$;
