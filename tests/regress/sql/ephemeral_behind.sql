-- An ephemeral subscriber that takes nothing keeps nobody's payments from being captured: it goes when the outbox is half full. One that
-- is connected and has never acknowledged anything is seen to be stalled.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
SELECT paysync.register('t');
ALTER DATABASE :"DBNAME" SET paysync.outbox_limit = '4MB';
SELECT epoch FROM paysync.lead('test');
SELECT name AS hanging, revision FROM paysync.open_subscriber('*', NULL, NULL, false) \gset
SELECT name AS taking FROM paysync.open_subscriber('*', NULL, NULL, false) \gset
CREATE FUNCTION say(names text[], number bigint) RETURNS void LANGUAGE sql AS $$
    SELECT paysync.acknowledge(2, names, array_fill(number, ARRAY[cardinality(names)]), array_fill(true, ARRAY[cardinality(names)]),
        ARRAY(SELECT s.revision FROM unnest(names) WITH ORDINALITY AS n (name, place) JOIN paysync.subscriber AS s USING (name) ORDER BY n.place), array_fill(NULL::text, ARRAY[cardinality(names)]))
$$;
INSERT INTO t SELECT n, repeat('x', 100000) FROM generate_series(1, 5) AS n;
CALL paysync.next_tick(2, 0, 0, 0);
SELECT say(ARRAY[:'hanging', :'taking', 'reader'], 0);
-- As if it had been connected for a while, silently.
UPDATE paysync.ack_0 SET moved_at = (SELECT array_agg(u.at - interval '1 minute' ORDER BY u.place) FROM unnest(moved_at) WITH ORDINALITY AS u (at, place)) WHERE id > 0;
UPDATE paysync.tick_0 SET oldest_at = oldest_at - interval '1 minute';
SELECT say(ARRAY[:'hanging', :'taking', 'reader'], 0);
SELECT DISTINCT state FROM paysync.subscribers;
-- Behind, but there is room.
SELECT paysync.maintain();
SELECT count(*) FROM paysync.subscriber WHERE ephemeral;
INSERT INTO t SELECT n, repeat('x', 100000) FROM generate_series(11, 30) AS n;
CALL paysync.next_tick(2, 0, 0, 1);
SELECT say(ARRAY[:'taking', 'reader'], 2);
SELECT paysync.maintain();
SELECT name = :'taking' AS is_the_one_that_takes FROM paysync.subscriber WHERE ephemeral;
SELECT event, subject = :'hanging' AS is_the_one_that_hangs, detail FROM paysync.log WHERE event = 'drop_ephemeral';
SELECT s = :'hanging' AS is_told FROM paysync.stale_sessions(ARRAY[:'hanging', 'reader'], ARRAY[:revision, (SELECT revision FROM paysync.subscriber WHERE name = 'reader')]) AS s;
SELECT capture FROM paysync.status;
SELECT paysync.maintain();
SELECT count(*) FILTER (WHERE state = 'full') AS full FROM paysync.segments;
ALTER DATABASE :"DBNAME" RESET paysync.outbox_limit;
