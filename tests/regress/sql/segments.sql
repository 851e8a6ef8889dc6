-- A segment is emptied when all subscribers have what it holds, and not before; positions from before are refused by name.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
ALTER DATABASE :"DBNAME" SET paysync.segment_size = '64kB';
INSERT INTO t SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 5000) AS n;
CALL paysync.next_tick(1, 0, 0, 0);
SELECT "position" AS p1 FROM paysync.peek() \gset
-- Full: the next one becomes the current one. Not acknowledged: nothing goes.
SELECT paysync.maintain();
SELECT slot, state, generation, first_number, last_number FROM paysync.segments WHERE state <> 'free' ORDER BY 1;
INSERT INTO t VALUES (2, 'in the second');
CALL paysync.next_tick(1, 0, 0, 1);
SELECT paysync.maintain();
SELECT slot, state, generation, first_number, last_number FROM paysync.segments WHERE state <> 'free' ORDER BY 1;
SELECT number FROM paysync.open_subscriber('reader', NULL, NULL, false);
-- Acknowledged up to the first: that one goes, and what the second holds is all there.
SELECT paysync.acknowledge(1, '{reader}', '{1}', '{true}', '{1}', '{NULL}');
SELECT paysync.maintain();
SELECT slot, state, generation, first_number, last_number FROM paysync.segments WHERE state <> 'free' ORDER BY 1;
SELECT split_part("position", ':', 2) AS number, op, key FROM paysync.peek();
SELECT number, part FROM paysync.read_transactions(2, -1, 1000000);
SELECT tools.attempt('SELECT paysync.read_transactions(1, -1, 1000000)');
SELECT number FROM paysync.open_subscriber('reader', NULL, NULL, false);
SELECT number FROM paysync.open_subscriber('reader', NULL, :'p1', false);
SELECT tools.attempt(format($$SELECT paysync.open_subscriber('reader', NULL, %L, false)$$, regexp_replace(:'p1', ':1$', ':0')));
SELECT tools.attempt(format($$SELECT paysync.peek(%L)$$, regexp_replace(:'p1', ':1$', ':0')));
-- Acknowledgements and the stream's head outlive their segment.
SELECT name, state, lag_transactions FROM paysync.subscribers;
-- A ring that is full makes the last one grow; nothing is lost.
DO $$
BEGIN
    FOR n IN 1 .. 10 LOOP
        INSERT INTO shop.t SELECT 100 + n, string_agg(md5((n * i)::text), '') FROM generate_series(1, 5000) AS i;
        COMMIT;
        PERFORM paysync.maintain();
        COMMIT;
    END LOOP;
END $$;
SELECT count(*) FILTER (WHERE state = 'full') AS full, count(*) FILTER (WHERE state = 'free') AS free, max(generation) FROM paysync.segments;
CALL paysync.next_tick(1, 0, 0, 2);
SELECT split_part("position", ':', 2) AS number, key FROM paysync.peek();
SELECT paysync.acknowledge(1, '{reader}', '{12}', '{true}', '{1}', '{NULL}');
SELECT paysync.maintain();
SELECT count(*) FILTER (WHERE state = 'full') AS full, count(*) FILTER (WHERE state = 'free') AS free FROM paysync.segments;
INSERT INTO t VALUES (3, 'after all');
CALL paysync.next_tick(1, 0, 0, 12);
SELECT tools.attempt(format($$SELECT paysync.peek(%L)$$, :'p1'));
SELECT split_part("position", ':', 2) AS number, op, key FROM paysync.peek() WHERE key = '{"id": 3}';
-- Nobody has what was never given out.
SELECT paysync.acknowledge(1, '{reader}', '{999}', '{true}', '{1}', '{NULL}');
SELECT split_part("position", ':', 2) AS number FROM paysync.subscribers;
-- Without any subscriber all that has a number may go.
SELECT paysync.drop_subscriber('reader');
SELECT paysync.maintain();
SELECT paysync.maintain();
SELECT tools.chunks();
-- Acknowledgements of many subscribers, or with long errors, stand out of line: they count as well.
SELECT paysync.create_subscriber('loud') IS NOT NULL AS made;
SELECT generation AS before FROM paysync.segments WHERE state = 'current' \gset
DO $$
BEGIN
    FOR n IN 1 .. 40 LOOP
        PERFORM paysync.acknowledge(1, '{loud}', '{-1}', '{false}', '{0}', ARRAY[(SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 200) AS i)]);
    END LOOP;
END $$;
SELECT paysync.maintain();
SELECT generation - :before AS switched FROM paysync.segments WHERE state = 'current';
-- Who upkeeps in the transaction that wrote keeps what it wrote: no lock keeps it from emptying that segment itself.
SELECT paysync.drop_subscriber('loud');
SELECT paysync.maintain();
SELECT paysync.create_subscriber('reader') IS NOT NULL AS made;
SELECT slot AS written FROM paysync.segments WHERE state = 'current' \gset
BEGIN;
INSERT INTO t SELECT 4, string_agg(md5(n::text), '') FROM generate_series(1, 5000) AS n;
SELECT paysync.maintain();
SELECT paysync.maintain();
COMMIT;
SELECT slot = :written AS written, state FROM paysync.segments WHERE state <> 'free' ORDER BY generation;
CALL paysync.next_tick(1, 0, 0, 0);
SELECT op, key, length(new->>'v') AS length FROM paysync.peek();
-- Who wrote into a segment holds it until the end, also where a savepoint took the first of it back: COMMIT waits for nobody who empties it.
BEGIN;
SAVEPOINT before;
INSERT INTO t SELECT 5, string_agg(md5(n::text), '') FROM generate_series(1, 5000) AS n;
ROLLBACK TO before;
SELECT relation = format('paysync.closing_%s', (SELECT slot FROM paysync.segments WHERE state = 'current'))::regclass AS held FROM pg_locks
WHERE pid = pg_backend_pid() AND mode = 'RowExclusiveLock' AND relation::regclass::text LIKE 'paysync.closing%';
COMMIT;
