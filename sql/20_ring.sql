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
