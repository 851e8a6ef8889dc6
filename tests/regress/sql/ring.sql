-- The ring of segments: left by size and by age for any free one, emptied each by itself, kept for the retention; without a claim all of it goes.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
CREATE PROCEDURE fill(first int, count int) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN first .. first + count - 1 LOOP
        INSERT INTO shop.t SELECT n, string_agg(md5((n * i)::text), '') FROM generate_series(1, 5000) AS i;
        COMMIT;
        PERFORM paysync.maintain();
        COMMIT;
    END LOOP;
END $$;
CREATE VIEW segments AS SELECT slot, state, generation, first_number, last_number FROM paysync.segments WHERE state <> 'free' ORDER BY generation;
-- What a session says for itself has no effect.
SET paysync.segment_size = '64kB';
SET paysync.outbox_limit = '64kB';
CALL fill(1, 2);
TABLE segments;
SELECT outbox_limit, outbox_full, retention, capture FROM paysync.status;
RESET paysync.outbox_limit;
ALTER DATABASE :"DBNAME" SET paysync.segment_size = 'odd';
\echo :SQLSTATE
ALTER DATABASE :"DBNAME" SET paysync.segment_size = '64kB';
RESET paysync.segment_size;
CALL fill(3, 2);
CALL paysync.next_tick(1, 0, 0, 0);
TABLE segments;
-- By age: only if something was captured.
ALTER DATABASE :"DBNAME" SET paysync.segment_size = '1GB';
ALTER DATABASE :"DBNAME" SET paysync.segment_age = '1s';
CREATE FUNCTION age_segment() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE paysync.ring_%s SET opened_at = opened_at - interval ''1 day''', (SELECT slot FROM paysync.ring WHERE current));
END $$;
SELECT age_segment();
SELECT paysync.maintain();
SELECT max(generation) FROM paysync.ring;
INSERT INTO t VALUES (100, 'captured');
SELECT paysync.maintain();
SELECT max(generation) FROM paysync.ring;
ALTER DATABASE :"DBNAME" SET paysync.segment_age = 0;
INSERT INTO t VALUES (101, 'captured');
SELECT age_segment();
SELECT paysync.maintain();
SELECT max(generation) FROM paysync.ring;
-- What the retention keeps, though all have it.
ALTER DATABASE :"DBNAME" SET paysync.segment_size = '64kB';
ALTER DATABASE :"DBNAME" SET paysync.retention = '1 h';
SELECT last_number AS head FROM paysync.all_ticks ORDER BY 1 DESC LIMIT 1 \gset
CALL paysync.next_tick(1, 0, 0, :head);
SELECT paysync.head_number() AS head \gset
SELECT paysync.acknowledge(1, '{reader}', ARRAY[:head], '{true}', '{1}', '{NULL}');
SELECT paysync.maintain();
TABLE segments;
SELECT retention FROM paysync.status;
-- Older than that: an hour is taken from the times of the ticks.
CREATE FUNCTION age_ticks(below bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR slot IN 0 .. 7 LOOP
        EXECUTE format('UPDATE paysync.tick_%s SET taken_at = taken_at - interval ''2 hours'' WHERE last_number < $1', slot) USING below;
    END LOOP;
END $$;
SELECT age_ticks(:head);
SELECT paysync.maintain();
TABLE segments;
ALTER DATABASE :"DBNAME" RESET paysync.retention;
SELECT paysync.maintain();
TABLE segments;
-- Any free segment is the next one, and one that cannot be emptied does not keep those behind it.
CALL fill(200, 3);
CALL paysync.next_tick(1, 0, 0, :head);
SELECT paysync.head_number() AS head \gset
SELECT paysync.acknowledge(1, '{reader}', ARRAY[:head], '{true}', '{1}', '{NULL}');
SELECT slot AS held FROM paysync.ring WHERE generation > 0 ORDER BY generation LIMIT 1 \gset
BEGIN;
SELECT count(*) > 0 AS held FROM paysync.chunk_:held;
PREPARE TRANSACTION 'held';
SELECT paysync.maintain();
SELECT count(*) FILTER (WHERE state = 'full') AS full, min(slot) FILTER (WHERE state = 'full') = :held AS is_the_one FROM paysync.segments;
CALL fill(300, 8);
SELECT paysync.acknowledge(1, '{reader}', ARRAY[:head], '{true}', '{1}', '{NULL}');
CALL paysync.next_tick(1, 0, 0, :head);
SELECT paysync.head_number() AS head \gset
SELECT paysync.acknowledge(1, '{reader}', ARRAY[:head], '{true}', '{1}', '{NULL}');
SELECT paysync.maintain();
SELECT count(*) FILTER (WHERE state = 'full') AS full, count(*) FILTER (WHERE state = 'free') AS free FROM paysync.segments;
COMMIT PREPARED 'held';
SELECT paysync.maintain();
SELECT paysync.maintain();
SELECT count(*) FILTER (WHERE state = 'full') AS full, count(*) FILTER (WHERE state = 'free') AS free FROM paysync.segments;
-- The stream goes on behind all that, and positions from before are gone.
INSERT INTO t VALUES (400, 'after');
CALL paysync.next_tick(1, 0, 0, :head);
SELECT key FROM paysync.peek() WHERE key = '{"id": 400}';
SELECT number > 10 AS far, channels FROM paysync.open_subscriber('reader', NULL, NULL, false);
-- Nobody has a claim: also what has no number goes, and the stream stands where it stood.
SELECT paysync.head_number() AS head \gset
CALL fill(500, 2);
INSERT INTO t VALUES (600, 'in the current one');
SELECT unticked_transactions FROM paysync.status;
SELECT paysync.drop_subscriber('reader');
SELECT paysync.maintain();
SELECT unticked_transactions FROM paysync.status;
SELECT paysync.head_number() = :head AS the_same_head;
SELECT count(*) FILTER (WHERE state = 'full') AS full FROM paysync.segments;
CALL paysync.next_tick(1, 0, 0, :head);
SELECT paysync.create_subscriber('late') IS NOT NULL AS made;
INSERT INTO t VALUES (601, 'for the new one');
CALL paysync.next_tick(1, 0, 0, :head);
SELECT number, channels FROM paysync.open_subscriber('late', NULL, NULL, false) \gset l_
SELECT DISTINCT number - :l_number AS after FROM paysync.read_transactions(:l_number + 1, -1, 1000000);
