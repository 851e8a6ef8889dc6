-- register(), alter_registration(), unregister(): the C functions see that the caller owns the table, lock its tree and call these
-- with the owner's rights. Because of the lock every transaction that writes afterwards sees the new facts.

-- The columns that a row filter, in canonical form, looks at.
CREATE OR REPLACE FUNCTION columns_used(r registration) RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attname::text FROM unnest(paysync.filter_uses(r.table_oid, r.row_filter)) AS u
    JOIN pg_attribute AS a ON a.attrelid = r.table_oid AND a.attnum = split_part(u, ' ', 2)::bigint WHERE u LIKE 'column %'
$$;

-- All that stands against a registration; its filter in canonical form. `path` is the search path for the filter's names; null:
-- it is in canonical form already.
CREATE OR REPLACE FUNCTION check_registration(INOUT r registration, path text, OUT problems jsonb[]) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    filter record;
BEGIN
    problems := paysync.tree_problems(r) || paysync.key_problems(r) || paysync.mask_problems(r);
    IF r.row_filter IS NOT NULL THEN
        filter := paysync.read_filter(r.table_oid, r.row_filter, coalesce(path, 'pg_catalog, pg_temp'));
        r.row_filter := filter.filter;
        problems := problems || filter.problems;
        IF NOT r.insert_only AND NOT r.operations @> '{insert,update,delete}' THEN
            problems := problems || paysync.problem('22023', 'row filter needs operations insert, update and delete',
                'An update by which a row enters or leaves the filter is an insert or a delete to subscribers.', 'Capture all three, or take no filter.');
        END IF;
        -- An error of the filter would show the value.
        IF r.row_filter IS NOT NULL THEN
            SELECT problems || array_agg(p) INTO problems FROM jsonb_object_keys(r.masks) AS masked,
                unnest(paysync.problem('22023', format('row filter must not use masked column "%s"', masked), 'An error in it would show the value.',
                                       'Filter by another column.')) AS p
            WHERE masked IN (SELECT u FROM paysync.columns_used(r) AS u
                             UNION ALL SELECT g.source FROM paysync.columns_used(r) AS u JOIN paysync.computed_columns(r.table_oid) AS g ON g.name = u);
        END IF;
    END IF;
END $$;

-- Writes down what the relations of a registered tree look like now. Those that report get their shape: as an alter, if they had
-- one before and `altered` says that the change may be told as one.
CREATE OR REPLACE FUNCTION remember(r registration, altered boolean) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
    previous bigint;
    now_shape bigint;
    facts jsonb;
BEGIN
    DELETE FROM paysync.captured AS c WHERE c.root = r.table_oid AND c.relation NOT IN (SELECT paysync.tree(r.table_oid));
    PERFORM paysync.forget(t) FROM paysync.tree(r.table_oid) AS t;
    FOR member IN SELECT paysync.tree(r.table_oid) LOOP
        -- In root mode all have the root's shape; it comes first.
        IF member IN (SELECT paysync.reporters(r)) THEN
            SELECT c.shape INTO previous FROM paysync.captured AS c WHERE c.relation = member;
            now_shape := paysync.note_shape(member);
            IF altered AND previous <> now_shape THEN
                now_shape := paysync.record_alter(member, previous);
            END IF;
        ELSIF r.partitions = 'leaf' THEN
            now_shape := NULL;
        END IF;
        facts := paysync.facts_of(member, r.key_columns);
        CONTINUE WHEN facts IS NULL;  -- dropped meanwhile, which is told where it was dropped
        IF member = r.table_oid AND r.row_filter IS NOT NULL THEN
            facts := facts || jsonb_build_object('filter', paysync.filter_uses(member, r.row_filter));
        END IF;
        INSERT INTO paysync.captured AS c (relation, root, shape, capturing, facts)
        VALUES (member, r.table_oid, now_shape, paysync.trouble_of_relation(member, r) IS NULL, facts)
        ON CONFLICT (relation) DO UPDATE SET root = excluded.root, shape = excluded.shape, capturing = excluded.capturing, facts = excluded.facts;
    END LOOP;
