\echo Use "ALTER EXTENSION paysync UPDATE" to load this file. \quit

-- From 0.2.0 to 0.3.0: tables, and functions that got other arguments or are no more. The parts of the install script that hold
-- code follow. A session that still has the library of 0.2 finds functions that it does not hold, and says so.

-- Who was granted what, for later: the functions that are made anew lose it.
SELECT pg_catalog.set_config('paysync_upgrade.relays', coalesce((
           SELECT pg_catalog.string_agg(DISTINCT a.grantee::pg_catalog.regrole::text, E'\n') FROM pg_catalog.pg_proc AS p, pg_catalog.aclexplode(p.proacl) AS a
           WHERE p.oid OPERATOR(pg_catalog.=) 'paysync.lead(text)'::pg_catalog.regprocedure AND a.grantee OPERATOR(pg_catalog.<>) p.proowner
             AND a.grantee OPERATOR(pg_catalog.<>) 0::pg_catalog.oid), ''), true),
       pg_catalog.set_config('paysync_upgrade.monitors', coalesce((
           SELECT pg_catalog.string_agg(DISTINCT a.grantee::pg_catalog.regrole::text, E'\n') FROM pg_catalog.pg_proc AS p, pg_catalog.aclexplode(p.proacl) AS a
           WHERE p.oid OPERATOR(pg_catalog.=) 'paysync.health()'::pg_catalog.regprocedure AND a.grantee OPERATOR(pg_catalog.<>) p.proowner
             AND a.grantee OPERATOR(pg_catalog.<>) 0::pg_catalog.oid), ''), true),
       -- create_subscriber and drop_subscriber may have been granted by name.
       pg_catalog.set_config('paysync_upgrade.makers', coalesce((
           SELECT pg_catalog.string_agg(a.grantee::pg_catalog.regrole::text OPERATOR(pg_catalog.||) CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, E'\n')
           FROM pg_catalog.pg_proc AS p, pg_catalog.aclexplode(p.proacl) AS a
           WHERE p.oid OPERATOR(pg_catalog.=) 'paysync.create_subscriber(text,text[])'::pg_catalog.regprocedure AND a.grantee OPERATOR(pg_catalog.<>) p.proowner
             AND a.grantee OPERATOR(pg_catalog.<>) 0::pg_catalog.oid), ''), true);

DROP VIEW paysync.status, paysync.subscribers;
DROP FUNCTION paysync.health();
DROP FUNCTION paysync.subscriber_states();
DROP FUNCTION paysync.acknowledged();
DROP FUNCTION paysync.open_subscriber(text, uuid, text);
DROP FUNCTION paysync.acknowledge(bigint, text[], bigint[], boolean[]);
DROP FUNCTION paysync.create_subscriber(text, text[]);
DROP FUNCTION paysync.segment_bytes();
DROP FUNCTION paysync.empty_segment(integer);

CREATE SEQUENCE paysync.revision;
ALTER TABLE paysync.subscriber
    ADD COLUMN max_lag_bytes bigint,
    ADD COLUMN max_lag_age interval,
    ADD COLUMN on_limit text NOT NULL DEFAULT 'cut_off',
    ADD COLUMN revision bigint NOT NULL DEFAULT pg_catalog.nextval('paysync.revision'),
    ADD COLUMN rewinds bigint NOT NULL DEFAULT 0,
    ADD COLUMN rewound_at timestamptz,
    ADD COLUMN taken_number bigint NOT NULL DEFAULT 0,
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN cut_off_at timestamptz,
    ADD COLUMN cut_off_reason text,
    ADD COLUMN told_at timestamptz;

