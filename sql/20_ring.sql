-- The outbox: a fixed ring of segments. Each has a table for closing records, one for chunks, one for ticks, one for acknowledgements and
-- one for what is known of the segment, all append-only and emptied together by TRUNCATE; so they need no vacuum for space, and no row is ever updated.

-- What is known of a segment, append-only as well: the first row comes when it is opened; while it is the current one, another for each
-- that is emptied. The segment with the highest generation is the current one; one without a row is free.
CREATE TABLE ring_0 (
    generation bigint NOT NULL,
    opened_at  timestamptz NOT NULL,
    emptied_to bigint NOT NULL,                -- numbers up to this one may have been in segments that were emptied
    PRIMARY KEY (emptied_to)
) WITH (autovacuum_enabled = off);

CREATE TABLE chunk_0 (
    xid       xid8 NOT NULL,
    order_key pg_lsn NOT NULL,
    part      integer NOT NULL,
    payload   bytea NOT NULL,
    PRIMARY KEY (xid, part)
) WITH (autovacuum_enabled = off);
-- A chunk that does not fit into a page is an error, never silently moved out of line.
ALTER TABLE chunk_0 ALTER COLUMN payload SET STORAGE PLAIN;

-- No index, which writers would have to fill: ticks know where the rows lie, and look for new ones at the end (docs/outbox.md §2). Vacuum
-- must not cut the table off: what was looked through is known by page.
CREATE TABLE closing_0 (
    xid       xid8 NOT NULL,
    order_key pg_lsn NOT NULL,
    payload   bytea NOT NULL
) WITH (autovacuum_enabled = off, vacuum_truncate = off);
ALTER TABLE closing_0 ALTER COLUMN payload SET STORAGE PLAIN;

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
    slots        smallint[] NOT NULL,
    total_bytes  bigint NOT NULL,              -- of all ticks up to this one
    oldest_at    timestamptz NOT NULL,         -- since when the oldest of its transactions waited for it
    places       tid[],                        -- of the closing records, (0,0) where these are among the chunks; null: all are
    files        oid[],                        -- this and the rest: how far closing tables were looked through, where exact
    pages        bigint[],
    waiting_slots smallint[],
    waiting      tid[]
) WITH (autovacuum_enabled = off);

-- The newest row holds all that is known of all subscribers.
CREATE TABLE ack_0 (
    id          bigint PRIMARY KEY,
    at          timestamptz NOT NULL,
    subscribers integer[] NOT NULL,
    numbers     bigint[] NOT NULL,
    connected   boolean[] NOT NULL,
    last_seen   timestamptz[] NOT NULL,
    moved_at    timestamptz[] NOT NULL,
    rewinds     bigint[] NOT NULL,
    last_errors text[] NOT NULL,
    error_at    timestamptz[] NOT NULL
) WITH (autovacuum_enabled = off);

DO $$
BEGIN
    FOR slot IN 1 .. 7 LOOP
        EXECUTE format('CREATE TABLE paysync.chunk_%1$s (LIKE paysync.chunk_0 INCLUDING STORAGE, PRIMARY KEY (xid, part)) WITH (autovacuum_enabled = off)', slot);
        EXECUTE format('CREATE TABLE paysync.closing_%1$s (LIKE paysync.closing_0 INCLUDING STORAGE) WITH (autovacuum_enabled = off, vacuum_truncate = off)', slot);
        EXECUTE format('CREATE TABLE paysync.tick_%1$s (LIKE paysync.tick_0 INCLUDING STORAGE, PRIMARY KEY (last_number)) WITH (autovacuum_enabled = off)', slot);
        EXECUTE format('CREATE TABLE paysync.ack_%1$s (LIKE paysync.ack_0 INCLUDING STORAGE, PRIMARY KEY (id)) WITH (autovacuum_enabled = off)', slot);
        EXECUTE format('CREATE TABLE paysync.ring_%1$s (LIKE paysync.ring_0 INCLUDING STORAGE, PRIMARY KEY (emptied_to)) WITH (autovacuum_enabled = off)', slot);
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
       now(), 0, 0, decode(repeat('00', 16), 'hex'), '0/0', '0/0', '{}', '{}', 0, now(), '{}'
FROM pg_current_snapshot() AS seen;
INSERT INTO ack_0 VALUES (0, now(), '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
INSERT INTO ring_0 VALUES (1, now(), 0);

CREATE VIEW all_ticks AS
    SELECT 0 AS slot, * FROM tick_0 UNION ALL SELECT 1, * FROM tick_1 UNION ALL SELECT 2, * FROM tick_2 UNION ALL
    SELECT 3, * FROM tick_3 UNION ALL SELECT 4, * FROM tick_4 UNION ALL SELECT 5, * FROM tick_5 UNION ALL
    SELECT 6, * FROM tick_6 UNION ALL SELECT 7, * FROM tick_7;
CREATE VIEW all_acks AS
    SELECT * FROM ack_0 UNION ALL SELECT * FROM ack_1 UNION ALL SELECT * FROM ack_2 UNION ALL SELECT * FROM ack_3 UNION ALL
    SELECT * FROM ack_4 UNION ALL SELECT * FROM ack_5 UNION ALL SELECT * FROM ack_6 UNION ALL SELECT * FROM ack_7;

CREATE VIEW ring AS
    SELECT r.slot, coalesce(r.generation = max(r.generation) OVER (), false) AS current, coalesce(r.generation, 0) AS generation, r.opened_at,
           coalesce(r.emptied_to, 0) AS emptied_to
    FROM (SELECT 0 AS slot, max(generation) AS generation, max(opened_at) AS opened_at, max(emptied_to) AS emptied_to FROM ring_0 UNION ALL
          SELECT 1, max(generation), max(opened_at), max(emptied_to) FROM ring_1 UNION ALL
          SELECT 2, max(generation), max(opened_at), max(emptied_to) FROM ring_2 UNION ALL
          SELECT 3, max(generation), max(opened_at), max(emptied_to) FROM ring_3 UNION ALL
          SELECT 4, max(generation), max(opened_at), max(emptied_to) FROM ring_4 UNION ALL
          SELECT 5, max(generation), max(opened_at), max(emptied_to) FROM ring_5 UNION ALL
          SELECT 6, max(generation), max(opened_at), max(emptied_to) FROM ring_6 UNION ALL
          SELECT 7, max(generation), max(opened_at), max(emptied_to) FROM ring_7) AS r;

-- Sessions look these up once and keep what they found; a statement that touches them makes all look again.
CREATE FUNCTION invalidate() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_invalidate';
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{ring_0,ring_1,ring_2,ring_3,ring_4,ring_5,ring_6,ring_7,reader,subscriber,capture_state}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON paysync.%I FOR EACH STATEMENT EXECUTE FUNCTION paysync.invalidate()', name);
        EXECUTE format('ALTER TABLE paysync.%I ENABLE ALWAYS TRIGGER invalidate', name);
    END LOOP;
END $$;
