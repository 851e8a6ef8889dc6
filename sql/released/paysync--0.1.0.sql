\echo Use "CREATE EXTENSION paysync" to load this file. \quit

-- A schema that was there before may hold functions of somebody else, which ours would call with the owner's rights.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace AS n JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) n.nspowner
               WHERE n.nspname OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.name
                 AND (NOT r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.pronamespace OPERATOR(pg_catalog.=) n.oid)
                      OR EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid))) THEN
        RAISE EXCEPTION 'schema "paysync" exists and is not empty, or is not a superuser''s' USING ERRCODE = 'duplicate_schema',
            HINT = 'Drop it, then CREATE EXTENSION paysync.';
    END IF;
END $$;

-- The parts of this script are joined in the order of their names. Nothing in the schema is granted to PUBLIC.
-- Functions that run with the owner's rights pin their search path and are granted by paysync.grant_relay() only.
-- What the extension remembers: the stream, its history, registrations, shapes, subscribers.

-- The stream's identity, one row.
CREATE TABLE stream (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    stream_id  uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO stream DEFAULT VALUES;

-- The fencing row: the epoch that may cut ticks. Only a take-over changes it. A tick holds it alone, acknowledgements share it.
CREATE TABLE fence (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch     bigint NOT NULL
);
INSERT INTO fence (epoch) VALUES (1);

-- Every take-over begins an epoch; the one before ends where the stream stood.
CREATE TABLE epochs (
    epoch        bigint PRIMARY KEY,
    nonce        text NOT NULL CHECK (nonce ~ '^[0-9a-f]{8}$'),
    start_number bigint NOT NULL,
    end_number   bigint,                       -- null: the epoch that lasts
    started_at   timestamptz NOT NULL DEFAULT now(),
    software     text NOT NULL
);
INSERT INTO epochs (epoch, nonce, start_number, software)
VALUES (1, left(replace(gen_random_uuid()::text, '-', ''), 8), 0, 'CREATE EXTENSION');

-- Registered tables. The first three columns are read by the C++ code (capture/relation_cache.cpp).
CREATE TABLE registration (
    table_oid     oid PRIMARY KEY,
    channel       text NOT NULL,
    insert_only   boolean NOT NULL,
    operations    text[] NOT NULL,
    registered_by name NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- Shapes, found by the digest of their description. Two sessions may add the same one; neither waits for the other.
CREATE TABLE shapes (
    id          bigint PRIMARY KEY,
    fingerprint bytea NOT NULL,
    description bytea NOT NULL,
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    channel     text NOT NULL
);
CREATE SEQUENCE shapes_id_seq OWNED BY shapes.id;
CREATE INDEX shapes_fingerprint ON shapes (fingerprint);

-- Subscribers. `start_number` is what the subscriber went on after when it was made.
CREATE TABLE subscriber (
    id           integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name         text NOT NULL UNIQUE,
    channels     text[] NOT NULL,
    ephemeral    boolean NOT NULL DEFAULT false,
    start_number bigint NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- The backend that waits for the next tick; writers set its latch.
CREATE TABLE reader (
    singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    procno           integer,
    pid              integer,
    postmaster_start timestamptz
);
INSERT INTO reader DEFAULT VALUES;
-- The outbox: a fixed ring of segments. Each has a table for chunks, one for ticks and one for acknowledgements, all
-- append-only and emptied together by TRUNCATE; so they need no vacuum for space, and none of theirs is ever updated.

CREATE TABLE ring (
    slot       integer PRIMARY KEY,
    current    boolean NOT NULL,
    generation bigint NOT NULL,                -- 0: empty, free to be the next
    opened_at  timestamptz,
    emptied_to bigint NOT NULL DEFAULT 0       -- numbers up to this one may have been in it when it was emptied
);
INSERT INTO ring (slot, current, generation, opened_at)
SELECT slot, slot = 0, CASE WHEN slot = 0 THEN 1 ELSE 0 END, CASE WHEN slot = 0 THEN now() END
FROM generate_series(0, 7) AS slot;

CREATE TABLE chunk_0 (
    xid       xid8 NOT NULL,
    order_key pg_lsn NOT NULL,
    part      integer NOT NULL,
    payload   bytea NOT NULL,
    PRIMARY KEY (xid, part)
) WITH (autovacuum_enabled = off);
-- A chunk that does not fit into a page is an error, never silently moved out of line.
ALTER TABLE chunk_0 ALTER COLUMN payload SET STORAGE PLAIN;

CREATE TABLE tick_0 (
    last_number  bigint PRIMARY KEY,
    first_number bigint NOT NULL,
    epoch        bigint NOT NULL,
    exact        boolean NOT NULL,
    snapshot     pg_snapshot,
    taken_at     timestamptz NOT NULL,
    changes      bigint NOT NULL,
    bytes        bigint NOT NULL,
    digest       bytea NOT NULL,
    first_key    pg_lsn NOT NULL,
    last_key     pg_lsn NOT NULL,
    xids         xid8[] NOT NULL,
    slots        smallint[] NOT NULL
) WITH (autovacuum_enabled = off);

-- The newest row holds all that is known of all subscribers.
CREATE TABLE ack_0 (
    id          bigint PRIMARY KEY,
    at          timestamptz NOT NULL,
    subscribers integer[] NOT NULL,
    numbers     bigint[] NOT NULL,
    connected   boolean[] NOT NULL,
    last_seen   timestamptz[] NOT NULL,
    moved_at    timestamptz[] NOT NULL
) WITH (autovacuum_enabled = off);

DO $$
BEGIN
    FOR slot IN 1 .. 7 LOOP
        EXECUTE format('CREATE TABLE paysync.chunk_%1$s (LIKE paysync.chunk_0 INCLUDING STORAGE, PRIMARY KEY (xid, part)) WITH (autovacuum_enabled = off)', slot);
        EXECUTE format('CREATE TABLE paysync.tick_%1$s (LIKE paysync.tick_0 INCLUDING STORAGE, PRIMARY KEY (last_number)) WITH (autovacuum_enabled = off)', slot);
        EXECUTE format('CREATE TABLE paysync.ack_%1$s (LIKE paysync.ack_0 INCLUDING STORAGE, PRIMARY KEY (id)) WITH (autovacuum_enabled = off)', slot);
    END LOOP;
END $$;

-- A segment begins with a row that says where the stream stands: no transactions, the snapshot of the tick before.
INSERT INTO tick_0 VALUES (0, 1, 1, true, pg_current_snapshot(), now(), 0, 0, decode(repeat('00', 16), 'hex'), '0/0', '0/0', '{}', '{}');
INSERT INTO ack_0 VALUES (0, now(), '{}', '{}', '{}', '{}', '{}');

CREATE VIEW all_ticks AS
    SELECT 0 AS slot, * FROM tick_0 UNION ALL SELECT 1, * FROM tick_1 UNION ALL SELECT 2, * FROM tick_2 UNION ALL
    SELECT 3, * FROM tick_3 UNION ALL SELECT 4, * FROM tick_4 UNION ALL SELECT 5, * FROM tick_5 UNION ALL
    SELECT 6, * FROM tick_6 UNION ALL SELECT 7, * FROM tick_7;
CREATE VIEW all_acks AS
    SELECT * FROM ack_0 UNION ALL SELECT * FROM ack_1 UNION ALL SELECT * FROM ack_2 UNION ALL SELECT * FROM ack_3 UNION ALL
    SELECT * FROM ack_4 UNION ALL SELECT * FROM ack_5 UNION ALL SELECT * FROM ack_6 UNION ALL SELECT * FROM ack_7;

-- Sessions look these three up once and keep what they found; a statement that touches them makes all look again.
CREATE FUNCTION invalidate() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_invalidate';
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ring FOR EACH STATEMENT EXECUTE FUNCTION invalidate();
ALTER TABLE ring ENABLE ALWAYS TRIGGER invalidate;
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON reader FOR EACH STATEMENT EXECUTE FUNCTION invalidate();
ALTER TABLE reader ENABLE ALWAYS TRIGGER invalidate;
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON subscriber FOR EACH STATEMENT EXECUTE FUNCTION invalidate();
ALTER TABLE subscriber ENABLE ALWAYS TRIGGER invalidate;
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
            reason := 'it is unlogged'; advice := 'A crash empties it without a word: ALTER TABLE ... SET LOGGED first.';
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
-- Subscribers and positions.

-- The newest row of acknowledgements.
CREATE FUNCTION last_ack() RETURNS all_acks LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT * FROM paysync.all_acks ORDER BY id DESC LIMIT 1 $$;

-- The last number there is.
CREATE FUNCTION head_number() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT last_number FROM paysync.all_ticks ORDER BY last_number DESC LIMIT 1 $$;

-- The oldest number that one can go on after.
CREATE FUNCTION oldest_number() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(coalesce(min(first_number) - 1, paysync.head_number()), (SELECT max(r.emptied_to) FROM paysync.ring AS r))
    FROM (SELECT (SELECT t.first_number FROM paysync.all_ticks AS t WHERE t.slot = r.slot AND t.first_number <= t.last_number
                  ORDER BY t.last_number LIMIT 1)
          FROM paysync.ring AS r) AS firsts (first_number)
$$;

-- EPOCH.NONCE:NUMBER of a number that was given out.
CREATE FUNCTION position_of(number bigint) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s.%s:%s', e.epoch, e.nonce, number) FROM paysync.epochs AS e
    WHERE e.start_number <= number ORDER BY (e.start_number < number) DESC, e.epoch DESC LIMIT 1
$$;

-- What all subscribers have applied: the acknowledged number, or where the subscriber began.
CREATE FUNCTION acknowledged(OUT id integer, OUT name text, OUT ephemeral boolean, OUT number bigint, OUT connected boolean, OUT last_seen timestamptz, OUT moved_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, s.name, s.ephemeral, greatest(s.start_number, a.number), coalesce(a.connected, false), a.last_seen, a.moved_at
    FROM paysync.subscriber AS s
    LEFT JOIN (SELECT u.* FROM paysync.last_ack() AS l,
               unnest(l.subscribers, l.numbers, l.connected, l.last_seen, l.moved_at) AS u (id, number, connected, last_seen, moved_at)) AS a USING (id)
$$;

-- Is this number, of this history, one that this stream can go on after? Raises what is wrong with it.
CREATE FUNCTION check_position(pos text) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts CONSTANT text[] := regexp_match(pos, '^([1-9][0-9]{0,17})\.([0-9a-f]{8}):(0|[1-9][0-9]{0,17})$');
    number CONSTANT bigint := parts[3]::bigint;
    head CONSTANT bigint := paysync.head_number();
    oldest bigint;
    history paysync.epochs;
BEGIN
    IF parts IS NULL THEN
        RAISE SQLSTATE 'PS002' USING MESSAGE = format('%L is not a position', left(pos, 80)),
            HINT = 'A position looks like 3.9f2c41aa:184467.';
    END IF;
    SELECT * INTO history FROM paysync.epochs AS e WHERE e.epoch = parts[1]::bigint AND e.nonce = parts[2];
    IF NOT FOUND THEN
        RAISE SQLSTATE 'PS002' USING MESSAGE = format('position %s is of another history', pos),
            DETAIL = 'This stream never had that epoch with that nonce.',
            HINT = 'The database was restored or replaced after the subscriber last saw it: the subscriber needs a new copy, or an operator''s decision.';
    END IF;
    IF number > coalesce(history.end_number, head) THEN
        IF history.end_number IS NOT NULL THEN
            RAISE SQLSTATE 'PS003' USING MESSAGE = format('position %s is past the end of its epoch', pos),
                DETAIL = format('That epoch ended at number %s.', history.end_number),
                HINT = 'The source lost transactions that this subscriber has (a standby was promoted, or a backup restored).';
        END IF;
        RAISE SQLSTATE 'PS004' USING MESSAGE = format('position %s was never given out', pos), DETAIL = format('The stream stands at number %s.', head),
            HINT = 'The position is not from this stream, or was changed.';
    END IF;
    oldest := paysync.oldest_number();
    IF number < oldest THEN
        RAISE SQLSTATE 'PS005' USING MESSAGE = format('position %s is older than what the outbox keeps', pos),
            DETAIL = format('The oldest number to go on after is %s.', oldest), HINT = 'The subscriber needs a new copy.';
    END IF;
    RETURN number;
END $$;

-- Makes sure that no transaction which already threw its changes away, because there was no subscriber, can still commit
-- after this one. Such a transaction holds a lock on paysync.subscriber; it is waited for without queueing, so that no
-- writer ever waits here.
CREATE FUNCTION await_discarding_writers() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    give_up CONSTANT timestamptz := clock_timestamp() + interval '30 seconds';
BEGIN
    LOOP
        BEGIN
            LOCK TABLE paysync.subscriber IN SHARE ROW EXCLUSIVE MODE NOWAIT;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > give_up THEN
                RAISE lock_not_available USING MESSAGE = 'transactions that were not captured have not ended within 30 seconds',
                    DETAIL = 'They changed registered tables while there was no subscriber: a subscriber made now would miss them.',
                    HINT = 'End long-running and prepared transactions (pg_stat_activity, pg_prepared_xacts), then try again.';
            END IF;
        END;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- Adds a subscriber at the head of the stream; the number it goes on after.
CREATE FUNCTION add_subscriber(name text, channels text[], ephemeral boolean) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    channel text;
    head bigint;
BEGIN
    IF coalesce(cardinality(channels), 0) = 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a subscriber needs at least one channel';
    END IF;
    FOREACH channel IN ARRAY channels LOOP
        PERFORM paysync.check_channel(channel);
    END LOOP;
    -- Locked, so that it stays: the last subscriber may just be being dropped. One that is, is no reason to wait.
    PERFORM FROM paysync.subscriber AS s LIMIT 1 FOR KEY SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        PERFORM paysync.await_discarding_writers();
    END IF;
    head := paysync.head_number();
    INSERT INTO paysync.subscriber (name, channels, ephemeral, start_number)
    VALUES (name, ARRAY(SELECT DISTINCT c FROM unnest(channels) AS c ORDER BY c), ephemeral, head);
    RETURN head;
END $$;

CREATE FUNCTION create_subscriber(name text, channels text[] DEFAULT '{default}') RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name IS NULL OR name !~ '^[a-z0-9_][a-z0-9_.-]{0,62}$' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('invalid subscriber name %L', name),
            HINT = 'A name is 1 to 63 characters of a-z 0-9 _ - . and begins with a letter, a digit or _.';
    END IF;
    IF EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.name = create_subscriber.name) THEN
        RAISE duplicate_object USING MESSAGE = format('subscriber "%s" exists already', name);
    END IF;
    RETURN paysync.position_of(paysync.add_subscriber(name, channels, false));
END $$;
COMMENT ON FUNCTION create_subscriber IS 'a durable subscriber; returns the position it starts after';

CREATE FUNCTION drop_subscriber(name text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM paysync.subscriber AS s WHERE s.name = drop_subscriber.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber "%s" does not exist', name);
    END IF;
END $$;
COMMENT ON FUNCTION drop_subscriber IS 'forget a subscriber; what only it had not taken is no longer kept';
-- What the relay calls (docs/outbox.md section 6). Granted by grant_relay().

CREATE FUNCTION try_lease() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_try_lease';

-- Holds the fencing row until the end of the transaction, or finds that another relay leads.
CREATE FUNCTION check_fence(epoch bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leader bigint;
BEGIN
    SELECT f.epoch INTO leader FROM paysync.fence AS f FOR SHARE;
    IF leader IS DISTINCT FROM check_fence.epoch THEN
        RAISE serialization_failure USING MESSAGE = format('epoch %s is fenced', epoch),
            DETAIL = format('Epoch %s has begun: another relay leads.', leader),
            HINT = 'This relay must stop, or wait for the lease and begin an epoch of its own.';
    END IF;
END $$;

CREATE FUNCTION lead(software text, OUT epoch bigint, OUT nonce text, OUT stream_id uuid, OUT head bigint, OUT version text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'a relay cannot lead on a standby',
            HINT = 'Ticks are cut on the primary: a standby shows transactions before they are safe.';
    END IF;
    IF NOT paysync.try_lease() THEN
        RAISE lock_not_available USING MESSAGE = 'another relay leads this database', HINT = 'It is shown in paysync.status.';
    END IF;
    -- What a subscriber is told of an epoch must outlive a crash, whatever the session's setting.
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- Waits for a tick of the leader before; from here on that one is fenced.
    UPDATE paysync.fence AS f SET epoch = f.epoch + 1 RETURNING f.epoch INTO lead.epoch;
    head := paysync.head_number();
    nonce := left(replace(gen_random_uuid()::text, '-', ''), 8);
    UPDATE paysync.epochs AS e SET end_number = head WHERE e.end_number IS NULL;
    INSERT INTO paysync.epochs (epoch, nonce, start_number, software) VALUES (lead.epoch, lead.nonce, head, lead.software);
    DELETE FROM paysync.subscriber AS s WHERE s.ephemeral;
    SELECT s.stream_id INTO lead.stream_id FROM paysync.stream AS s;
    SELECT e.extversion INTO version FROM pg_extension AS e WHERE e.extname = 'paysync';
END $$;

CREATE PROCEDURE next_tick(epoch bigint, wait_ms integer, pace_ms integer, INOUT head bigint)
LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_next_tick';

CREATE FUNCTION read_transactions(first_number bigint, after_part integer, max_bytes integer,
    OUT number bigint, OUT epoch bigint, OUT nonce text, OUT xid bigint, OUT part integer, OUT payload bytea)
RETURNS SETOF record STRICT LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_read_transactions';

CREATE FUNCTION read_shapes(ids bigint[], OUT id bigint, OUT description bytea) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT s.id, s.description FROM paysync.shapes AS s WHERE s.id = ANY (ids) $$;

-- Is a position, which came with this stream id (null: none given), one of ours?
CREATE FUNCTION check_stream(stream_id uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ours CONSTANT uuid := (SELECT s.stream_id FROM paysync.stream AS s);
BEGIN
    IF check_stream.stream_id <> ours THEN
        RAISE SQLSTATE 'PS001' USING MESSAGE = 'the position is of another stream', DETAIL = format('This database''s stream is %s.', ours),
            HINT = 'The subscriber is connected to another database than before.';
    END IF;
END $$;

CREATE FUNCTION open_subscriber(INOUT name text, stream_id uuid, pos text, OUT number bigint, OUT channels text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name = '*' THEN
        channels := ARRAY(SELECT DISTINCT r.channel FROM paysync.registration AS r ORDER BY r.channel);
        IF NOT 'default' = ANY (channels) THEN
            channels := channels || 'default'::text;
        END IF;
        name := '*' || gen_random_uuid();
        number := paysync.add_subscriber(name, channels, true);
        IF pos IS NOT NULL THEN  -- it comes back after a loss
            PERFORM paysync.check_stream(open_subscriber.stream_id);
            number := paysync.check_position(pos);
            UPDATE paysync.subscriber AS s SET start_number = open_subscriber.number WHERE s.name = open_subscriber.name;
        END IF;
        RETURN;
    END IF;
    SELECT s.channels INTO channels FROM paysync.subscriber AS s WHERE s.name = open_subscriber.name AND NOT s.ephemeral;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber %L does not exist', left(name, 80)),
            HINT = 'SELECT paysync.create_subscriber(...), or check the name.';
    END IF;
    PERFORM paysync.check_stream(open_subscriber.stream_id);
    IF pos IS NOT NULL THEN
        number := paysync.check_position(pos);
    ELSE
        SELECT a.number INTO number FROM paysync.acknowledged() AS a WHERE a.name = open_subscriber.name;
    END IF;
END $$;

CREATE FUNCTION close_subscriber(name text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ DELETE FROM paysync.subscriber AS s WHERE s.name = close_subscriber.name AND s.ephemeral $$;

-- Appends what is known of all subscribers now; gives back the names that do not exist (any more).
CREATE FUNCTION acknowledge(epoch bigint, names text[], numbers bigint[], connected boolean[]) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known paysync.all_acks;
    merged paysync.all_acks;
BEGIN
    PERFORM paysync.check_fence(epoch);
    known := paysync.last_ack();
    SELECT known.id + 1, clock_timestamp(), array_agg(m.id ORDER BY m.id), array_agg(m.number ORDER BY m.id),
           array_agg(m.connected ORDER BY m.id), array_agg(m.last_seen ORDER BY m.id), array_agg(m.moved_at ORDER BY m.id)
    INTO merged
    -- Not least(), which passes over a null: who is not named would be taken for one that has everything.
    FROM (SELECT s.id,
                 greatest(s.start_number, old.number, CASE WHEN given.number > h.number THEN h.number ELSE given.number END) AS number,
                 coalesce(given.connected, old.connected, false) AS connected,
                 CASE WHEN given.connected THEN clock_timestamp() ELSE old.last_seen END AS last_seen,
                 CASE WHEN given.number > coalesce(old.number, s.start_number) THEN clock_timestamp() ELSE old.moved_at END AS moved_at
          FROM paysync.subscriber AS s CROSS JOIN (SELECT paysync.head_number()) AS h (number)
          LEFT JOIN unnest(known.subscribers, known.numbers, known.connected, known.last_seen, known.moved_at)
              AS old (id, number, connected, last_seen, moved_at) USING (id)
          LEFT JOIN (SELECT DISTINCT ON (g.name) g.* FROM unnest(acknowledge.names, acknowledge.numbers, acknowledge.connected) AS g (name, number, connected)
                     ORDER BY g.name, g.number DESC NULLS LAST) AS given ON given.name = s.name) AS m;
    EXECUTE format('INSERT INTO paysync.ack_%s SELECT $1, $2, coalesce($3, ''{}''), coalesce($4, ''{}''), coalesce($5, ''{}''), coalesce($6, ''{}''), coalesce($7, ''{}'')',
                   (SELECT r.slot FROM paysync.ring AS r WHERE r.current))
    USING merged.id, merged.at, merged.subscribers, merged.numbers, merged.connected, merged.last_seen, merged.moved_at;
    RETURN QUERY SELECT n FROM unnest(names) AS n WHERE NOT EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.name = n);
END $$;

CREATE FUNCTION segment_bytes() RETURNS bigint STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_segment_bytes';

-- Makes the next segment the current one, if the current one is full and the next one is free; else the current one grows.
CREATE FUNCTION switch_segment() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_slot CONSTANT integer := (SELECT r.slot FROM paysync.ring AS r WHERE r.current);
    next_slot CONSTANT integer := (now_slot + 1) % 8;
BEGIN
    -- Each of its tables counts: where nobody writes, acknowledgements still come.
    IF greatest(pg_relation_size(format('paysync.chunk_%s', now_slot)::regclass), pg_relation_size(format('paysync.tick_%s', now_slot)::regclass),
                pg_relation_size(format('paysync.ack_%s', now_slot)::regclass)) < paysync.segment_bytes() OR
       (SELECT r.generation <> 0 FROM paysync.ring AS r WHERE r.slot = next_slot) THEN
        RETURN;
    END IF;
    -- No tick and no acknowledgement is written meanwhile: the new segment begins with the last of each.
    PERFORM FROM paysync.fence FOR NO KEY UPDATE;
    EXECUTE format($insert$INSERT INTO paysync.tick_%s
        SELECT last_number, last_number + 1, epoch, true, snapshot, now(), 0, 0, decode(repeat('00', 16), 'hex'), last_key, last_key, '{}', '{}'
        FROM paysync.all_ticks ORDER BY last_number DESC LIMIT 1$insert$, next_slot);
    EXECUTE format('INSERT INTO paysync.ack_%s SELECT * FROM paysync.last_ack()', next_slot);
    UPDATE paysync.ring AS r SET current = (r.slot = next_slot),
        generation = CASE WHEN r.slot = next_slot THEN (SELECT max(generation) + 1 FROM paysync.ring) ELSE r.generation END,
        opened_at = CASE WHEN r.slot = next_slot THEN now() ELSE r.opened_at END
    WHERE r.slot IN (now_slot, next_slot);
END $$;

-- Empties a segment whose transactions all subscribers have; false if that cannot be now. It never queues for its lock,
-- in front of writers: NOWAIT, and another time if it is not to be had. With the lock it looks, in a new snapshot, once
-- more for rows that may not go: a writer that had this segment cached may just have committed into it.
CREATE FUNCTION empty_segment(slot integer) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    floor_number CONSTANT bigint := coalesce((SELECT min(a.number) FROM paysync.acknowledged() AS a), paysync.head_number());
    covered bigint;
    newest bigint;
    seen pg_snapshot;
    must_stay boolean;
BEGIN
    -- The last tick that ends at or below the floor and is a state of the source: what its snapshot sees may go.
    SELECT t.last_number, t.snapshot INTO covered, seen FROM paysync.all_ticks AS t
    WHERE t.last_number <= floor_number AND t.exact ORDER BY t.last_number DESC LIMIT 1;
    EXECUTE format('SELECT coalesce(max(last_number) > $1, false) FROM paysync.tick_%s', slot) INTO must_stay USING covered;
    IF seen IS NULL OR must_stay THEN
        RETURN false;
    END IF;
    BEGIN
        EXECUTE format('LOCK TABLE paysync.chunk_%1$s, paysync.tick_%1$s, paysync.ack_%1$s IN ACCESS EXCLUSIVE MODE NOWAIT', slot);
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END;
    EXECUTE format($look$SELECT EXISTS (SELECT FROM paysync.chunk_%1$s WHERE xid >= pg_snapshot_xmax($1))
        OR EXISTS (SELECT FROM pg_snapshot_xip($1) AS running JOIN paysync.chunk_%1$s AS c ON c.xid = running)
        OR EXISTS (SELECT FROM paysync.tick_%1$s WHERE last_number > $2)$look$, slot) INTO must_stay USING seen, covered;
    IF must_stay THEN
        RETURN false;
    END IF;
    -- Ticks of other segments may name transactions of this one, by writers that had it cached: they go as well, and the
    -- numbers up to them are no longer kept.
    SELECT max(t.last_number) INTO newest FROM paysync.all_ticks AS t
    WHERE t.last_number <= covered AND t.first_number <= t.last_number AND (t.slot = empty_segment.slot OR empty_segment.slot = ANY (t.slots));
    EXECUTE format('TRUNCATE paysync.chunk_%1$s, paysync.tick_%1$s, paysync.ack_%1$s', slot);
    UPDATE paysync.ring AS r SET generation = 0, opened_at = NULL, emptied_to = greatest(r.emptied_to, newest) WHERE r.slot = empty_segment.slot;
    RETURN true;
END $$;

-- Switching comes first: it may wait for the fence, which must not be done holding a lock that a tick waits for.
CREATE FUNCTION maintain() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    full_slot integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE active_sql_transaction USING MESSAGE = 'paysync.maintain() needs isolation level read committed';
    END IF;
    PERFORM paysync.switch_segment();
    FOR full_slot IN SELECT r.slot FROM paysync.ring AS r WHERE NOT r.current AND r.generation > 0 ORDER BY r.generation LOOP
        EXIT WHEN NOT paysync.empty_segment(full_slot);
    END LOOP;
END $$;
COMMENT ON FUNCTION maintain IS 'switch and empty segments; the relay does it regularly';
-- What people look at. Everything is computed now, by the observer: a pipeline that stands still looks like one.

CREATE FUNCTION unticked(OUT transactions bigint, OUT bytes bigint, OUT oldest timestamptz)
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_unticked';

CREATE FUNCTION peek(since text DEFAULT NULL, max_transactions integer DEFAULT 100,
    OUT "position" text, OUT commit_time timestamptz, OUT xid xid8, OUT channel text, OUT table_name text, OUT op text,
    OUT key jsonb, OUT old jsonb, OUT new jsonb)
RETURNS SETOF record LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_peek';
COMMENT ON FUNCTION peek IS 'committed changes, decoded; the position is null for what has no number yet';

CREATE FUNCTION registered_tables(OUT table_name text, OUT channel text, OUT operations text[], OUT insert_only boolean,
    OUT capturing boolean, OUT reason text, OUT registered_by name, OUT registered_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, c.relname), r.channel, r.operations, r.insert_only, t.reason IS NULL, t.reason, r.registered_by, r.registered_at
    FROM paysync.registration AS r
    JOIN pg_class AS c ON c.oid = r.table_oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        SELECT nullif(concat_ws(', ', CASE WHEN c.relpersistence <> 'p' THEN 'the table is not permanent' END,
                   CASE WHEN EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid) THEN 'rows of tables that inherit from it are not captured' END,
                   CASE WHEN NOT r.insert_only AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate)
                        THEN 'the primary key is gone' END,
                   triggers.reason), '') AS reason
        FROM (SELECT string_agg(CASE WHEN g.oid IS NULL THEN format('trigger "%s" is gone', w.name)
                               WHEN g.tgenabled <> 'A' THEN format('trigger "%s" is disabled', w.name)
                               ELSE format('a trigger sorts before "%s"', w.name) END, ', ') AS reason
        FROM (SELECT '!paysync_row' AS name WHERE r.operations <> '{truncate}' OR r.insert_only
              UNION ALL SELECT '!paysync_truncate' WHERE 'truncate' = ANY (r.operations)) AS w
        LEFT JOIN pg_trigger AS g ON g.tgrelid = c.oid AND g.tgname = w.name
        WHERE g.oid IS NULL OR g.tgenabled <> 'A'
           OR EXISTS (SELECT FROM pg_trigger AS b WHERE b.tgrelid = c.oid AND b.tgname < g.tgname AND (b.tgtype & 3) = 1 AND w.name = '!paysync_row')
        ) AS triggers
    ) AS t
$$;
CREATE VIEW tables AS SELECT * FROM registered_tables();

CREATE FUNCTION lease_holder(OUT pid integer, OUT application text, OUT since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.pid, a.application_name, a.backend_start
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'object' AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      AND l.classid = 'pg_class'::regclass AND l.objid = 'paysync.fence'::regclass AND l.objsubid = 1 AND l.granted
    LIMIT 1
$$;

-- How far each subscriber is behind, counted past the last tick.
CREATE FUNCTION subscriber_states(OUT name text, OUT channels text[], OUT ephemeral boolean, OUT state text, OUT state_since timestamptz,
    OUT "position" text, OUT lag_transactions bigint, OUT lag_bytes bigint, OUT lag_seconds double precision,
    OUT last_seen timestamptz, OUT hint text)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH now_unticked AS MATERIALIZED (SELECT * FROM paysync.unticked()),
         head AS MATERIALIZED (SELECT paysync.head_number() AS number),
         holder AS MATERIALIZED (SELECT pid IS NOT NULL AS leads FROM paysync.lease_holder()),
         lag AS (
             SELECT a.*, s.channels, s.created_at, h.number - a.number + u.transactions AS transactions,
                    coalesce(b.bytes, 0) + u.bytes AS bytes,
                    greatest(0, extract(epoch FROM clock_timestamp() - coalesce(b.oldest, u.oldest)))::double precision AS seconds, holder.leads
             FROM paysync.acknowledged() AS a JOIN paysync.subscriber AS s USING (id)
             CROSS JOIN now_unticked AS u CROSS JOIN head AS h CROSS JOIN holder
             CROSS JOIN LATERAL (SELECT sum(t.bytes)::bigint AS bytes, min(t.taken_at) AS oldest FROM paysync.all_ticks AS t
                                 WHERE t.last_number > a.number AND t.first_number <= t.last_number) AS b)
    SELECT l.name, l.channels, l.ephemeral, c.state,
           CASE c.state WHEN 'never_seen' THEN l.created_at WHEN 'stalled' THEN l.moved_at ELSE l.last_seen END,
           paysync.position_of(l.number), l.transactions, l.bytes, coalesce(l.seconds, 0), l.last_seen,
           CASE WHEN NOT l.leads THEN 'No relay leads this database: start paysync-relay.'
                WHEN c.state = 'stalled' THEN 'It is connected but has acknowledged nothing for 10 seconds.'
                WHEN c.state IN ('away', 'never_seen') THEN 'It is not connected; what it has not taken is kept.' END
    FROM lag AS l CROSS JOIN LATERAL (
        SELECT CASE WHEN l.last_seen IS NULL THEN 'never_seen'
                    WHEN NOT l.connected OR NOT l.leads THEN 'away'
                    WHEN l.transactions > 0 AND l.seconds > 10 AND coalesce(l.moved_at, l.last_seen) < clock_timestamp() - interval '10 seconds' THEN 'stalled'
                    WHEN l.transactions > 0 AND l.seconds > 1 THEN 'catching_up'
                    ELSE 'streaming' END AS state) AS c
$$;
CREATE VIEW subscribers AS SELECT * FROM subscriber_states();

CREATE FUNCTION segment_states(OUT slot integer, OUT state text, OUT generation bigint, OUT opened_at timestamptz, OUT bytes bigint,
    OUT first_number bigint, OUT last_number bigint)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.slot, CASE WHEN r.current THEN 'current' WHEN r.generation = 0 THEN 'free' ELSE 'full' END, nullif(r.generation, 0), r.opened_at,
           pg_total_relation_size(format('paysync.chunk_%s', r.slot)::regclass) + pg_total_relation_size(format('paysync.tick_%s', r.slot)::regclass)
               + pg_total_relation_size(format('paysync.ack_%s', r.slot)::regclass),
           t.first_number, t.last_number
    FROM paysync.ring AS r LEFT JOIN LATERAL (
        SELECT min(t.first_number) AS first_number, max(t.last_number) AS last_number FROM paysync.all_ticks AS t
        WHERE t.slot = r.slot AND t.first_number <= t.last_number) AS t ON true
$$;
CREATE VIEW segments AS SELECT * FROM segment_states();

CREATE FUNCTION health(OUT state text, OUT hint text, OUT relay_pid integer, OUT relay_since timestamptz, OUT epoch bigint,
    OUT "position" text, OUT last_tick_at timestamptz, OUT unticked_transactions bigint, OUT unticked_seconds double precision,
    OUT outbox_bytes bigint, OUT subscribers bigint, OUT max_lag_transactions bigint, OUT max_lag_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN s.count = 0 THEN 'no_subscriber' WHEN h.pid IS NULL THEN 'no_relay' WHEN s.seconds > 60 THEN 'behind' ELSE 'ok' END,
           CASE WHEN s.count = 0 THEN 'Nothing is kept until paysync.create_subscriber() is called.'
                WHEN h.pid IS NULL THEN 'Start paysync-relay; until then the outbox grows.'
                WHEN s.seconds > 60 THEN 'A subscriber is more than a minute behind: see paysync.subscribers.' END,
           h.pid, h.since, f.epoch, paysync.position_of(paysync.head_number()),
           (SELECT t.taken_at FROM paysync.all_ticks AS t ORDER BY t.last_number DESC LIMIT 1),
           u.transactions, coalesce(greatest(0, extract(epoch FROM clock_timestamp() - u.oldest)), 0)::double precision,
           (SELECT sum(g.bytes)::bigint FROM paysync.segment_states() AS g), s.count, s.transactions, s.seconds
    FROM paysync.fence AS f CROSS JOIN paysync.lease_holder() AS h CROSS JOIN paysync.unticked() AS u
    CROSS JOIN (SELECT count(*) AS count, coalesce(max(lag_transactions), 0) AS transactions, coalesce(max(lag_seconds), 0) AS seconds
                FROM paysync.subscriber_states()) AS s
$$;
CREATE VIEW status AS SELECT * FROM health();
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