-- Transactions that a subscriber is never sent, with what they held. Nothing removes them but an operator: DELETE FROM paysync.parked_transaction.
CREATE TABLE paysync.parked_transaction (
    id               bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    subscriber_id    integer NOT NULL,
    subscriber       text NOT NULL,
    channels         text[] NOT NULL,
    number           bigint NOT NULL,
    "position"       text NOT NULL,
    reason           text NOT NULL,
    skipped_at       timestamptz NOT NULL DEFAULT now(),
    skipped_by       name NOT NULL,
    transaction_time timestamptz NOT NULL,
    xid              xid8 NOT NULL,
    changes          bigint NOT NULL,
    bytes            bigint NOT NULL,
    UNIQUE (subscriber_id, number)
);
CREATE TABLE paysync.parked_chunk (
    parked_id bigint NOT NULL REFERENCES paysync.parked_transaction ON DELETE CASCADE,
    part      integer NOT NULL,
    payload   bytea NOT NULL,
    PRIMARY KEY (parked_id, part)
);

-- Whether what is captured is kept. Written by maintain() alone, read by every writer.
CREATE TABLE paysync.capture_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    mode      text NOT NULL DEFAULT 'on' CHECK (mode IN ('on', 'suspended', 'resuming', 'refusing')),
    since     timestamptz NOT NULL DEFAULT now(),
    half_full boolean NOT NULL DEFAULT false           -- it was said that the outbox is half full
);
INSERT INTO paysync.capture_state DEFAULT VALUES;

-- The last events worth knowing.
CREATE TABLE paysync.log_entry (
    id      bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    event   text NOT NULL,
    subject text,
    detail  text
);


