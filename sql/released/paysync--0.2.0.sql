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

-- The parts of this script are joined in the order of their names. Those from 30 on hold code: an upgrade runs them again, so they
-- replace what is there. Nothing in the schema is granted to PUBLIC.
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

-- Registered tables, by what was asked for. Names, not column numbers, since a restore gives other numbers. Read by the C++
-- code (capture/relation_cache.cpp), by the names of its columns.
CREATE TABLE registration (
    table_oid      regclass PRIMARY KEY,
    channel        text NOT NULL,
    insert_only    boolean NOT NULL,
    operations     text[] NOT NULL,
    registered_by  name NOT NULL,
    registered_at  timestamptz NOT NULL DEFAULT now(),
    format         integer NOT NULL DEFAULT 2,       -- a library that does not know it refuses to capture the table
    columns        text[],                           -- that are sent, in table order; null: all
    row_filter     text,                             -- canonical
    masks          jsonb NOT NULL DEFAULT '{}',      -- canonical: {"pan": {"mask": "hmac", "key": "k1"}}
    old_values     text NOT NULL DEFAULT 'key',
    key_columns    text[],                           -- null: the primary key
    new_columns    text NOT NULL DEFAULT 'include',
    replica        boolean NOT NULL DEFAULT true,
    partitions     text NOT NULL DEFAULT 'root',
    skip_unchanged boolean NOT NULL DEFAULT false,
    asked_columns  text[]                            -- as asked for, before columns were added; null: all
);
SELECT pg_extension_config_dump('registration', '');

-- Every relation that carries our triggers: the registered table, its partitions, what inherits from it; and what was known
-- of it when it was looked at last. A dump leaves it out: what is restored begins a stream of its own.
CREATE TABLE captured (
    relation  oid PRIMARY KEY,
    root      oid NOT NULL,                          -- the registered table
    shape     bigint,                                -- the one last recorded; null: none of its own yet
    capturing boolean NOT NULL,
    facts     jsonb NOT NULL                         -- see facts_of()
);
CREATE INDEX captured_root ON captured (root);

-- Keys of hmac masks. In no dump. Row security keeps out who may read all tables otherwise (pg_read_all_data).
CREATE TABLE mask_key (
    name       text PRIMARY KEY,
    secret     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    rotations  integer NOT NULL DEFAULT 0
);
ALTER TABLE mask_key ENABLE ROW LEVEL SECURITY;
-- Nor may ANALYZE put secrets into pg_statistic.
ALTER TABLE mask_key ALTER COLUMN secret SET STATISTICS 0;

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

-- A segment begins with a row that says where the stream stands: no transactions, the snapshot of the tick before. The first one
-- counts this transaction as running, which its own snapshot does not once a later transaction has ended: what it captures is in
-- the first tick.
INSERT INTO tick_0
SELECT 0, 1, 1, true,
       format('%s:%s:%s', least(pg_snapshot_xmin(seen), pg_current_xact_id()), pg_snapshot_xmax(seen),
              (SELECT string_agg(running::text, ',' ORDER BY running) FROM (
                  SELECT pg_snapshot_xip(seen) UNION SELECT pg_current_xact_id() WHERE pg_current_xact_id() < pg_snapshot_xmax(seen)) AS all_running (running)))::pg_snapshot,
       now(), 0, 0, decode(repeat('00', 16), 'hex'), '0/0', '0/0', '{}', '{}'
FROM pg_current_snapshot() AS seen;
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
-- What is written in C: the trigger function, and what registration asks of it. All but capture() are for the functions of
-- this script; nobody is granted them.

-- The symbol is not the one of 0.1: a session that holds that library, which knows no masks, cannot find it and says so.
CREATE OR REPLACE FUNCTION capture() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_capture_row';

-- The shape that changes of this relation are written with now.
CREATE OR REPLACE FUNCTION note_shape(table_name regclass) RETURNS bigint STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_note_shape';

