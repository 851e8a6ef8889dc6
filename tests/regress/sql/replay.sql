-- A subscriber is rewound to a position or a time, alone; it is passed over a transaction that it cannot take, which is kept to be looked at.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
SELECT paysync.create_subscriber('other') IS NOT NULL AS made;
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE money (id int PRIMARY KEY, v text);
SELECT paysync.register('t'), paysync.register('money', 'money');
SELECT epoch FROM paysync.lead('test');
CREATE FUNCTION at(number bigint) RETURNS text LANGUAGE sql AS 'SELECT paysync.position_of(number)';
CREATE FUNCTION opened(whom text, pos text, obeys boolean) RETURNS TABLE (number bigint, skipped bigint[], rewound text) LANGUAGE sql AS $$
    SELECT number, skipped, split_part(rewound, ':', 2) FROM paysync.open_subscriber(whom, NULL, pos, obeys)
$$;
CREATE FUNCTION applied(whom text, number bigint) RETURNS void LANGUAGE sql AS $$
    SELECT paysync.acknowledge(2, ARRAY[whom], ARRAY[number], '{true}', ARRAY[revision], '{NULL}') FROM paysync.subscriber WHERE name = whom
$$;
INSERT INTO t VALUES (1);
INSERT INTO t VALUES (2);
CALL paysync.next_tick(2, 0, 0, 0);
SELECT clock_timestamp() AS between \gset
BEGIN;
INSERT INTO t VALUES (3, 'three');
INSERT INTO money VALUES (3, 'three');
COMMIT;
CALL paysync.next_tick(2, 0, 0, 2);
INSERT INTO t VALUES (4);
CALL paysync.next_tick(2, 0, 0, 3);
SELECT applied('reader', 4), applied('other', 4);
-- What is asked must be sound.
SELECT tools.attempt($$SELECT paysync.replay('reader')$$);
SELECT tools.attempt(format($$SELECT paysync.replay('reader', now(), %L)$$, at(1)));
SELECT tools.attempt($$SELECT paysync.replay('nobody', now())$$);
SELECT tools.attempt($$SELECT paysync.replay('reader', from_position => 'x')$$);
SELECT tools.attempt(format($$SELECT paysync.replay('reader', from_position => %L)$$, replace(at(4), ':4', ':5')));
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT paysync.replay('reader', now());
ROLLBACK;
-- From a position.
SELECT split_part(paysync.replay('reader', from_position => at(1)), ':', 2) AS number;
SELECT name, number, rewinding FROM paysync.acknowledged() ORDER BY 1;
SELECT name, lag_transactions, split_part("position", ':', 2) AS number FROM paysync.subscribers ORDER BY 1;
-- Without a position of its own it starts there; with one, only if it obeys. It is told in either case, until it acknowledges.
SELECT * FROM opened('reader', NULL, false);
SELECT * FROM opened('reader', at(4), false);
SELECT * FROM opened('reader', at(4), true);
SELECT * FROM opened('reader', at(4), true);
SELECT applied('reader', 1);
SELECT * FROM opened('reader', at(4), true);
SELECT applied('reader', 2);
SELECT * FROM opened('reader', NULL, false);
SELECT * FROM opened('reader', at(4), true);
SELECT name, number, rewinding FROM paysync.acknowledged() ORDER BY 1;
-- From a time: what became visible since then.
SELECT split_part(paysync.replay('reader', :'between'), ':', 2) AS number;
SELECT split_part(paysync.replay('reader', '1999-01-01'), ':', 2) AS number;
SELECT split_part(paysync.replay('reader', 'infinity'), ':', 2) AS number;
-- Going on further than it has acknowledged, it acknowledges from there.
SELECT number FROM paysync.acknowledged() WHERE name = 'reader';
-- Skipping.
SELECT split_part(paysync.replay('reader', from_position => at(1)), ':', 2) AS number;
SELECT tools.attempt($$SELECT paysync.skip('nobody', 'x', 'y')$$);
SELECT tools.attempt($$SELECT paysync.skip('reader', NULL, 'y')$$);
SELECT tools.attempt(format($$SELECT paysync.skip('reader', %L, '')$$, at(3)));
SELECT tools.attempt(format($$SELECT paysync.skip('reader', %L, 'why')$$, at(1)));
SELECT tools.attempt(format($$SELECT paysync.skip('reader', %L, 'why')$$, replace(at(4), ':4', ':5')));
SELECT tools.attempt($$SELECT paysync.skip('reader', '1.00000000:3', 'why')$$);
SELECT revision AS before FROM paysync.subscriber WHERE name = 'reader' \gset
SELECT paysync.skip('reader', at(3), 'its target has no such account');
SELECT paysync.skip('reader', at(3), 'again');
SELECT subscriber, split_part("position", ':', 2) AS number, reason, transaction_time < skipped_at AS past, changes, bytes > 0 AS bytes FROM paysync.parked;
SELECT revision > :before AS another FROM paysync.subscriber WHERE name = 'reader';
SELECT * FROM opened('reader', NULL, false);
SELECT * FROM opened('reader', at(4), false);
SELECT * FROM opened('other', at(1), false);
SELECT parked FROM paysync.subscribers ORDER BY name;
-- Only what its channels would have brought.
SELECT split_part("position", ':', 2) AS number, channel, table_name, op, key, new FROM paysync.parked_changes('reader', at(3));
SELECT tools.attempt(format($$SELECT * FROM paysync.parked_changes('other', %L)$$, at(3)));
-- A large one, in many parts, whose changes were recorded in another order.
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE shop.t SET v = 'followed' WHERE id = NEW.id + 1; RETURN NULL; END $$;
CREATE TRIGGER follow AFTER UPDATE ON t FOR EACH ROW WHEN (NEW.v IS DISTINCT FROM 'followed') EXECUTE FUNCTION follow();
UPDATE t SET v = repeat('x', 20000 * id);
CALL paysync.next_tick(2, 0, 0, 4);
SELECT paysync.skip('reader', at(5), 'too large');
SELECT op, key, length(new ->> 'v') AS length FROM paysync.parked_changes('reader', at(5));
SELECT op, key, length(new ->> 'v') AS length FROM paysync.peek(at(4));
SELECT * FROM opened('reader', NULL, false);
-- It is kept when the outbox has let it go, and when the subscriber is no more; another one of that name takes everything.
SELECT applied('reader', 5), applied('other', 5);
ALTER DATABASE :"DBNAME" SET paysync.segment_size = '64kB';
SELECT paysync.maintain();
SELECT paysync.maintain();
SELECT paysync.oldest_number();
SELECT tools.attempt(format($$SELECT paysync.replay('reader', from_position => %L)$$, at(1)));
SELECT regexp_replace(tools.attempt($$SELECT paysync.replay('reader', '1999-01-01')$$), 'since [^\n]*', 'since TIME');
SELECT split_part(paysync.replay('reader', 'now'), ':', 2) AS number;
SELECT paysync.drop_subscriber('reader');
SELECT paysync.create_subscriber('reader') IS NOT NULL AS made;
SELECT count(*) FROM paysync.parked_changes('reader', at(5));
INSERT INTO t VALUES (6);
CALL paysync.next_tick(2, 0, 0, 5);
SELECT paysync.skip('reader', at(6), 'why');
SELECT * FROM opened('reader', NULL, false);
DELETE FROM paysync.parked_transaction;
SELECT count(*) FROM paysync.parked_chunk;
SELECT event, subject, regexp_replace(regexp_replace(detail, 'since [^,]*', 'since TIME'), '\d\.[0-9a-f]{8}:(\d+)(.*), by \w+', 'HISTORY:\1\2, by SOMEBODY') AS detail
FROM paysync.log WHERE event IN ('replay', 'skip') ORDER BY at;
-- What a transaction holds for the relay: its manifest, and the changes put in order.
SELECT paysync.create_subscriber('reads', '{default,money}') IS NOT NULL AS made;
TRUNCATE t;
DROP TRIGGER follow ON t;
CREATE FUNCTION pair() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE shop.t SET v = left(v, 100) || 'followed' WHERE id = NEW.id + 1; RETURN NULL; END $$;
INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(1, 2000) AS n;
INSERT INTO t SELECT 5000, string_agg(md5(n::text), '') FROM generate_series(1, 100000) AS n;
CREATE TRIGGER pair AFTER UPDATE ON t FOR EACH ROW WHEN (length(NEW.v) < 10) EXECUTE FUNCTION pair();
BEGIN;
UPDATE t SET v = id WHERE id < 2000;
UPDATE t SET v = v || 'end' WHERE id = 5000;
COMMIT;
SELECT paysync.head_number() AS head \gset
CALL paysync.next_tick(2, 0, 0, :head);
SELECT paysync.head_number() AS head \gset
SELECT max(piece) + 1 = count(*) AS dense, bool_and(length(payload) = 65536 OR piece = (SELECT max(piece) FROM paysync.read_in_order(:head))) AS full,
       sum(length(payload)) = (SELECT c.bytes FROM paysync.read_transactions(:head, -1, 1) AS t, paysync.read_closing(t.payload) AS c) AS whole
FROM paysync.read_in_order(:head);
SELECT tools.attempt('SELECT paysync.read_in_order(1)');
SELECT tools.attempt('SELECT paysync.read_in_order(999999)');
SELECT tools.attempt(format('SELECT paysync.read_manifest(%s, 9999)', :head));
SELECT count(*), min(m.part) < max(m.part) AS ordered, max(m.part) = (SELECT max(part) FROM paysync.read_transactions(:head, -1, 100000000)) AS last FROM paysync.read_manifest(:head, 3) AS m;
SELECT count(*) FROM paysync.read_manifest(:head, 0);
-- It goes back, never forward over what was not taken.
SELECT paysync.create_subscriber('late') IS NOT NULL AS made, paysync.head_number() AS head \gset
INSERT INTO t VALUES (4711);
CALL paysync.next_tick(2, 0, 0, :head);
SELECT tools.attempt(format($$SELECT paysync.replay('late', from_position => %L)$$, at(:head + 1)));
SELECT paysync.drop_subscriber('late');
