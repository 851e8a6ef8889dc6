-- The arguments of register() and alter_registration(): read into a registration, with all that is wrong with them.

-- {"pan": "last4", "x": {"mask": "text", "value": "***"}} in canonical form.
CREATE OR REPLACE FUNCTION read_masks(given jsonb, known_columns text[], OUT masks jsonb, OUT problems jsonb[]) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := '{"null",text,last4,first6last4,hmac}';
    name text;
    form jsonb;
    kind text;
    -- What a mask needs beside its name.
    needs text;
    member text;
BEGIN
    masks := '{}';
    IF jsonb_typeof(given) <> 'object' THEN
        problems := paysync.problem('22023', 'masks must be a JSON object', NULL, 'Give a mask for each column, as in {"pan": "last4"}.');
        RETURN;
    END IF;
    FOR name, form IN SELECT * FROM jsonb_each(given) LOOP
        form := CASE WHEN jsonb_typeof(form) = 'object' THEN form ELSE jsonb_build_object('mask', form) END;
        kind := CASE WHEN jsonb_typeof(form -> 'mask') = 'string' THEN form ->> 'mask' END;
        needs := CASE kind WHEN 'text' THEN 'value' WHEN 'hmac' THEN 'key' END;
        IF name <> ALL (known_columns) THEN
            problems := problems || paysync.unknown('column', name, known_columns);
        END IF;
        IF kind IS NULL OR kind <> ALL (known) THEN
            problems := problems || paysync.unknown('mask', coalesce(kind, (form -> 'mask')::text, ''), known);
            CONTINUE;
        END IF;
        IF needs IS NOT NULL AND jsonb_typeof(form -> needs) IS DISTINCT FROM 'string' THEN
            problems := problems || paysync.problem('22023', format('mask "%s" of column "%s" needs a %s', kind, name, needs), NULL,
                format('Give it as {"mask": "%s", "%s": "..."}.', kind, needs));
        END IF;
        FOR member IN SELECT m FROM jsonb_object_keys(form) AS m WHERE m <> 'mask' AND m IS DISTINCT FROM needs LOOP
            problems := problems || paysync.unknown(format('member of mask "%s"', kind), member, array_remove(ARRAY['mask', needs], NULL));
        END LOOP;
        masks := masks || jsonb_build_object(name, form);
    END LOOP;
END $$;

-- {"insert_only": ..., "replica": ..., "partitions": ..., "skip_unchanged": ...} into a registration.
CREATE OR REPLACE FUNCTION read_options(given jsonb, INOUT r registration, OUT problems jsonb[]) LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := '{replica,partitions,skip_unchanged,insert_only}';
    name text;
    setting jsonb;
BEGIN
    IF jsonb_typeof(given) <> 'object' THEN
        problems := paysync.problem('22023', 'options must be a JSON object');
        RETURN;
    END IF;
    FOR name, setting IN SELECT * FROM jsonb_each(given) LOOP
        IF name <> ALL (known) THEN
            problems := problems || paysync.unknown('option', name, known);
        ELSIF name = 'partitions' THEN
            IF setting NOT IN ('"root"', '"leaf"') THEN
                problems := problems || paysync.problem('22023', format('option "partitions" is %s', setting), NULL, 'It must be "root" or "leaf".');
            END IF;
            r.partitions := setting #>> '{}';
        ELSIF jsonb_typeof(setting) <> 'boolean' THEN
            problems := problems || paysync.problem('22023', format('option "%s" must be true or false', name));
        ELSIF name = 'replica' THEN
            r.replica := setting::boolean;
        ELSIF name = 'skip_unchanged' THEN
            r.skip_unchanged := setting::boolean;
        ELSE
            r.insert_only := setting::boolean;
        END IF;
    END LOOP;
END $$;