END $$;

-- What of a registration decides how rows look to subscribers who have them.
CREATE OR REPLACE FUNCTION looks_of(r registration) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_jsonb(r) - '{old_values,new_columns,skip_unchanged,asked_columns,format}'::text[]
        || jsonb_build_object('columns', coalesce(r.columns, paysync.columns_of(r.table_oid)))
$$;

-- A gap for each relation that reports. Without rows only where subscribers may have some all the same.
CREATE OR REPLACE FUNCTION record_gaps(r registration, reason text, even_empty boolean) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.record_gap(c.shape, reason) FROM paysync.reporters(r) AS o JOIN paysync.captured AS c ON c.relation = o
    WHERE even_empty OR NOT paysync.is_empty(o)
    ORDER BY o
$$;

-- Did the channel carry changes of this relation before?
CREATE OR REPLACE FUNCTION was_captured(r registration) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM paysync.reporters(r) AS o JOIN pg_class AS c ON c.oid = o JOIN pg_namespace AS n ON n.oid = c.relnamespace
                   JOIN paysync.shapes AS s ON (s.schema_name, s.table_name, s.channel) = (n.nspname, c.relname, r.channel))
$$;

-- Are these the same thing to ask for? Columns that were added meanwhile are not.
CREATE OR REPLACE FUNCTION is_same_request(a registration, b registration) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_jsonb(a) - '{registered_by,registered_at,format,columns}'::text[] = to_jsonb(b) - '{registered_by,registered_at,format,columns}'::text[]
$$;

-- A registration in words, for those who asked for another one.
CREATE OR REPLACE FUNCTION describe_registration(r registration) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('It is in channel "%s", operations %s%s.', r.channel, r.operations, concat(
        CASE WHEN r.insert_only THEN ', insert-only' END, ', columns ' || r.asked_columns::text, ', filter ' || r.row_filter,
        ', masks ' || nullif(r.masks, '{}')::text, ', old values ' || nullif(r.old_values, 'key'), ', key columns ' || r.key_columns::text,
        CASE WHEN r.partitions = 'leaf' THEN ', reported by leaf' END, CASE WHEN NOT r.replica THEN ', not for replicas' END,
        CASE WHEN r.skip_unchanged THEN ', without unchanged updates' END))
$$;

CREATE OR REPLACE FUNCTION register_table(table_name regclass, channel text, operations text[], columns text[], row_filter text, masks jsonb,
    old_values text, key_columns text[], new_columns text, options jsonb, path text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted paysync.registration;
    known paysync.registration;
    got record;
    problems jsonb[];
    is_again boolean;
BEGIN
    wanted := ROW(table_name, channel, false, operations, session_user, now(), 2, NULL, NULL, '{}', 'key', NULL, 'include', true, 'root', false, NULL);
    got := paysync.read_arguments(wanted, coalesce(channel, ''), coalesce(operations, '{}'), columns, row_filter, masks, old_values, key_columns,
        coalesce(new_columns, CASE WHEN columns IS NOT NULL OR masks <> '{}' THEN 'withhold' ELSE 'include' END), options);
    wanted := got.r;
    problems := got.problems;
    IF channel IS NULL THEN
        problems := paysync.problem('22023', 'invalid channel name NULL', NULL, 'A channel''s name is 1 to 63 bytes long and has no control characters.') || problems[2:];
    END IF;
    IF columns = '{}' THEN
        problems := problems || paysync.problem('22023', 'no column to send', NULL, 'Name at least one, or leave columns out for all.');
    END IF;
    got.problems := paysync.kind_problems(table_name);
    IF got.problems IS NULL THEN
        got := paysync.check_registration(wanted, path);
        wanted := got.r;
    END IF;
    PERFORM paysync.raise_problems(format('cannot register "%s"', table_name), problems || got.problems);

    SELECT * INTO known FROM paysync.registration AS r WHERE r.table_oid = table_name;
    IF FOUND AND paysync.has_triggers(known) THEN
        IF paysync.is_same_request(known, wanted) THEN
            RAISE NOTICE 'table "%" is registered already', table_name;
            RETURN;
        END IF;
        RAISE duplicate_object USING MESSAGE = format('table "%s" is registered already, with other arguments', table_name),
            DETAIL = paysync.describe_registration(known),
            HINT = 'Say what is to change with paysync.alter_registration().';
    END IF;
    -- A registration whose triggers somebody dropped or disabled is made again.
    DELETE FROM paysync.registration AS r WHERE r.table_oid = table_name;
    is_again := paysync.was_captured(wanted);
    PERFORM paysync.create_triggers(wanted);
    INSERT INTO paysync.registration SELECT wanted.*;
    PERFORM paysync.remember(wanted, false);
    -- Rows that went while it was not registered are missed as well as those that are there.
    PERFORM paysync.record_gaps(wanted, CASE WHEN is_again THEN 'the table was registered again' ELSE 'the table was registered with rows in it' END, is_again);
END $$;

-- How much a mask hides.
CREATE OR REPLACE FUNCTION mask_strength(mask jsonb) RETURNS integer LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT coalesce(array_position('{first6last4,last4,hmac,text}', replace(mask ->> 'mask', 'null', 'text')), 0) $$;

-- Sent columns that would show more than before.
CREATE OR REPLACE FUNCTION unmasked_columns(known registration, wanted registration) RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT m.key FROM jsonb_each(known.masks) AS m
                 WHERE paysync.mask_strength(wanted.masks -> m.key) < paysync.mask_strength(m.value) ORDER BY 1)
