-- Registration: which tables are captured.

CREATE FUNCTION capture() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_capture';

CREATE FUNCTION note_shape(table_name regclass) RETURNS bigint STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_note_shape';

-- The known word nearest to `word`, as the end of a hint.
CREATE FUNCTION nearest(word text, known text[]) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('Did you mean "%s"? Known: %s.', (
        SELECT candidate FROM unnest(known) AS candidate
        ORDER BY (SELECT count(*) FROM generate_series(1, length(word) - 1) AS i WHERE strpos(candidate, substr(word, i, 2)) > 0) DESC,
                 abs(length(candidate) - length(word)) LIMIT 1), array_to_string(known, ', '))
$$;

-- A channel's name: 1 to 63 bytes, no control characters.
CREATE FUNCTION check_channel(channel text) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF channel IS NULL OR octet_length(channel) NOT BETWEEN 1 AND 63 OR channel ~ '[[:cntrl:]]' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('invalid channel name %L', channel),
            HINT = 'A channel''s name is 1 to 63 bytes long and has no control characters.';
    END IF;
END $$;

-- What cannot be captured is refused here, with the reason.
CREATE FUNCTION check_capturable(table_name regclass, insert_only boolean) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    class pg_class;
    reason text;
    advice text;
BEGIN
    SELECT c.* INTO class FROM pg_class AS c WHERE c.oid = table_name;
    CASE
        WHEN class.relkind IN ('v', 'm') THEN
            reason := 'it is a view'; advice := 'Register the tables it reads from.';
        WHEN class.relkind = 'f' THEN
            reason := 'it is a foreign table'; advice := 'Register it in the database where its rows are.';
        WHEN class.relkind = 'p' THEN
            reason := 'it is partitioned'; advice := 'Register each of its partitions.';
        WHEN class.relkind <> 'r' THEN
            reason := 'it is not a table'; advice := 'Only ordinary tables can be registered.';
        WHEN class.relpersistence = 't' THEN
            reason := 'it is temporary'; advice := 'Its rows are nobody else''s; copy them into a permanent table.';
        WHEN class.relpersistence = 'u' THEN
            reason := 'it is unlogged'; advice := 'A crash empties it without a word: ALTER TABLE … SET LOGGED first.';
        WHEN class.relnamespace IN ('pg_catalog'::regnamespace, 'paysync'::regnamespace) OR class.oid < 16384 THEN
            reason := 'it belongs to the system'; advice := 'Only tables of users can be registered.';
        WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = class.oid) THEN
            reason := 'other tables inherit from it'; advice := 'Rows of its children would not be captured.';
        ELSE
            reason := NULL;
    END CASE;
    IF reason IS NOT NULL THEN
        RAISE wrong_object_type USING MESSAGE = format('cannot register "%s": %s', table_name, reason), HINT = advice;
    END IF;
    IF NOT insert_only AND NOT EXISTS (
        SELECT FROM pg_index AS i WHERE i.indrelid = class.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('cannot register "%s": it has no primary key', table_name),
            DETAIL = 'Updates and deletes could not say which row they mean. A deferrable primary key does not count.',
            HINT = 'Add a primary key, or register it with options => ''{"insert_only": true}'' if its rows are only ever inserted.';
    END IF;
END $$;

-- Reads the options of register(): {"insert_only": boolean}.
CREATE FUNCTION read_insert_only(options jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    option text;
BEGIN
    IF jsonb_typeof(coalesce(options, '{}')) <> 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'options must be a JSON object';
    END IF;
    FOR option IN SELECT jsonb_object_keys(coalesce(options, '{}')) LOOP
        IF option <> 'insert_only' THEN
            RAISE invalid_parameter_value USING MESSAGE = format('unknown option "%s"', option),
                HINT = paysync.nearest(option, '{insert_only}'::text[]);
        END IF;
    END LOOP;
    IF jsonb_typeof(coalesce(options -> 'insert_only', 'false')) <> 'boolean' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'option "insert_only" must be true or false';
    END IF;
    RETURN coalesce((options ->> 'insert_only')::boolean, false);
END $$;

-- The operations in their fixed order, without doubles; only inserts and truncates for an insert-only table.
CREATE FUNCTION read_operations(operations text[], insert_only boolean) RETURNS text[] LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := '{insert,update,delete,truncate}';
    operation text;
BEGIN
    FOREACH operation IN ARRAY coalesce(operations, '{}') LOOP
        IF operation IS NULL OR operation <> ALL (known) THEN
            RAISE invalid_parameter_value USING MESSAGE = format('unknown operation %s', coalesce('"' || operation || '"', 'null')),
                HINT = paysync.nearest(coalesce(operation, ''), known);
        END IF;
    END LOOP;
    IF coalesce(cardinality(operations), 0) = 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'no operation to capture', HINT = 'Name at least one of insert, update, delete, truncate.';
    END IF;
    RETURN ARRAY(SELECT o FROM unnest(known) WITH ORDINALITY AS k (o, n) WHERE o = ANY (operations) ORDER BY n);
END $$;

-- Ours must be the first trigger of each row, so that it sets the anchor for what others do: '!' sorts before all letters.
-- It has no WHEN. ALWAYS: session_replication_role does not pass it by. An insert-only table's trigger fires for updates
-- and deletes as well, to refuse them.
CREATE FUNCTION create_triggers(table_name regclass, operations text[], insert_only boolean) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    row_operations text := array_to_string(ARRAY(SELECT o FROM unnest(
        CASE WHEN insert_only THEN '{insert,update,delete}' ELSE operations END) AS o WHERE o <> 'truncate'), ' OR ');
BEGIN
    IF row_operations <> '' THEN
        EXECUTE format('CREATE TRIGGER "!paysync_row" AFTER %s ON %s FOR EACH ROW EXECUTE FUNCTION paysync.capture()', row_operations, table_name);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!paysync_row"', table_name);
    END IF;
    IF 'truncate' = ANY (operations) THEN
        EXECUTE format('CREATE TRIGGER "!paysync_truncate" AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION paysync.capture()', table_name);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "!paysync_truncate"', table_name);
    END IF;
END $$;

-- Are the triggers of this registration all there, and firing?
CREATE FUNCTION has_triggers(registered registration) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) = (registered.insert_only OR registered.operations <> '{truncate}')::int + ('truncate' = ANY (registered.operations))::int
    FROM pg_trigger AS t
    WHERE t.tgrelid = registered.table_oid AND t.tgfoid = 'paysync.capture()'::regprocedure AND t.tgenabled = 'A'
      AND t.tgname IN ('!paysync_row', '!paysync_truncate')
$$;

-- Drops all our triggers of a table, whatever they are called by now; were there any?
CREATE FUNCTION drop_triggers(table_name regclass) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    trigger_name name;
    found_any boolean := false;
BEGIN
    FOR trigger_name IN SELECT t.tgname FROM pg_trigger AS t
                        WHERE t.tgrelid = table_name AND t.tgfoid = 'paysync.capture()'::regprocedure LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', trigger_name, table_name);
        found_any := true;
    END LOOP;
    RETURN found_any;
END $$;

-- Called by register() with the owner's rights, after it saw that the caller owns the table.
CREATE FUNCTION register_table(table_name regclass, channel text, operations text[], options jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    only_inserts CONSTANT boolean := paysync.read_insert_only(options);
    wanted CONSTANT text[] := paysync.read_operations(operations, only_inserts);
    known paysync.registration;
BEGIN
    PERFORM paysync.check_channel(channel);
    PERFORM paysync.check_capturable(table_name, only_inserts);
    SELECT * INTO known FROM paysync.registration AS r WHERE r.table_oid = table_name;
    IF FOUND AND NOT paysync.has_triggers(known) THEN
        -- Somebody dropped or disabled triggers, or it is the registration of a table that is gone and had the same OID.
        DELETE FROM paysync.registration AS r WHERE r.table_oid = table_name;
    ELSIF FOUND THEN
        IF (known.channel, known.insert_only, known.operations) = (channel, only_inserts, wanted) THEN
            RAISE NOTICE 'table "%" is registered already', table_name;
            RETURN;
        END IF;
        RAISE duplicate_object USING MESSAGE = format('table "%s" is registered already, with other arguments', table_name),
            DETAIL = format('It is in channel "%s", operations %s%s.', known.channel, known.operations,
                            CASE WHEN known.insert_only THEN ', insert-only' ELSE '' END),
            HINT = 'Take it out with paysync.unregister() first; what is captured is still delivered.';
    END IF;
    -- The trigger's lock waits for all writers of the table: from here on every row is captured.
    -- Triggers that are there without a registration came with a dump of the table.
    PERFORM paysync.drop_triggers(table_name);
    PERFORM paysync.create_triggers(table_name, wanted, only_inserts);
    INSERT INTO paysync.registration (table_oid, channel, insert_only, operations, registered_by)
    VALUES (table_name, channel, only_inserts, wanted, session_user);
    PERFORM paysync.note_shape(table_name);
END $$;

CREATE FUNCTION unregister_table(table_name regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    had_triggers CONSTANT boolean := paysync.drop_triggers(table_name);
BEGIN
    DELETE FROM paysync.registration AS r WHERE r.table_oid = table_name;
    IF NOT FOUND AND NOT had_triggers THEN
        RAISE undefined_object USING MESSAGE = format('table "%s" is not registered', table_name);
    END IF;
END $$;

CREATE FUNCTION register(
    table_name regclass,
    channel text DEFAULT 'default',
    operations text[] DEFAULT '{insert,update,delete,truncate}',
    options jsonb DEFAULT '{}'
) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_register';
COMMENT ON FUNCTION register IS 'capture the rows of a table (its owner only); options: {"insert_only": boolean}';

CREATE FUNCTION unregister(table_name regclass) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_unregister';
COMMENT ON FUNCTION unregister IS 'stop capturing a table (its owner only); what is captured is still delivered';

CREATE FUNCTION emit(channel text, type text, payload jsonb, key text DEFAULT NULL, headers jsonb DEFAULT '{}')
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'paysync_emit';
COMMENT ON FUNCTION emit IS 'an explicit event, which commits or vanishes with the transaction';