-- A gap in the channel of a shape, whose table may be gone.
CREATE OR REPLACE FUNCTION record_gap(shape bigint, reason text) RETURNS void STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_record_gap';

-- The shape as it is now; an alter, if it is not the previous one.
CREATE OR REPLACE FUNCTION record_alter(table_name regclass, previous bigint) RETURNS bigint STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_record_alter';

CREATE OR REPLACE FUNCTION shape_columns(shape bigint) RETURNS TABLE (number integer, name text, type text, form integer)
STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_shape_columns';

-- The canonical text of a row filter; an error if it cannot be one.
CREATE OR REPLACE FUNCTION check_row_filter(table_name regclass, filter text) RETURNS text STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_check_row_filter';

-- What a canonical row filter stands on: columns with number, name and type, and functions.
CREATE OR REPLACE FUNCTION filter_uses(table_name regclass, filter text) RETURNS text[] STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_filter_uses';

-- Has the whole tree no row, as of now, whatever the transaction's snapshot?
CREATE OR REPLACE FUNCTION is_empty(table_name regclass) RETURNS boolean STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_is_empty';

-- Lets every session read the relation's registration again.
CREATE OR REPLACE FUNCTION forget(table_name regclass) RETURNS void STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_forget';

-- Runs a command of ours, of which our event triggers take no notice.
CREATE OR REPLACE FUNCTION own_command(command text) RETURNS void STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_own_command';

CREATE OR REPLACE FUNCTION emit(channel text, type text, payload jsonb, key text DEFAULT NULL, headers jsonb DEFAULT '{}')
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'paysync_emit';
COMMENT ON FUNCTION emit IS 'an explicit event, which commits or vanishes with the transaction';
-- Problems are collected and said together: what is wrong with a call, as an array of {code, message, detail, hint}.

-- The known word nearest to `word`, as the end of a hint.
CREATE OR REPLACE FUNCTION nearest(word text, known text[]) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('Did you mean "%s"? Known: %s.', (
        SELECT candidate FROM unnest(known) AS candidate
        ORDER BY (SELECT count(*) FROM generate_series(1, length(word) - 1) AS i WHERE strpos(candidate, substr(word, i, 2)) > 0) DESC,
                 abs(length(candidate) - length(word)) LIMIT 1), array_to_string(known, ', '))
$$;