$$;

CREATE OR REPLACE FUNCTION alter_table_registration(table_name regclass, channel text, operations text[], columns text[], row_filter text, masks jsonb,
    old_values text, key_columns text[], new_columns text, options jsonb, allow_unmask boolean, path text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known paysync.registration;
    wanted paysync.registration;
    got record;
    problems jsonb[];
    shown text[];
    left_shapes bigint[];
    was_whole boolean;
BEGIN
    SELECT * INTO known FROM paysync.registration AS r WHERE r.table_oid = table_name;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('table "%s" is not registered', table_name),
            HINT = coalesce('It belongs to "' || paysync.root_of(table_name)::regclass::text || '", which is.', 'Register it with paysync.register().');
    END IF;
    -- The first mask or list of columns withholds what comes later, as it does in register().
    IF new_columns IS NULL AND known.new_columns = 'include' AND known.masks = '{}' AND known.asked_columns IS NULL
        AND (masks <> '{}' OR columns <> '{}') THEN
        new_columns := 'withhold';
    END IF;
    got := paysync.read_arguments(known, channel, operations, columns, row_filter, masks, old_values, key_columns, new_columns, options);
    wanted := got.r;
    problems := got.problems;
    got := paysync.check_registration(wanted, CASE WHEN row_filter IS NOT NULL THEN path END);
    wanted := got.r;
    shown := paysync.unmasked_columns(known, wanted);
    IF shown <> '{}' AND NOT coalesce(allow_unmask, false) THEN
        problems := problems || paysync.problem('22023', format('columns %s would be masked less', shown),
            'Values that nobody could see would be sent.', 'Say allow_unmask => true if that is meant; it is written into the server''s log.');
    END IF;
    PERFORM paysync.raise_problems(format('cannot alter the registration of "%s"', table_name), problems || got.problems);
    was_whole := paysync.has_triggers(known);
    IF paysync.is_same_request(known, wanted) AND was_whole THEN
        RAISE NOTICE 'the registration of table "%" is like that already', table_name;
        RETURN;
    END IF;
    IF shown <> '{}' THEN
        RAISE LOG 'paysync: columns % of table "%" are masked less from now on, by role "%"', shown, table_name, session_user;
        PERFORM paysync.log_event('unmask', table_name::text, format('columns %s are masked less, by %s', shown, session_user));
    END IF;
    IF NOT was_whole OR (known.operations, known.insert_only, known.replica) IS DISTINCT FROM (wanted.operations, wanted.insert_only, wanted.replica) THEN
        PERFORM paysync.create_triggers(wanted);
    END IF;
    -- Names under which nothing more will come get a last word.
    IF (known.channel, known.partitions) IS DISTINCT FROM (wanted.channel, wanted.partitions) THEN
        left_shapes := ARRAY(SELECT c.shape FROM paysync.reporters(known) AS o JOIN paysync.captured AS c ON c.relation = o WHERE NOT paysync.is_empty(o) ORDER BY o);
        PERFORM paysync.record_gap(s, 'the registration was altered') FROM unnest(left_shapes) AS s;
    END IF;
    UPDATE paysync.registration AS r SET channel = wanted.channel, insert_only = wanted.insert_only, operations = wanted.operations, format = wanted.format,
        columns = wanted.columns, row_filter = wanted.row_filter, masks = wanted.masks, old_values = wanted.old_values, key_columns = wanted.key_columns,
        new_columns = wanted.new_columns, replica = wanted.replica, partitions = wanted.partitions, skip_unchanged = wanted.skip_unchanged, asked_columns = wanted.asked_columns
    WHERE r.table_oid = table_name;
    PERFORM paysync.remember(wanted, left_shapes IS NULL);
    IF NOT was_whole OR
        paysync.looks_of(known) <> paysync.looks_of(wanted) THEN
        PERFORM paysync.record_gaps(wanted, CASE WHEN was_whole THEN 'the registration was altered' ELSE 'the table is captured again' END, NOT was_whole);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION unregister_table(table_name regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member regclass;
    found_any boolean := false;
    above oid := nullif(paysync.root_of(table_name), table_name);
BEGIN
    IF above IS NOT NULL AND NOT EXISTS (SELECT FROM paysync.registration AS r WHERE r.table_oid = table_name) THEN
        RAISE undefined_object USING MESSAGE = format('table "%s" is not registered', table_name),
            DETAIL = format('It belongs to "%s", which is.', above::regclass), HINT = 'Take that out as a whole.';
    END IF;
    FOR member IN SELECT paysync.tree(table_name) LOOP
        found_any := paysync.drop_triggers(member) OR found_any;
        PERFORM paysync.forget(member);
    END LOOP;
    DELETE FROM paysync.captured AS c WHERE c.root = table_name;
    DELETE FROM paysync.registration AS r WHERE r.table_oid = table_name;
    IF NOT FOUND AND NOT found_any THEN
        RAISE undefined_object USING MESSAGE = format('table "%s" is not registered', table_name);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION register(
    table_name regclass,
    channel text DEFAULT 'default',
    operations text[] DEFAULT '{insert,update,delete,truncate}',
    columns text[] DEFAULT NULL,
    row_filter text DEFAULT NULL,
    masks jsonb DEFAULT '{}',
    old_values text DEFAULT 'key',
    key_columns text[] DEFAULT NULL,
    new_columns text DEFAULT NULL,
    options jsonb DEFAULT '{}'
) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_register';
COMMENT ON FUNCTION register IS 'capture the rows of a table (its owner only); options: replica, partitions, skip_unchanged, insert_only';

CREATE OR REPLACE FUNCTION alter_registration(
    table_name regclass,
    channel text DEFAULT NULL,
    operations text[] DEFAULT NULL,
    columns text[] DEFAULT NULL,
    row_filter text DEFAULT NULL,
    masks jsonb DEFAULT NULL,
    old_values text DEFAULT NULL,
    key_columns text[] DEFAULT NULL,
    new_columns text DEFAULT NULL,
    options jsonb DEFAULT NULL,
    allow_unmask boolean DEFAULT false
) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_alter_registration';
COMMENT ON FUNCTION alter_registration IS 'change how a table is captured, for transactions that write afterwards (its owner only); null leaves a thing as it is';

CREATE OR REPLACE FUNCTION unregister(table_name regclass) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_unregister';
COMMENT ON FUNCTION unregister IS 'stop capturing a table (its owner only); what is captured is still delivered';
