-- What cannot be captured, or not as it is asked for, is found here, with the reason.

-- What kind of relation it is: anything but a lasting table of a user is a problem, and then nothing else is looked at.
CREATE OR REPLACE FUNCTION kind_problems(relation regclass) RETURNS jsonb[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class;
    reason text;
    advice text;
BEGIN
    SELECT c.* INTO class FROM pg_class AS c WHERE c.oid = relation;
    CASE
        WHEN class.relkind IN ('v', 'm') THEN
            reason := 'it is a view'; advice := 'Register the tables it reads from.';
        WHEN class.relkind = 'f' THEN
            reason := 'it is a foreign table'; advice := 'Register it in the database where its rows are.';
        WHEN class.relkind NOT IN ('r', 'p') THEN
            reason := 'it is not a table'; advice := 'Only ordinary and partitioned tables can be registered.';
        WHEN class.relpersistence = 't' THEN
            reason := 'it is temporary'; advice := 'Its rows are nobody else''s; copy them into a permanent table.';
        WHEN class.relpersistence = 'u' THEN
            reason := 'it is unlogged'; advice := 'A crash empties it without a word: ALTER TABLE ... SET LOGGED first.';
        WHEN class.relnamespace IN ('pg_catalog'::regnamespace, 'paysync'::regnamespace) OR class.oid < 16384 THEN
            reason := 'it belongs to the system'; advice := 'Only tables of users can be registered.';
        ELSE
            RETURN NULL;
    END CASE;
    RETURN paysync.problem('42809', format('cannot register "%s": %s', relation, reason), NULL, advice);
END $$;

-- What stands beside it: members that cannot be captured, other registrations above or below.
CREATE OR REPLACE FUNCTION tree_problems(r registration) RETURNS jsonb[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said CONSTANT text := format('cannot register "%s": ', r.table_oid);
    above oid;
    problems jsonb[];
BEGIN
    SELECT paysync.root_of(i.inhparent) INTO above FROM pg_inherits AS i WHERE i.inhrelid = r.table_oid AND paysync.root_of(i.inhparent) IS NOT NULL LIMIT 1;
    IF above IS NOT NULL THEN
        problems := problems || paysync.problem('55000', said || format('it belongs to "%s", which is registered', above::regclass),
            'Its rows are captured with that table.', 'Register either the whole or its parts.');
    END IF;
    SELECT problems || array_agg(p) INTO problems FROM pg_inherits AS i,
        unnest(paysync.problem('55000', said || format('"%s", which belongs to it, is registered', i.inhrelid::regclass), NULL,
                               'Take that out with paysync.unregister() first.')) AS p
    WHERE i.inhparent IN (SELECT paysync.tree(r.table_oid)) AND EXISTS (SELECT FROM paysync.registration AS o WHERE o.table_oid = i.inhrelid);
    SELECT problems || array_agg(p) INTO problems FROM paysync.captured AS c,
        unnest(paysync.problem('55000', said || format('"%s" belongs to "%s" as well, which is registered', c.relation::regclass, c.root::regclass), NULL,
                               'A table''s rows are captured once: let it inherit from one of them.')) AS p
    WHERE c.relation IN (SELECT paysync.tree(r.table_oid)) AND c.root <> r.table_oid AND c.relation <> r.table_oid
      AND EXISTS (SELECT FROM paysync.registration AS o WHERE o.table_oid = c.root);
    SELECT problems || array_agg(p) INTO problems FROM paysync.tree(r.table_oid) AS t JOIN pg_class AS c ON c.oid = t,
        unnest(paysync.problem('42809', said || format('"%s", which belongs to it, is %s', t::regclass,
                CASE WHEN c.relkind = 'f' THEN 'a foreign table' WHEN c.relpersistence = 'u' THEN 'unlogged' ELSE 'temporary' END),
            'Its rows would not be captured.', CASE WHEN c.relpersistence = 'u' THEN 'ALTER TABLE ... SET LOGGED first.' ELSE 'Take it out of the table first.' END)) AS p
    WHERE t <> r.table_oid AND (c.relkind = 'f' OR c.relpersistence <> 'p');
    SELECT problems || array_agg(p) INTO problems FROM paysync.tree(r.table_oid) AS t JOIN pg_trigger AS g ON g.tgrelid = t,
        unnest(paysync.problem('55000', said || format('"%s" has a trigger of the name "%s" that is not of this extension', t::regclass, g.tgname), NULL,
                               'Rename that trigger.')) AS p
    WHERE g.tgname = ANY (paysync.wanted_triggers(r)) AND g.tgfoid <> 'paysync.capture()'::regprocedure;
    SELECT problems || array_agg(p) INTO problems FROM paysync.tree(r.table_oid) AS t,
        unnest(paysync.problem('55000', said || paysync.earlier_triggers(t),
            'What it does would be recorded before the change that it fires for.', 'Give it a name that begins with a letter.')) AS p
    WHERE paysync.earlier_triggers(t) IS NOT NULL;
    RETURN problems;
END $$;

-- Can a row be named, in each relation under whose name rows are reported, and are the columns that name it sent?
CREATE OR REPLACE FUNCTION key_problems(r registration) RETURNS jsonb[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reporter regclass;
    key text[];
    unsent text[] := '{}';
    problems jsonb[];
BEGIN
    IF r.insert_only THEN
        RETURN CASE WHEN r.key_columns IS NOT NULL THEN
            paysync.problem('22023', 'an insert-only table has no key', 'Both key_columns and insert_only are given.', 'Leave one of them out.') END;
    END IF;
    FOR reporter IN SELECT paysync.reporters(r) LOOP
        key := paysync.key_of(reporter, r.key_columns);
        IF key IS NULL AND r.key_columns IS NOT NULL THEN
            problems := problems || paysync.problem('55000',
                format('cannot register "%s": key columns %s of "%s" name no row', r.table_oid, r.key_columns, reporter),
                'They need a unique index on them alone, without expressions or predicate, not deferrable, and each must be NOT NULL.',
                'Add what is missing, or name other columns.');
        ELSIF key IS NULL AND r.old_values <> 'none' THEN
            problems := problems || paysync.problem('55000',
                format('cannot register "%s": %s has no primary key', r.table_oid, CASE WHEN reporter = r.table_oid THEN 'it' ELSE format('"%s"', reporter) END),
                'Updates and deletes could not say which row they mean. A deferrable primary key does not count.',
                'Add a primary key, name unique columns as key_columns, or register it with options => ''{"insert_only": true}'' if its rows are only ever inserted.');
        END IF;
        unsent := unsent || ARRAY(SELECT k FROM unnest(key) AS k WHERE NOT k = ANY (r.columns) AND k <> ALL (unsent));
    END LOOP;
    SELECT problems || array_agg(p) INTO problems FROM unnest(unsent) AS k,
        unnest(paysync.problem('22023', format('key column "%s" is not sent', k), NULL, 'Add it to columns.')) AS p;
    RETURN problems;
END $$;

-- Columns that a unique index of a relation stands on, inside expressions too.
CREATE OR REPLACE FUNCTION unique_columns(relation oid) RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attname::text FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid
    WHERE i.indrelid = unique_columns.relation AND i.indisunique AND a.attnum > 0
      AND (a.attnum IN (SELECT n.number FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS n (number, at) WHERE n.at <= i.indnkeyatts)
           OR i.indexprs IS NOT NULL AND EXISTS (
               SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
$$;

-- Generated columns of a relation, and the columns that they are computed from. Up to which version the server notes the column, and
-- from which its expression, as what depends, is of no matter here.
CREATE OR REPLACE FUNCTION computed_columns(relation oid) RETURNS TABLE (name text, source text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT g.attname::text, s.attname::text FROM pg_attribute AS g
    LEFT JOIN pg_attrdef AS e ON e.adrelid = g.attrelid AND e.adnum = g.attnum
    JOIN pg_depend AS d ON (d.classid, d.objid, d.objsubid) IN (('pg_class'::regclass, g.attrelid, g.attnum::int), ('pg_attrdef'::regclass, e.oid, 0))
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid = g.attrelid AND d.refobjsubid <> g.attnum
    JOIN pg_attribute AS s ON s.attrelid = g.attrelid AND s.attnum = d.refobjsubid
    WHERE g.attrelid = computed_columns.relation AND g.attgenerated <> ''
$$;

-- A mask that makes values equal stands on a column whose values must differ.
CREATE OR REPLACE FUNCTION uniqueness_problem(mask text, masked_column text) RETURNS jsonb[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.problem('22023', format('mask "%s" makes values of column "%s" equal, which are unique', mask, masked_column),
        'It is in the key, or in a unique index.', 'Take a token: {"mask": "hmac", "key": "..."}, or do not send the column.')
$$;

-- What DDL can do to masks that fit: a column that is computed from a masked one and sent, anywhere in the tree; a key of which
-- rows can no longer be told apart.
CREATE OR REPLACE FUNCTION leaks(r registration) RETURNS jsonb[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    computed record;
    problems jsonb[];
BEGIN
    FOR computed IN
        SELECT DISTINCT g.name, g.source FROM paysync.tree(r.table_oid) AS t, paysync.computed_columns(t) AS g
        WHERE r.masks ? g.source AND NOT r.masks ? g.name AND (r.columns IS NULL OR g.name = ANY (r.columns))
          AND (r.partitions = 'leaf' OR g.name = ANY (paysync.columns_of(r.table_oid)))
        ORDER BY 1, 2 LOOP
        problems := problems || paysync.problem('22023', format('column "%s" is computed from masked column "%s"', computed.name, computed.source), NULL,
            'Mask it as well, or do not send it.');
    END LOOP;
    SELECT problems || array_agg(p) INTO problems FROM (
        SELECT DISTINCT k FROM paysync.reporters(r) AS o, unnest(paysync.key_of(o, r.key_columns)) AS k
        WHERE NOT r.insert_only AND r.masks -> k ->> 'mask' <> 'hmac') AS key (name),
        unnest(paysync.uniqueness_problem(r.masks -> key.name ->> 'mask', key.name)) AS p;
    RETURN problems;
END $$;

-- Do masks fit the columns' types, leave keys and uniqueness alone, and reach what is computed from a masked column?
CREATE OR REPLACE FUNCTION mask_problems(r registration) RETURNS jsonb[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known_keys CONSTANT text[] := ARRAY(SELECT k.name FROM paysync.mask_key AS k ORDER BY 1);
    masked record;
    problems jsonb[];
BEGIN
    FOR masked IN SELECT a.attname::text AS name, a.atttypid, m.value ->> 'mask' AS kind, m.value ->> 'key' AS key
             FROM jsonb_each(r.masks) AS m JOIN pg_attribute AS a ON a.attrelid = r.table_oid AND a.attname = m.key AND a.attnum > 0 ORDER BY a.attnum LOOP
        IF masked.kind IN ('last4', 'first6last4') AND paysync.base_type(masked.atttypid) <> ALL ('{text,varchar,bpchar}'::regtype[]::oid[]) THEN
            problems := problems || paysync.problem('22023', format('mask "%s" does not fit column "%s" of type %s', masked.kind, masked.name, format_type(masked.atttypid, NULL)),
                'It is for text, varchar, char and domains over them.', 'Take "null", a text or a token.');
        END IF;
        IF masked.kind = 'hmac' AND masked.key IS NOT NULL AND masked.key <> ALL (known_keys) THEN
            problems := problems || paysync.problem('42704', format('mask key "%s" does not exist', masked.key), NULL,
                CASE WHEN cardinality(known_keys) > 0 THEN paysync.nearest(masked.key, known_keys) ELSE 'Set it first: paysync.set_mask_key(...).' END);
        END IF;
        IF masked.kind <> 'hmac' AND masked.name IN (
            SELECT u FROM paysync.reporters(r) AS o, paysync.unique_columns(o) AS u
            EXCEPT SELECT k FROM paysync.reporters(r) AS o, unnest(paysync.key_of(o, r.key_columns)) AS k WHERE NOT r.insert_only) THEN
            problems := problems || paysync.uniqueness_problem(masked.kind, masked.name);
        END IF;
    END LOOP;
    RETURN problems || paysync.leaks(r);
END $$;

-- The row filter in canonical form, or what is wrong with it. Names in it are looked for in `path`; the names here are qualified,
-- since that path is in force for a moment.
CREATE OR REPLACE FUNCTION read_filter(relation regclass, given text, path text, OUT filter text, OUT problems jsonb[]) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    code text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM pg_catalog.set_config('search_path', path, true);
    filter := paysync.check_row_filter(relation, given);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    problems := paysync.problem(code, 'invalid row filter: ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
