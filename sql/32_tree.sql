-- A registered table and all that belongs to it: its partitions, and tables that inherit from it.

-- The relations of a tree, its root first. A member with a registration of its own, and what is below it, is left out. One whose
-- detaching is not finished is a member still.
CREATE OR REPLACE FUNCTION tree(root oid) RETURNS SETOF oid LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
        WITH RECURSIVE member AS (
            SELECT c.oid, 0 AS depth FROM pg_class AS c WHERE c.oid = root
            UNION
            SELECT i.inhrelid, m.depth + 1 FROM member AS m JOIN pg_inherits AS i ON i.inhparent = m.oid
            WHERE NOT EXISTS (SELECT FROM paysync.registration AS r WHERE r.table_oid = i.inhrelid))
        SELECT m.oid FROM member AS m GROUP BY m.oid ORDER BY min(m.depth), m.oid;
END $$;

-- The relations under whose name, columns and key rows are reported.
CREATE OR REPLACE FUNCTION reporters(r registration) RETURNS SETOF oid LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
        SELECT r.table_oid::oid WHERE r.partitions = 'root'
        UNION ALL
        SELECT c.oid FROM paysync.tree(r.table_oid) AS t JOIN pg_class AS c ON c.oid = t WHERE r.partitions = 'leaf' AND c.relkind <> 'p';
END $$;

-- The registered table that a relation belongs to, itself or the nearest above it.
CREATE OR REPLACE FUNCTION root_of(relation oid) RETURNS oid LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        WITH RECURSIVE above AS (
            SELECT root_of.relation AS oid, 0 AS height
            UNION
            SELECT i.inhparent, a.height + 1 FROM above AS a JOIN pg_inherits AS i ON i.inhrelid = a.oid)
        SELECT r.table_oid FROM above AS a JOIN paysync.registration AS r ON r.table_oid = a.oid ORDER BY a.height LIMIT 1);
END $$;

-- The type that domains stand on.
CREATE OR REPLACE FUNCTION base_type(type oid) RETURNS oid LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        WITH RECURSIVE below AS (
            SELECT t.oid, t.typbasetype FROM pg_type AS t WHERE t.oid = base_type.type
            UNION ALL
            SELECT t.oid, t.typbasetype FROM below AS b JOIN pg_type AS t ON t.oid = b.typbasetype)
        SELECT b.oid FROM below AS b WHERE b.typbasetype = 0);
END $$;

-- The columns that name a row of a relation: those asked for, if a unique index makes them a key, or its primary key; null if
-- it has none.
CREATE OR REPLACE FUNCTION key_of(relation oid, key_columns text[]) RETURNS text[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        SELECT k.names FROM pg_index AS i CROSS JOIN LATERAL (
            SELECT array_agg(a.attname::text ORDER BY n.at) AS names, bool_and(a.attnotnull) AS not_null
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS n (number, at) JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = n.number
            WHERE n.at <= i.indnkeyatts) AS k
        WHERE i.indrelid = key_of.relation AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indexprs IS NULL AND i.indpred IS NULL
          AND CASE WHEN key_columns IS NULL THEN i.indisprimary
                   ELSE k.not_null AND k.names @> key_columns AND k.names <@ key_columns END
        LIMIT 1);
END $$;

-- What a shape is made from, to see later whether anything changed unseen: name, columns by number (name, type, the type's
-- base), key.
CREATE OR REPLACE FUNCTION facts_of(relation oid, key_columns text[]) RETURNS jsonb LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('name', c.oid::regclass::text, 'key', paysync.key_of(c.oid, key_columns), 'columns', (
            SELECT coalesce(jsonb_object_agg(a.attnum, jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
                CASE WHEN t.typtype = 'd' THEN paysync.base_type(t.oid) ELSE t.oid END::bigint)), '{}')
            FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
        FROM pg_class AS c WHERE c.oid = facts_of.relation);
END $$;

-- Locks tables against writers until the transaction ends. With one in hand it waits for the next a moment only, less than the server
-- lets pass before it looks for a deadlock, and then begins anew with that one: a payment that writes to two of them is never the
-- victim. Error 55P03 after a minute.
CREATE OR REPLACE FUNCTION lock_writers(tables oid[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given_up CONSTANT timestamptz := clock_timestamp() + interval '1 minute';
    waiting oid;
    had CONSTANT text := current_setting('lock_timeout');
    patience CONSTANT text := least(300, (SELECT setting::integer / 3 FROM pg_settings WHERE name = 'deadlock_timeout'),
        (SELECT nullif(setting::integer, 0) FROM pg_settings WHERE name = 'lock_timeout')) || 'ms';
BEGIN
    LOOP
        BEGIN
            FOR waiting IN SELECT t FROM unnest(tables) WITH ORDINALITY AS u (t, n) ORDER BY n LOOP
                CONTINUE WHEN NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = waiting);
                IF waiting <> tables[1] THEN
                    PERFORM set_config('lock_timeout', patience, true);
                END IF;
                EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', waiting::regclass);
            END LOOP;
            PERFORM set_config('lock_timeout', had, true);
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            -- What was locked is given back with the block.
            IF waiting = tables[1] OR clock_timestamp() > given_up THEN
                RAISE;
            END IF;
            tables := waiting || array_remove(tables, waiting);
        WHEN undefined_table OR invalid_schema_name THEN
            -- Dropped while it was waited for.
            tables := array_remove(tables, waiting);
        END;
    END LOOP;
END $$;
