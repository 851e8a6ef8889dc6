-- A prepared transaction is delivered when it is committed, whole, and leaves nothing behind in the session that prepared it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
BEGIN;
INSERT INTO t VALUES (1, 'one');
SAVEPOINT a;
INSERT INTO t SELECT n, repeat('x', 3000) FROM generate_series(2, 6) AS n;
RELEASE a;
PREPARE TRANSACTION 'kept';
INSERT INTO t VALUES (7, 'meanwhile');
BEGIN;
INSERT INTO t VALUES (8, 'gone');
PREPARE TRANSACTION 'gone';
SELECT op, key, length(new ->> 'v') FROM tools.news();
COMMIT PREPARED 'kept';
ROLLBACK PREPARED 'gone';
SELECT op, key, length(new ->> 'v') FROM tools.news();
-- A shape that is new in a prepared transaction is not there for others yet, not even for the same session. Without the event
-- trigger, which would note it before.
ALTER EVENT TRIGGER "!paysync_ddl" DISABLE;
ALTER TABLE t ADD COLUMN w int;
BEGIN;
INSERT INTO t VALUES (10, 'new shape', 1);
PREPARE TRANSACTION 'shape';
INSERT INTO t VALUES (11, 'new shape too', 2);
SELECT op, key, new FROM tools.news();
ROLLBACK PREPARED 'shape';
INSERT INTO t VALUES (12, 'still', 3);
SELECT op, key, new FROM tools.news();
ALTER TABLE t ADD COLUMN x int;
BEGIN;
INSERT INTO t VALUES (13, 'new shape', 1, 1);
PREPARE TRANSACTION 'shape';
COMMIT PREPARED 'shape';
INSERT INTO t VALUES (14, 'still', 2, 2);
SELECT op, key, new FROM tools.news();
-- Registered and written in one prepared transaction.
BEGIN;
CREATE TABLE u (id int PRIMARY KEY);
SELECT paysync.register('u');
INSERT INTO u VALUES (1);
PREPARE TRANSACTION 'registers';
COMMIT PREPARED 'registers';
INSERT INTO u VALUES (2);
SELECT op, key, new FROM tools.news();