-- What is known of a segment gets tables that are emptied with it; nothing of it is updated any more.
CREATE TABLE paysync.ring_0 (
    generation bigint NOT NULL,
    opened_at  timestamptz NOT NULL,
    emptied_to bigint NOT NULL,
    PRIMARY KEY (emptied_to)
) WITH (autovacuum_enabled = off);
DO $$
BEGIN
    FOR slot IN 0 .. 7 LOOP
        IF slot OPERATOR(pg_catalog.>) 0 THEN
            EXECUTE pg_catalog.format('CREATE TABLE paysync.ring_%1$s (LIKE paysync.ring_0 INCLUDING STORAGE, PRIMARY KEY (emptied_to)) WITH (autovacuum_enabled = off)', slot);
        END IF;
        EXECUTE pg_catalog.format('INSERT INTO paysync.ring_%1$s SELECT generation, opened_at, (SELECT pg_catalog.max(emptied_to) FROM paysync.ring) FROM paysync.ring WHERE slot OPERATOR(pg_catalog.=) %1$s AND generation OPERATOR(pg_catalog.>) 0', slot);
        EXECUTE pg_catalog.format('CREATE TABLE paysync.closing_%1$s (xid xid8 NOT NULL, order_key pg_lsn NOT NULL, payload bytea NOT NULL) WITH (autovacuum_enabled = off, vacuum_truncate = off)', slot);
        EXECUTE pg_catalog.format('ALTER TABLE paysync.closing_%1$s ALTER COLUMN payload SET STORAGE PLAIN', slot);
        EXECUTE pg_catalog.format('ALTER TABLE paysync.tick_%1$s ADD COLUMN total_bytes bigint, ADD COLUMN oldest_at timestamptz, ADD COLUMN places tid[],
            ADD COLUMN files oid[], ADD COLUMN pages bigint[], ADD COLUMN waiting_slots smallint[], ADD COLUMN waiting tid[]', slot);
        EXECUTE pg_catalog.format('ALTER TABLE paysync.ack_%1$s ADD COLUMN rewinds bigint[], ADD COLUMN last_errors text[], ADD COLUMN error_at timestamptz[]', slot);
    END LOOP;
END $$;
DROP TABLE paysync.ring;
-- A library of 0.2 that is in use looks this up by its name, and must not go on to read the ring.
ALTER INDEX paysync.shapes_fingerprint RENAME TO shapes_by_fingerprint;

CREATE OR REPLACE VIEW paysync.all_ticks AS
    SELECT 0 AS slot, * FROM paysync.tick_0 UNION ALL SELECT 1, * FROM paysync.tick_1 UNION ALL SELECT 2, * FROM paysync.tick_2 UNION ALL
    SELECT 3, * FROM paysync.tick_3 UNION ALL SELECT 4, * FROM paysync.tick_4 UNION ALL SELECT 5, * FROM paysync.tick_5 UNION ALL
    SELECT 6, * FROM paysync.tick_6 UNION ALL SELECT 7, * FROM paysync.tick_7;
CREATE OR REPLACE VIEW paysync.all_acks AS
    SELECT * FROM paysync.ack_0 UNION ALL SELECT * FROM paysync.ack_1 UNION ALL SELECT * FROM paysync.ack_2 UNION ALL SELECT * FROM paysync.ack_3 UNION ALL
    SELECT * FROM paysync.ack_4 UNION ALL SELECT * FROM paysync.ack_5 UNION ALL SELECT * FROM paysync.ack_6 UNION ALL SELECT * FROM paysync.ack_7;

CREATE VIEW paysync.ring AS
    SELECT r.slot, coalesce(r.generation = max(r.generation) OVER (), false) AS current, coalesce(r.generation, 0) AS generation, r.opened_at,
           coalesce(r.emptied_to, 0) AS emptied_to
    FROM (SELECT 0 AS slot, max(generation) AS generation, max(opened_at) AS opened_at, max(emptied_to) AS emptied_to FROM paysync.ring_0 UNION ALL
          SELECT 1, max(generation), max(opened_at), max(emptied_to) FROM paysync.ring_1 UNION ALL
          SELECT 2, max(generation), max(opened_at), max(emptied_to) FROM paysync.ring_2 UNION ALL
          SELECT 3, max(generation), max(opened_at), max(emptied_to) FROM paysync.ring_3 UNION ALL
          SELECT 4, max(generation), max(opened_at), max(emptied_to) FROM paysync.ring_4 UNION ALL
          SELECT 5, max(generation), max(opened_at), max(emptied_to) FROM paysync.ring_5 UNION ALL
          SELECT 6, max(generation), max(opened_at), max(emptied_to) FROM paysync.ring_6 UNION ALL
          SELECT 7, max(generation), max(opened_at), max(emptied_to) FROM paysync.ring_7) AS r;


-- The sums that ticks bear now.
DO $$
BEGIN
    FOR slot IN 0 .. 7 LOOP
        EXECUTE pg_catalog.format($sums$UPDATE paysync.tick_%1$s AS t SET oldest_at = t.taken_at, total_bytes = s.total
            FROM (SELECT a.slot, a.last_number, pg_catalog.sum(a.bytes) OVER (ORDER BY a.last_number) AS total FROM paysync.all_ticks AS a) AS s
            WHERE s.slot OPERATOR(pg_catalog.=) %1$s AND s.last_number OPERATOR(pg_catalog.=) t.last_number$sums$, slot);
        EXECUTE pg_catalog.format($sums$UPDATE paysync.ack_%1$s AS a SET rewinds = pg_catalog.array_fill(0::bigint, ARRAY[pg_catalog.cardinality(a.numbers)]),
            last_errors = pg_catalog.array_fill(NULL::text, ARRAY[pg_catalog.cardinality(a.numbers)]),
            error_at = pg_catalog.array_fill(NULL::timestamptz, ARRAY[pg_catalog.cardinality(a.numbers)])$sums$, slot);
        EXECUTE pg_catalog.format('ALTER TABLE paysync.tick_%1$s ALTER COLUMN total_bytes SET NOT NULL, ALTER COLUMN oldest_at SET NOT NULL', slot);
        EXECUTE pg_catalog.format('ALTER TABLE paysync.ack_%1$s ALTER COLUMN rewinds SET NOT NULL, ALTER COLUMN last_errors SET NOT NULL, ALTER COLUMN error_at SET NOT NULL', slot);
    END LOOP;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{ring_0,ring_1,ring_2,ring_3,ring_4,ring_5,ring_6,ring_7,capture_state}'::text[] LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON paysync.%I FOR EACH STATEMENT EXECUTE FUNCTION paysync.invalidate()', name);
        EXECUTE pg_catalog.format('ALTER TABLE paysync.%I ENABLE ALWAYS TRIGGER invalidate', name);
    END LOOP;
END $$;