CREATE OR REPLACE FUNCTION problem(code text, message text, detail text DEFAULT NULL, hint text DEFAULT NULL) RETURNS jsonb[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS
$$ SELECT ARRAY[jsonb_build_object('code', code, 'message', message, 'detail', detail, 'hint', hint)] $$;

-- A name that is none of the known ones.
CREATE OR REPLACE FUNCTION unknown(what text, word text, known text[]) RETURNS jsonb[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.problem('22023', format('unknown %s %s', what, coalesce('"' || word || '"', 'null')), NULL,
                           CASE WHEN cardinality(known) > 0 THEN paysync.nearest(coalesce(word, ''), known) END)
$$;

-- No problem: returns. One: an error as it stands. Several: error 22023 with a line for each.
CREATE OR REPLACE FUNCTION raise_problems(doing text, problems jsonb[]) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    single CONSTANT jsonb := problems[1];
    lines text;
BEGIN
    IF coalesce(cardinality(problems), 0) = 0 THEN
        RETURN;
    ELSIF cardinality(problems) = 1 THEN
        -- A null option would be an error of its own.
        IF single ->> 'detail' IS NULL AND single ->> 'hint' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message';
        ELSIF single ->> 'detail' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message', HINT = single ->> 'hint';
        ELSIF single ->> 'hint' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message', DETAIL = single ->> 'detail';
        END IF;
        RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message', DETAIL = single ->> 'detail', HINT = single ->> 'hint';
    END IF;
    SELECT string_agg(concat_ws(' ', p.problem ->> 'message' || '.', p.problem ->> 'hint'), E'\n' ORDER BY p.n)
    INTO lines FROM unnest(problems) WITH ORDINALITY AS p (problem, n);
    RAISE invalid_parameter_value USING MESSAGE = format('%s: %s problems', doing, cardinality(problems)), DETAIL = lines,
        HINT = 'Each line of the detail is one of them.';
END $$;

-- A channel's name: 1 to 63 bytes, no control characters.
CREATE OR REPLACE FUNCTION channel_problem(channel text) RETURNS jsonb[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN channel IS NULL OR octet_length(channel) NOT BETWEEN 1 AND 63 OR channel ~ '[[:cntrl:]]' THEN
        paysync.problem('22023', format('invalid channel name %L', channel), NULL, 'A channel''s name is 1 to 63 bytes long and has no control characters.')
    END
$$;
CREATE OR REPLACE FUNCTION check_channel(channel text) RETURNS void LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.raise_problems('', paysync.channel_problem(channel)) $$;
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
    patience CONSTANT text := least(300, (SELECT setting::integer / 3 FROM pg_settings WHERE name = 'deadlock_timeout')) || 'ms';
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
-- Keys of hmac masks. Only the extension's owner may call these. No check of a table is left to fail with a secret in it, since
-- the server writes a failing row into the log.

-- The tables whose masks use a key.
CREATE OR REPLACE FUNCTION users_of_mask_key(name text) RETURNS SETOF regclass LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.table_oid FROM paysync.registration AS r
    WHERE EXISTS (SELECT FROM jsonb_each(r.masks) AS m WHERE m.value ->> 'mask' = 'hmac' AND m.value ->> 'key' = users_of_mask_key.name)
    ORDER BY r.table_oid::text
$$;

CREATE OR REPLACE FUNCTION set_mask_key(name text, secret bytea) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known paysync.mask_key;
    member regclass;
BEGIN
    IF name IS NULL OR name !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('invalid name of a mask key %L', left(name, 80)),
            HINT = 'A name is 1 to 32 characters of A-Z a-z 0-9 _ - . and begins with a letter, a digit or _.';
    END IF;
    IF secret IS NULL OR octet_length(secret) < 16 THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the secret of mask key "%s" is too short', name),
            DETAIL = format('It has %s bytes.', coalesce(octet_length(secret), 0)), HINT = 'Take at least 16 random bytes.';
    END IF;
    -- The table's lock is for two that set the same key at once. Sessions that write wait in the lock of their table, and read the
    -- key after it.
    LOCK TABLE paysync.mask_key IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO known FROM paysync.mask_key AS k WHERE k.name = set_mask_key.name;
    IF FOUND AND known.secret = secret THEN
        RAISE NOTICE 'mask key "%" has that secret already', name;
        RETURN;
    END IF;
    PERFORM paysync.lock_writers(ARRAY(SELECT t FROM paysync.users_of_mask_key(name) AS u, paysync.tree(u) AS t ORDER BY t));
    IF known.name IS NULL THEN
        INSERT INTO paysync.mask_key (name, secret) VALUES (set_mask_key.name, set_mask_key.secret);
    ELSE
        UPDATE paysync.mask_key AS k SET secret = set_mask_key.secret, rotated_at = now(), rotations = k.rotations + 1 WHERE k.name = set_mask_key.name;
    END IF;
    FOR member IN SELECT paysync.users_of_mask_key(name) LOOP
        PERFORM paysync.forget(t) FROM paysync.tree(member) AS t;
        IF known.name IS NOT NULL THEN
            PERFORM paysync.record_gap(coalesce(c.shape, paysync.note_shape(o)), format('mask key "%s" was rotated', name))
            FROM paysync.registration AS r, paysync.reporters(r) AS o LEFT JOIN paysync.captured AS c ON c.relation = o WHERE r.table_oid = member ORDER BY o;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION set_mask_key IS 'the secret of an hmac mask, at least 16 bytes; one that exists is rotated. Give the secret as a parameter, which the log does not show';

CREATE OR REPLACE FUNCTION drop_mask_key(name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := ARRAY(SELECT k.name FROM paysync.mask_key AS k ORDER BY k.name);
    users CONSTANT text := (SELECT string_agg('"' || u::text || '"', ', ') FROM paysync.users_of_mask_key(name) AS u);
BEGIN
    IF name IS NULL OR name <> ALL (known) THEN
        RAISE undefined_object USING MESSAGE = format('mask key "%s" does not exist', name),
            HINT = CASE WHEN known = '{}' THEN 'There is none.' ELSE paysync.nearest(coalesce(name, ''), known) END;
    END IF;
    IF users IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING MESSAGE = format('mask key "%s" is in use', name), DETAIL = format('Masks of %s need it.', users),
            HINT = 'Change those with paysync.alter_registration() first.';
    END IF;
    DELETE FROM paysync.mask_key AS k WHERE k.name = drop_mask_key.name;
END $$;
COMMENT ON FUNCTION drop_mask_key IS 'forget a mask key that no table uses';
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
CREATE OR REPLACE FUNCTION reconcile_unseen() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    r paysync.registration;
    is_new boolean;
BEGIN
    -- Where somebody deleted a registration by hand.
    DELETE FROM paysync.captured AS c WHERE NOT EXISTS (SELECT FROM paysync.registration AS g WHERE g.table_oid = c.root);
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
-- Subscribers and positions.

-- The newest row of acknowledgements.
CREATE OR REPLACE FUNCTION last_ack() RETURNS all_acks LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT * FROM paysync.all_acks ORDER BY id DESC LIMIT 1 $$;

-- The last number there is.
CREATE OR REPLACE FUNCTION head_number() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT last_number FROM paysync.all_ticks ORDER BY last_number DESC LIMIT 1 $$;

-- The oldest number that one can go on after.
CREATE OR REPLACE FUNCTION oldest_number() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(coalesce(min(first_number) - 1, paysync.head_number()), (SELECT max(r.emptied_to) FROM paysync.ring AS r))
    FROM (SELECT (SELECT t.first_number FROM paysync.all_ticks AS t WHERE t.slot = r.slot AND t.first_number <= t.last_number
                  ORDER BY t.last_number LIMIT 1)
          FROM paysync.ring AS r) AS firsts (first_number)
$$;

-- EPOCH.NONCE:NUMBER of a number that was given out.
CREATE OR REPLACE FUNCTION position_of(number bigint) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s.%s:%s', e.epoch, e.nonce, number) FROM paysync.epochs AS e
    WHERE e.start_number <= number ORDER BY (e.start_number < number) DESC, e.epoch DESC LIMIT 1
$$;

-- What all subscribers have applied: the acknowledged number, or where the subscriber began.
CREATE OR REPLACE FUNCTION acknowledged(OUT id integer, OUT name text, OUT ephemeral boolean, OUT number bigint, OUT connected boolean, OUT last_seen timestamptz, OUT moved_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, s.name, s.ephemeral, greatest(s.start_number, a.number), coalesce(a.connected, false), a.last_seen, a.moved_at
    FROM paysync.subscriber AS s
    LEFT JOIN (SELECT u.* FROM paysync.last_ack() AS l,
               unnest(l.subscribers, l.numbers, l.connected, l.last_seen, l.moved_at) AS u (id, number, connected, last_seen, moved_at)) AS a USING (id)
$$;

-- Is this number, of this history, one that this stream can go on after? Raises what is wrong with it.
CREATE OR REPLACE FUNCTION check_position(pos text) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
CREATE OR REPLACE FUNCTION await_discarding_writers() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
CREATE OR REPLACE FUNCTION add_subscriber(name text, channels text[], ephemeral boolean) RETURNS bigint LANGUAGE plpgsql
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
        -- What was restored, or altered unseen, before anybody listened.
        PERFORM paysync.reconcile_unseen();
        PERFORM paysync.await_discarding_writers();
    END IF;
    head := paysync.head_number();
    INSERT INTO paysync.subscriber (name, channels, ephemeral, start_number)
    VALUES (name, ARRAY(SELECT DISTINCT c FROM unnest(channels) AS c ORDER BY c), ephemeral, head);
    RETURN head;
END $$;

CREATE OR REPLACE FUNCTION create_subscriber(name text, channels text[] DEFAULT '{default}') RETURNS text LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION drop_subscriber(name text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM paysync.subscriber AS s WHERE s.name = drop_subscriber.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber "%s" does not exist', name);
    END IF;
END $$;
COMMENT ON FUNCTION drop_subscriber IS 'forget a subscriber; what only it had not taken is no longer kept';
-- What the relay calls (docs/outbox.md section 6). Granted by grant_relay().

CREATE OR REPLACE FUNCTION try_lease() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_try_lease';

-- Holds the fencing row until the end of the transaction, or finds that another relay leads.
CREATE OR REPLACE FUNCTION check_fence(epoch bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

CREATE OR REPLACE FUNCTION lead(software text, OUT epoch bigint, OUT nonce text, OUT stream_id uuid, OUT head bigint, OUT version text)
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

CREATE OR REPLACE PROCEDURE next_tick(epoch bigint, wait_ms integer, pace_ms integer, INOUT head bigint)
LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_next_tick';

CREATE OR REPLACE FUNCTION read_transactions(first_number bigint, after_part integer, max_bytes integer,
    OUT number bigint, OUT epoch bigint, OUT nonce text, OUT xid bigint, OUT part integer, OUT payload bytea)
RETURNS SETOF record STRICT LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_read_transactions';

CREATE OR REPLACE FUNCTION read_shapes(ids bigint[], OUT id bigint, OUT description bytea) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT s.id, s.description FROM paysync.shapes AS s WHERE s.id = ANY (ids) $$;

-- Is a position, which came with this stream id (null: none given), one of ours?
CREATE OR REPLACE FUNCTION check_stream(stream_id uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ours CONSTANT uuid := (SELECT s.stream_id FROM paysync.stream AS s);
BEGIN
    IF check_stream.stream_id <> ours THEN
        RAISE SQLSTATE 'PS001' USING MESSAGE = 'the position is of another stream', DETAIL = format('This database''s stream is %s.', ours),
            HINT = 'The subscriber is connected to another database than before.';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION open_subscriber(INOUT name text, stream_id uuid, pos text, OUT number bigint, OUT channels text[])
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

CREATE OR REPLACE FUNCTION close_subscriber(name text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ DELETE FROM paysync.subscriber AS s WHERE s.name = close_subscriber.name AND s.ephemeral $$;

-- Appends what is known of all subscribers now; gives back the names that do not exist (any more).
CREATE OR REPLACE FUNCTION acknowledge(epoch bigint, names text[], numbers bigint[], connected boolean[]) RETURNS SETOF text
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

CREATE OR REPLACE FUNCTION segment_bytes() RETURNS bigint STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_segment_bytes';

-- Makes the next segment the current one, if the current one is full and the next one is free; else the current one grows.
CREATE OR REPLACE FUNCTION switch_segment() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
CREATE OR REPLACE FUNCTION empty_segment(slot integer) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- Without a subscriber nothing is recorded, and a restore may be under way. Switching comes before emptying: it may wait for the
-- fence, which must not be done holding a lock that a tick waits for.
CREATE OR REPLACE FUNCTION maintain() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Not the one that is left now: writers use it until this transaction commits, and would wait for the lock that empties it.
    full_slots CONSTANT integer[] := ARRAY(SELECT r.slot FROM paysync.ring AS r WHERE NOT r.current AND r.generation > 0 ORDER BY r.generation);
    full_slot integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE active_sql_transaction USING MESSAGE = 'paysync.maintain() needs isolation level read committed';
    END IF;
    IF EXISTS (SELECT FROM paysync.subscriber) THEN
        PERFORM paysync.reconcile_unseen();
    END IF;
    PERFORM paysync.switch_segment();
    FOREACH full_slot IN ARRAY full_slots LOOP
        EXIT WHEN NOT paysync.empty_segment(full_slot);
    END LOOP;
END $$;
COMMENT ON FUNCTION maintain IS 'switch and empty segments, look for what event triggers missed; the relay does it regularly';
-- What people look at. Everything is computed now, by the observer: a pipeline that stands still looks like one.

CREATE OR REPLACE FUNCTION unticked(OUT transactions bigint, OUT bytes bigint, OUT oldest timestamptz)
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_unticked';

CREATE OR REPLACE FUNCTION peek(since text DEFAULT NULL, max_transactions integer DEFAULT 100,
    OUT "position" text, OUT commit_time timestamptz, OUT xid xid8, OUT channel text, OUT table_name text, OUT op text,
    OUT key jsonb, OUT old jsonb, OUT new jsonb)
RETURNS SETOF record LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_peek';
COMMENT ON FUNCTION peek IS 'committed changes, decoded; the position is null for what has no number yet';

-- What registered tables look like.
CREATE OR REPLACE FUNCTION registered_tables(OUT table_name text, OUT channel text, OUT operations text[], OUT insert_only boolean,
    OUT capturing boolean, OUT reason text, OUT registered_by name, OUT registered_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, c.relname), r.channel, r.operations, r.insert_only, t.trouble IS NULL, t.trouble,
           r.registered_by, r.registered_at
    FROM paysync.registration AS r
    JOIN pg_class AS c ON c.oid = r.table_oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT paysync.trouble_of(r) AS trouble) AS t
$$;
-- The rights of its owner reach the table, but not the function's.
CREATE OR REPLACE VIEW tables AS
    SELECT t.table_name, t.channel, t.operations, t.insert_only, t.capturing, t.reason, t.registered_by, t.registered_at,
           r.columns, r.row_filter, r.masks, r.old_values, r.key_columns, r.new_columns,
           jsonb_build_object('insert_only', r.insert_only, 'replica', r.replica, 'partitions', r.partitions, 'skip_unchanged', r.skip_unchanged) AS options
    FROM registered_tables() AS t
    JOIN pg_namespace AS n ON true
    JOIN pg_class AS c ON c.relnamespace = n.oid AND format('%I.%I', n.nspname, c.relname) = t.table_name
    JOIN registration AS r ON r.table_oid = c.oid;

-- Keys of hmac masks, without what is secret.
CREATE OR REPLACE VIEW mask_keys AS
    SELECT k.name, k.created_at, k.rotated_at, k.rotations,
           ARRAY(SELECT r.table_oid FROM registration AS r WHERE r.masks @? '$.* ? (@.mask == "hmac")'
                 AND EXISTS (SELECT FROM jsonb_each(r.masks) AS m WHERE m.value ->> 'mask' = 'hmac' AND m.value ->> 'key' = k.name)
                 ORDER BY r.table_oid::text) AS used_by
    FROM mask_key AS k;

CREATE OR REPLACE FUNCTION lease_holder(OUT pid integer, OUT application text, OUT since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.pid, a.application_name, a.backend_start
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'object' AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      AND l.classid = 'pg_class'::regclass AND l.objid = 'paysync.fence'::regclass AND l.objsubid = 1 AND l.granted
    LIMIT 1
$$;

-- How far each subscriber is behind, counted past the last tick.
CREATE OR REPLACE FUNCTION subscriber_states(OUT name text, OUT channels text[], OUT ephemeral boolean, OUT state text, OUT state_since timestamptz,
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
CREATE OR REPLACE VIEW subscribers AS SELECT * FROM subscriber_states();

CREATE OR REPLACE FUNCTION segment_states(OUT slot integer, OUT state text, OUT generation bigint, OUT opened_at timestamptz, OUT bytes bigint,
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
CREATE OR REPLACE VIEW segments AS SELECT * FROM segment_states();

CREATE OR REPLACE FUNCTION health(OUT state text, OUT hint text, OUT relay_pid integer, OUT relay_since timestamptz, OUT epoch bigint,
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
CREATE OR REPLACE VIEW status AS SELECT * FROM health();
-- Nothing is granted to PUBLIC; a role is granted the least that its part needs.

-- Grants or revokes `privilege` on all that a part needs.
CREATE OR REPLACE FUNCTION change_rights(role regrole, granting boolean, routines text[], views text[]) RETURNS void LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION relay_routines() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{lead,next_tick,read_transactions,read_shapes,open_subscriber,close_subscriber,acknowledge,maintain}'::text[] $$;
CREATE OR REPLACE FUNCTION monitor_routines() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{registered_tables,subscriber_states,segment_states,health}'::text[] $$;
CREATE OR REPLACE FUNCTION monitor_views() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT '{tables,subscribers,segments,status,mask_keys}'::text[] $$;

CREATE OR REPLACE FUNCTION grant_relay(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, true, paysync.relay_routines(), '{}') $$;
CREATE OR REPLACE FUNCTION revoke_relay(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, false, paysync.relay_routines(), '{}') $$;
CREATE OR REPLACE FUNCTION grant_monitor(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, true, paysync.monitor_routines(), paysync.monitor_views()) $$;
CREATE OR REPLACE FUNCTION revoke_monitor(role regrole) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.change_rights(role, false, paysync.monitor_routines(), paysync.monitor_views()) $$;

COMMENT ON FUNCTION grant_relay IS 'let a role run the relay: it can drain the outbox, and no more';
COMMENT ON FUNCTION grant_monitor IS 'let a role look at the views';

-- Only what PUBLIC may call now is touched: PostgreSQL takes whatever right a function has once a REVOKE of this script is done
-- for the extension's own, and a dump would leave out what an administrator granted.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.pronamespace OPERATOR(pg_catalog.=) 'paysync'::pg_catalog.regnamespace
                   AND (p.proacl IS NULL OR EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) AS a WHERE a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid)) LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END $$;
-- The event triggers. They sort before others, which may write to the table that was altered. Last, so that they take no notice of this script. The tags are the first and cheapest filter.

CREATE OR REPLACE FUNCTION ddl_event() RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_ddl_event';
REVOKE ALL ON FUNCTION ddl_event FROM PUBLIC;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger AS e WHERE e.evtfoid OPERATOR(pg_catalog.=) 'paysync.ddl_event()'::pg_catalog.regprocedure) THEN
        CREATE EVENT TRIGGER "!paysync_ddl" ON ddl_command_end
            WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER INDEX', 'ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA', 'ALTER TRIGGER',
                'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER EXTENSION', 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'CREATE TRIGGER',
                'CREATE FUNCTION', 'CREATE INDEX', 'CREATE VIEW',
                'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER SEQUENCE')
            EXECUTE FUNCTION paysync.ddl_event();
        CREATE EVENT TRIGGER "!paysync_drop" ON sql_drop EXECUTE FUNCTION paysync.ddl_event();
        CREATE EVENT TRIGGER "!paysync_rewrite" ON table_rewrite EXECUTE FUNCTION paysync.ddl_event();
        ALTER EVENT TRIGGER "!paysync_ddl" ENABLE ALWAYS;
        ALTER EVENT TRIGGER "!paysync_drop" ENABLE ALWAYS;
        ALTER EVENT TRIGGER "!paysync_rewrite" ENABLE ALWAYS;
    END IF;
END $$;
