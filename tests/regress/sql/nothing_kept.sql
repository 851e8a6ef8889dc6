-- Without a subscriber nothing is kept, however large the transaction; from the first one on, everything.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
SELECT paysync.drop_subscriber('reader');
INSERT INTO t VALUES (1, 'small');
INSERT INTO t VALUES (2, repeat('x', 100000));
BEGIN;
INSERT INTO t SELECT n, repeat('y', 1000) FROM generate_series(10, 100) AS n;
SAVEPOINT a;
UPDATE t SET v = 'z';
RELEASE a;
SAVEPOINT b;
UPDATE t SET v = repeat('z', 5000);
RELEASE b;
ROLLBACK;
BEGIN;
INSERT INTO t VALUES (3, 'small');
SAVEPOINT a;
INSERT INTO t VALUES (4, repeat('y', 8090));
RELEASE a;
SAVEPOINT b;
INSERT INTO t VALUES (5, repeat('y', 8090));
ROLLBACK TO b;
INSERT INTO t VALUES (6, 'small');
COMMIT;
SELECT paysync.emit('default', 'type', '1');
BEGIN;
INSERT INTO t VALUES (7, 'prepared');
PREPARE TRANSACTION 'nothing';
COMMIT PREPARED 'nothing';
TRUNCATE t;
SELECT tools.chunks();
SELECT count(*) AS changes FROM paysync.peek();
-- The lock that says so to create_subscriber() is gone with the transaction.
SELECT count(*) AS locks FROM pg_locks WHERE relation = 'paysync.subscriber'::regclass;
SELECT paysync.create_subscriber('first') IS NOT NULL AS made;
INSERT INTO t VALUES (8, 'kept');
SELECT op, key FROM tools.news();
SELECT tools.chunks();
-- Not in a transaction that has thrown something away already: what it writes behind that would not be kept either. One that has only
-- buffered keeps all of it.
SELECT paysync.drop_subscriber('first');
BEGIN;
INSERT INTO t VALUES (9, repeat('w', 20000));
SELECT tools.attempt($$SELECT paysync.create_subscriber('second')$$);
COMMIT;
BEGIN;
INSERT INTO t VALUES (12, 'buffered');
SELECT paysync.create_subscriber('second') IS NOT NULL AS made;
INSERT INTO t VALUES (10, repeat('b', 20000));
COMMIT;
INSERT INTO t VALUES (11, 'kept');
SELECT op, key FROM tools.news();
SELECT tools.chunks();