-- The operations in their fixed order, without doubles.
CREATE OR REPLACE FUNCTION read_operations(given text[], OUT operations text[], OUT problems jsonb[]) LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := '{insert,update,delete,truncate}';
BEGIN
    SELECT array_agg(p ORDER BY n) INTO problems
    FROM (SELECT u.p, o.n FROM unnest(given) WITH ORDINALITY AS o (name, n), unnest(paysync.unknown('operation', o.name, known)) AS u (p)
          WHERE o.name IS NULL OR o.name <> ALL (known)) AS wrong;
    IF coalesce(cardinality(given), 0) = 0 THEN
        problems := paysync.problem('22023', 'no operation to capture', NULL, 'Name at least one of insert, update, delete, truncate.');
    END IF;
    operations := ARRAY(SELECT o FROM unnest(known) WITH ORDINALITY AS k (o, n) WHERE o = ANY (given) ORDER BY n);
END $$;

-- Names of columns, in table order, without doubles.
CREATE OR REPLACE FUNCTION read_columns(given text[], known_columns text[], OUT columns text[], OUT problems jsonb[]) LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT array_agg(p ORDER BY n) INTO problems
    FROM (SELECT u.p, g.n FROM unnest(given) WITH ORDINALITY AS g (name, n), unnest(paysync.unknown('column', g.name, known_columns)) AS u (p)
          WHERE g.name IS NULL OR g.name <> ALL (known_columns)) AS wrong;
    columns := ARRAY(SELECT k FROM unnest(known_columns) WITH ORDINALITY AS w (k, n) WHERE k = ANY (given) ORDER BY n);
END $$;

-- The columns of a table in their order.
CREATE OR REPLACE FUNCTION columns_of(relation oid) RETURNS text[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = columns_of.relation AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
$$;

-- Puts what is not null into a registration. An empty list of columns or key columns, an empty filter, takes it away.
CREATE OR REPLACE FUNCTION read_arguments(INOUT r registration, given_channel text, given_operations text[], given_columns text[], given_filter text,
    given_masks jsonb, given_old_values text, given_key_columns text[], given_new_columns text, given_options jsonb, OUT problems jsonb[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known_columns CONSTANT text[] := paysync.columns_of(r.table_oid);
    known_old_values CONSTANT text[] := '{none,key,changed,full}';
    known_new_columns CONSTANT text[] := '{include,withhold}';
    found jsonb[];
    got record;
BEGIN
    IF given_channel IS NOT NULL THEN
        r.channel := given_channel;
        problems := problems || paysync.channel_problem(given_channel);
    END IF;
    IF given_operations IS NOT NULL THEN
        SELECT o.operations, o.problems INTO r.operations, found FROM paysync.read_operations(given_operations) AS o;
        problems := problems || found;
    END IF;
    IF given_columns IS NOT NULL THEN
        SELECT nullif(c.columns, '{}'), c.problems INTO r.columns, found FROM paysync.read_columns(given_columns, known_columns) AS c;
        r.asked_columns := r.columns;
        problems := problems || found;
    END IF;
    IF given_filter IS NOT NULL THEN
        r.row_filter := nullif(btrim(given_filter, E' \t\r\n'), '');
    END IF;
    IF given_masks IS NOT NULL THEN
        SELECT m.masks, m.problems INTO r.masks, found FROM paysync.read_masks(given_masks, known_columns) AS m;
        problems := problems || found;
    END IF;
    IF given_old_values IS NOT NULL THEN
        r.old_values := given_old_values;
        IF given_old_values <> ALL (known_old_values) THEN
            problems := problems || paysync.unknown('choice of old values', given_old_values, known_old_values);
        END IF;
    END IF;
    IF given_key_columns IS NOT NULL THEN
        SELECT nullif(c.columns, '{}'), c.problems INTO r.key_columns, found FROM paysync.read_columns(given_key_columns, known_columns) AS c;
        problems := problems || found;
    END IF;
    IF given_new_columns IS NOT NULL THEN
        r.new_columns := given_new_columns;
        IF given_new_columns <> ALL (known_new_columns) THEN
            problems := problems || paysync.unknown('choice for new columns', given_new_columns, known_new_columns);
        END IF;
    END IF;
    IF given_options IS NOT NULL THEN
        got := paysync.read_options(given_options, r);
        r := got.r;
        problems := problems || got.problems;
    END IF;
    -- Columns that come later are withheld by not being in the list.
    IF r.new_columns = 'withhold' AND r.columns IS NULL THEN
        r.columns := known_columns;
    END IF;
END $$;
