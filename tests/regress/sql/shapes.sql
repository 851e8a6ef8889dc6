-- Each change is decoded by the table's shape at the time it was written; a shape is written down once.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, a text);
SELECT paysync.register('t');
INSERT INTO t VALUES (1, 'one');
ALTER TABLE t ADD COLUMN b int DEFAULT 5;
INSERT INTO t VALUES (2, 'two');
UPDATE t SET a = 'one again' WHERE id = 1;
ALTER TABLE t RENAME COLUMN a TO c;
INSERT INTO t VALUES (3, 'three');
ALTER TABLE t DROP COLUMN c;
INSERT INTO t VALUES (4, 4);
ALTER TABLE t ALTER COLUMN b TYPE numeric(5, 2);
UPDATE t SET b = 6 WHERE id = 4;
ALTER TABLE t RENAME TO t2;
DELETE FROM t2 WHERE id = 4;
ALTER TABLE t2 SET SCHEMA public;
TRUNCATE t2;
ALTER TABLE t2 SET SCHEMA shop;
SELECT tx, table_name, op, key, new FROM tools.news();
-- The key may change too.
ALTER TABLE t2 DROP CONSTRAINT t_pkey, ADD COLUMN k text NOT NULL DEFAULT 'k', ADD PRIMARY KEY (k, id);
INSERT INTO t2 VALUES (5, 5, 'five');
UPDATE t2 SET id = 6;
SELECT tx, table_name, op, key, old, new FROM tools.news();
-- Inside one transaction, before and behind the change of shape.
BEGIN;
INSERT INTO t2 VALUES (7, 7, 'seven');
ALTER TABLE t2 ADD COLUMN d int;
INSERT INTO t2 VALUES (8, 8, 'eight', 8);
SAVEPOINT a;
ALTER TABLE t2 ADD COLUMN e int;
INSERT INTO t2 VALUES (9, 9, 'nine', 9, 9);
ROLLBACK TO a;
INSERT INTO t2 VALUES (10, 10, 'ten', 10);
COMMIT;
SELECT tx, op, key, new FROM tools.news();
\setenv PGDATABASE :DBNAME
-- A shape that was added by what is rolled back is not used afterwards. Another session alters the table, and no event trigger
-- notes it, so that the first to write is the first to meet the shape.
ALTER EVENT TRIGGER "!paysync_ddl" DISABLE;
\! psql -X -q -c 'ALTER TABLE shop.t2 ADD COLUMN f int'
BEGIN;
INSERT INTO t2 VALUES (11, 11, 'eleven', 11, 11);
SAVEPOINT a;
ROLLBACK TO a;
INSERT INTO t2 VALUES (12, 12, 'twelve', 12, 12);
ROLLBACK;
INSERT INTO t2 VALUES (13, 13, 'thirteen', 13, 13);
\! psql -X -q -c 'ALTER TABLE shop.t2 ADD COLUMN g int'
BEGIN;
SAVEPOINT a;
INSERT INTO t2 VALUES (14, 14, 'fourteen', 14, 14, 14);
RELEASE a;
ROLLBACK;
INSERT INTO t2 VALUES (15, 15, 'fifteen', 15, 15, 15);
\! psql -X -q -c 'ALTER TABLE shop.t2 ADD COLUMN h int'
BEGIN;
SAVEPOINT a;
INSERT INTO t2 VALUES (16, 16, 'sixteen', 16, 16, 16, 16);
ROLLBACK TO a;
INSERT INTO t2 VALUES (17, 17, 'seventeen', 17, 17, 17, 17);
COMMIT;
SELECT tx, op, key, new FROM tools.news();
-- Sessions that meet a known shape add none.
SELECT count(*) AS shapes FROM paysync.shapes \gset before_
\! for i in 1 2 3; do psql -X -q -c "INSERT INTO shop.t2 (id, k) VALUES (2$i, 'session')"; done
TRUNCATE t2;
SELECT count(*) - :before_shapes AS added, count(DISTINCT fingerprint) = count(*) AS unique FROM paysync.shapes;
