-- Rule: what is written with paysync.enabled = off is told as one gap a table and transaction, at its place.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE u (id int PRIMARY KEY, v int);
CREATE TABLE once (v int);
SELECT paysync.register('t');
SELECT paysync.register('u');
SELECT paysync.register('once', options => '{"insert_only": true}');
BEGIN;
INSERT INTO t VALUES (1, 1);
SET LOCAL paysync.enabled = off;
INSERT INTO t SELECT i, i FROM generate_series(2, 100) AS i;
UPDATE t SET v = 0;
INSERT INTO u VALUES (1, 1);
DELETE FROM t WHERE id > 50;
SET LOCAL paysync.enabled = on;
UPDATE t SET v = 9 WHERE id = 1;
SET LOCAL paysync.enabled = off;
TRUNCATE t, u;
COMMIT;
SHOW paysync.enabled;
SELECT tx, table_name, op, key, new FROM tools.news();
-- Each transaction tells it again, also by a truncate alone; a table that would refuse the change lets it pass.
SET paysync.enabled = off;
INSERT INTO once VALUES (1);
UPDATE once SET v = 2;
TRUNCATE once;
SELECT tx, table_name, op, new FROM tools.news();
-- A savepoint that is rolled back takes its gap along; what is written after it tells again.
BEGIN;
SAVEPOINT a;
INSERT INTO t VALUES (1, 1);
ROLLBACK TO a;
SELECT tools.rolled_back('INSERT INTO t VALUES (1, 1)');
INSERT INTO t VALUES (1, 1);
SAVEPOINT b;
INSERT INTO t VALUES (2, 1);
RELEASE b;
COMMIT;
BEGIN;
SAVEPOINT a;
INSERT INTO t VALUES (3, 1);
ROLLBACK TO a;
COMMIT;
SELECT tx, table_name, op, new FROM tools.news();
-- Prepared transactions too.
BEGIN;
INSERT INTO t VALUES (4, 1);
PREPARE TRANSACTION 'regress_enabled';
COMMIT PREPARED 'regress_enabled';
INSERT INTO t VALUES (5, 1);
SELECT tx, table_name, op, new FROM tools.news();
RESET paysync.enabled;
-- Partitions that are reported as one table count as one.
CREATE TABLE parts (id int, p int, PRIMARY KEY (id, p)) PARTITION BY LIST (p);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
SELECT paysync.register('parts');
SET paysync.enabled = off;
INSERT INTO parts VALUES (1, 1), (2, 2), (3, 1);
TRUNCATE parts;
RESET paysync.enabled;
SELECT tx, table_name, op, new FROM tools.news();
-- Only superusers switch it.
CREATE ROLE regress_enabled;
SET ROLE regress_enabled;
SET paysync.enabled = off;
RESET ROLE;
DROP ROLE regress_enabled;
