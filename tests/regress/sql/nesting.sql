-- The library may be loaded anywhere: in a savepoint of a savepoint of the session's first transaction.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
\c - - - -
SET search_path = shop, public;
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
INSERT INTO t VALUES (1, 'level 3');
RELEASE b;
INSERT INTO t VALUES (2, 'level 2');
SAVEPOINT c;
INSERT INTO t VALUES (3, 'level 3 again');
ROLLBACK TO c;
RELEASE a;
INSERT INTO t VALUES (4, 'level 1');
COMMIT;
SELECT op, key, new FROM tools.news();
\c - - - -
SET search_path = shop, public;
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
INSERT INTO t SELECT n, repeat('x', 3000) FROM generate_series(11, 16) AS n;
ROLLBACK TO b;
ROLLBACK TO a;
INSERT INTO t VALUES (17, 'level 2');
COMMIT;
SELECT op, key, new FROM tools.news();
-- And in a block of a function.
\c - - - -
SET search_path = shop, public;
DO $$
BEGIN
    BEGIN
        BEGIN
            INSERT INTO shop.t VALUES (20, 'kept');
            INSERT INTO shop.t VALUES (20, 'double');
        EXCEPTION WHEN unique_violation THEN
            INSERT INTO shop.t VALUES (21, 'caught');
        END;
        INSERT INTO shop.t VALUES (21, 'double');
    EXCEPTION WHEN unique_violation THEN
        INSERT INTO shop.t VALUES (22, 'caught outside');
    END;
END $$;
SELECT op, key, new FROM tools.news();
-- A session that knows nothing yet can do what the relay does regularly.
\c - - - -
SELECT paysync.maintain();
\c - - - -
CALL paysync.next_tick(1, 0, 0, 0);
SELECT count(*) FROM paysync.peek() WHERE "position" IS NOT NULL;
