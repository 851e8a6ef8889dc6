-- A position is honoured exactly, or refused by name: another stream, another history, past its epoch's end, never given out, no longer kept.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
INSERT INTO t SELECT 1;
INSERT INTO t SELECT 2;
INSERT INTO t SELECT 3;
-- Numbers are dense; the position of each is shown once it has one.
SELECT "position" IS NULL AS unnumbered, key FROM paysync.peek();
CALL paysync.next_tick(1, 0, 0, 0);
CALL paysync.next_tick(1, 0, 0, 0);
SELECT "position" ~ '^1\.[0-9a-f]{8}:[0-9]+$' AS sound, split_part("position", ':', 2) AS number, key FROM paysync.peek();
SELECT position AS p1 FROM paysync.peek() WHERE key = '{"id": 1}' \gset
SELECT position AS p3 FROM paysync.peek() WHERE key = '{"id": 3}' \gset
SELECT stream_id AS stream FROM paysync.stream \gset
SELECT key FROM paysync.peek(:'p1');
SELECT key FROM paysync.peek(:'p1', 1);
SELECT key FROM paysync.peek(:'p3');
SELECT count(*) FROM paysync.peek(NULL, 0);
SELECT paysync.peek(NULL, -1);
\echo :SQLSTATE
-- What a subscriber goes on after: its own position before the acknowledged one.
SELECT name, number, channels FROM paysync.open_subscriber('reader', NULL, NULL, false);
SELECT number FROM paysync.open_subscriber('reader', :'stream', :'p3', false);
SELECT number FROM paysync.open_subscriber('reader', NULL, :'p1', false);
SELECT paysync.acknowledge(1, '{reader}', '{2}', '{true}', '{1}', '{NULL}');
SELECT number FROM paysync.open_subscriber('reader', NULL, NULL, false);
SELECT number FROM paysync.open_subscriber('reader', :'stream', :'p1', false);
SELECT tools.attempt($$SELECT paysync.open_subscriber('nobody', NULL, NULL, false)$$);
SELECT tools.attempt($$SELECT paysync.open_subscriber(NULL, NULL, NULL, false)$$);
-- Another stream.
SELECT tools.attempt(format($$SELECT paysync.open_subscriber('reader', '00000000-0000-0000-0000-000000000000', %L, false)$$, :'p1'));
SELECT tools.attempt(format($$SELECT paysync.open_subscriber('*', '00000000-0000-0000-0000-000000000000', %L, false)$$, :'p1'));
-- No position at all, or of a history that never was.
SELECT text, tools.attempt(format($$SELECT paysync.open_subscriber('reader', NULL, %L, false)$$, text)) FROM unnest(ARRAY['', '3', '1.00000000:1 ', '01.00000000:1', '1.0000000G:1', '1.00000000:-1', '1.00000000:01',
    '1.00000000:1.0', '99999999999999999999.00000000:1', '1.00000000:99999999999999999999', '0.00000000:1', E'1.00000000:1\n', repeat('1', 100)]) AS text;
SELECT tools.attempt($$SELECT paysync.open_subscriber('reader', NULL, '1.00000000:1', false)$$);
SELECT tools.attempt(format($$SELECT paysync.peek(%L)$$, regexp_replace(:'p1', '^1', '2')));
-- Never given out.
SELECT tools.attempt(format($$SELECT paysync.open_subscriber('reader', NULL, %L, false)$$, regexp_replace(:'p1', ':1$', ':4')));
SELECT tools.attempt(format($$SELECT paysync.open_subscriber('reader', NULL, %L, false)$$, regexp_replace(:'p1', ':1$', ':999999999999999999')));
-- A take-over begins an epoch; the one before ends where the stream stood, and all of its positions up to there are good.
SELECT epoch, nonce ~ '^[0-9a-f]{8}$' AS nonce, stream_id = :'stream' AS same, head, version IS NOT NULL AS version FROM paysync.lead('first');
SELECT epoch, start_number, end_number, software FROM paysync.epochs ORDER BY 1;
INSERT INTO t SELECT 4;
CALL paysync.next_tick(1, 0, 0, 3);
\echo :SQLSTATE
CALL paysync.next_tick(2, 0, 0, 3);
SELECT split_part("position", '.', 1) AS epoch, split_part("position", ':', 2) AS number, key FROM paysync.peek();
SELECT number FROM paysync.open_subscriber('reader', NULL, :'p3', false);
SELECT tools.attempt(format($$SELECT paysync.open_subscriber('reader', NULL, %L, false)$$, regexp_replace(:'p1', ':1$', ':4')));
-- The lease is the connection's: asked for again by the same one it is a new epoch, and another connection gets it not.
SELECT epoch FROM paysync.lead('second');
\setenv PGDATABASE :DBNAME
\! psql -X -q -A -t -v VERBOSITY=sqlstate -c "SELECT epoch FROM paysync.lead('third')" 2>&1
\c - - - -
SET search_path = shop, public;
-- next_tick() only by itself.
BEGIN;
CALL paysync.next_tick(3, 0, 0, 0);
\echo :SQLSTATE
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL paysync.next_tick(3, 0, 0, 0);
\echo :SQLSTATE
SELECT paysync.maintain();
\echo :SQLSTATE
RESET default_transaction_isolation;
CALL paysync.next_tick(NULL, 0, 0, 0);
\echo :SQLSTATE
CALL paysync.next_tick(3, 0, 0, 0);
-- It waits no longer than it is told to; it comes back at once when there is something the caller does not know.
CALL paysync.next_tick(3, 60000, 0, 0);
CALL paysync.next_tick(3, 20, 0, 4);
-- A tick is durable whatever the session says, and none is cut when nothing happened.
SELECT count(*) AS ticks FROM paysync.all_ticks WHERE first_number <= last_number;
SELECT last_number, first_number, exact, changes, cardinality(xids), cardinality(slots) FROM paysync.all_ticks ORDER BY 1;
-- read_transactions(): closing record first, then the parts; in pages.
INSERT INTO t SELECT 5, repeat('x', 20000);
INSERT INTO t SELECT 6;
CALL paysync.next_tick(3, 0, 0, 4);
SELECT number, epoch, part, length(payload) > 8000 AS full FROM paysync.read_transactions(4, -1, 1000000);
SELECT number, part FROM paysync.read_transactions(4, -1, 0);
SELECT number, part FROM paysync.read_transactions(5, -1, 200);
SELECT number, part FROM paysync.read_transactions(5, 0, 9000);
SELECT number, part FROM paysync.read_transactions(5, 1, 1000000);
SELECT number, part FROM paysync.read_transactions(5, 2, 1000000);
SELECT number, part FROM paysync.read_transactions(6, -1, 1000000);
SELECT number, part FROM paysync.read_transactions(7, -1, 1000000);
SELECT count(*) FROM paysync.read_transactions(NULL, -1, 1000000);
-- What is recorded and is not there is an error, never an empty page.
CREATE FUNCTION damage() RETURNS void LANGUAGE sql AS $$ DELETE FROM paysync.closing_0 WHERE xid = (SELECT xid FROM paysync.peek() WHERE key = '{"id": 6}') $$;
SELECT damage();
SELECT split_part(tools.attempt('SELECT paysync.read_transactions(6, -1, 1000000)'), E'\n', 1);
SELECT split_part(tools.attempt('SELECT paysync.peek()'), ':', 1);
