-- paysync.emit() puts an event into the stream, in its place in the transaction, or nothing.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY);
SELECT paysync.register('t');
BEGIN;
INSERT INTO t VALUES (1);
SELECT paysync.emit('default', 'paid', '{"b": 1, "a": [1.50, "x"]}');
INSERT INTO t VALUES (2);
SELECT paysync.emit('other', 'refunded', 'null', 'key ''1"', '{"trace": "t"}');
COMMIT;
SELECT * FROM tools.news();
-- An event alone makes a transaction.
SELECT paysync.emit('only', 'type ü', '"payload"', key => '');
SELECT * FROM tools.news();
-- It goes with its transaction and its savepoint.
BEGIN;
SELECT paysync.emit('default', 'gone', '1');
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT paysync.emit('default', 'gone', '1');
ROLLBACK TO a;
SELECT paysync.emit('default', 'kept', jsonb_build_object('large', repeat('l', 20000)));
COMMIT;
SELECT tx, channel, op, new ->> 'type' AS type, length(new -> 'payload' ->> 'large') FROM tools.news();
-- Arguments.
SELECT paysync.emit(NULL, 'type', '1');
\echo :SQLSTATE
SELECT paysync.emit('default', NULL, '1');
SELECT paysync.emit('default', 'type', NULL);
SELECT paysync.emit('default', 'type', '1', NULL, NULL);
SELECT paysync.emit('', 'type', '1');
\echo :SQLSTATE
SELECT paysync.emit(repeat('c', 64), 'type', '1');
SELECT paysync.emit('default', '', '1');
SELECT paysync.emit('default', repeat('t', 256), '1');
SELECT paysync.emit(repeat('c', 63), repeat('t', 255), '1');
SELECT length(channel), length(new ->> 'type') FROM tools.news();
-- Where nothing may be written, nothing is.
BEGIN READ ONLY;
SELECT paysync.emit('default', 'type', '1');
\echo :SQLSTATE
ROLLBACK;
SELECT * FROM tools.news();
