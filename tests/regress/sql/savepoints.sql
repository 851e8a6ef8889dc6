-- What a savepoint captured stays or goes with it, in its place, also where parts of it were already written to the outbox.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
CALL tools.copy_tables('t');
-- Rolled back and released, one inside the other.
BEGIN;
INSERT INTO t VALUES (1, 'kept');
SAVEPOINT a;
INSERT INTO t VALUES (2, 'gone');
ROLLBACK TO a;
INSERT INTO t VALUES (3, 'after');
SAVEPOINT b;
INSERT INTO t VALUES (4, 'inner');
SAVEPOINT c;
INSERT INTO t VALUES (5, 'gone too');
RELEASE c;
ROLLBACK TO b;
SAVEPOINT d;
SAVEPOINT e;
INSERT INTO t VALUES (6, 'deep');
RELEASE e;
INSERT INTO t VALUES (7, 'between');
RELEASE d;
COMMIT;
SELECT * FROM tools.news();
-- Only savepoints captured anything; one is open at the commit.
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
SAVEPOINT c;
INSERT INTO t VALUES (10, 'third level');
RELEASE b;
UPDATE t SET v = 'first level' WHERE id = 10;
SAVEPOINT d;
UPDATE t SET v = 'open at the end' WHERE id = 10;
COMMIT;
SELECT * FROM tools.news();
-- All of it rolled back: no transaction.
BEGIN;
SAVEPOINT a;
INSERT INTO t VALUES (11, repeat('x', 30000));
ROLLBACK TO a;
COMMIT;
SELECT * FROM tools.news();
SELECT tools.chunks();
-- A savepoint of several chunks is rolled back: its parts are gone, the numbers have holes, the rest follows.
BEGIN;
INSERT INTO t VALUES (20, 'before');
SAVEPOINT a;
INSERT INTO t SELECT n, repeat('x', 3000) FROM generate_series(21, 30) AS n;
ROLLBACK TO a;
INSERT INTO t VALUES (31, 'after');
COMMIT;
SELECT tx, op, key, new FROM tools.news();
-- One of several chunks is released: between what the parent had before and gets after.
BEGIN;
INSERT INTO t VALUES (40, 'before');
SAVEPOINT a;
INSERT INTO t SELECT n, repeat('y', 3000) FROM generate_series(41, 45) AS n;
RELEASE a;
INSERT INTO t VALUES (46, 'after');
SAVEPOINT b;
INSERT INTO t VALUES (47, 'small');
RELEASE b;
INSERT INTO t VALUES (48, 'last');
COMMIT;
SELECT op, key, left(new ->> 'v', 6) AS v, length(new ->> 'v') FROM tools.news();
-- Parts that just fit together and just do not, in parent and child; each row is seen again by the next.
CREATE FUNCTION fit(first int, before int, inside int, after int, keep boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shop.t VALUES (first, repeat('b', before));
    BEGIN
        INSERT INTO shop.t VALUES (first + 1, repeat('i', inside));
        UPDATE shop.t SET v = v || '+' WHERE id = first;
        IF NOT keep THEN
            RAISE SQLSTATE 'ZZ001';
        END IF;
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        NULL;
    END;
    INSERT INTO shop.t VALUES (first + 2, repeat('a', after));
END $$;
CREATE SEQUENCE numbers START 1000 INCREMENT 4;
SELECT count(fit(nextval('numbers')::int, before, inside, inside % 700, keep))
FROM generate_series(1, 8200, 1025) AS before, generate_series(7, 24500, 2711) AS inside, (VALUES (true), (false)) AS k (keep);
SELECT count(*) > 300 AS many, max(tx) AS transactions FROM tools.news();
-- The same in a transaction each, around the edge where two parts just fit into one.
DO $$
DECLARE
    b int;
    i int;
    keep boolean;
BEGIN
    FOREACH b IN ARRAY '{0,4000,8060,8070,8080,8090,8110}'::int[] LOOP
        FOREACH i IN ARRAY '{0,20,4020,8060,8080,8100,16200}'::int[] LOOP
            FOREACH keep IN ARRAY '{true,false}'::boolean[] LOOP
                PERFORM shop.fit(nextval('shop.numbers')::int, b, i, 8100 - b % 8100, keep);
                COMMIT;
            END LOOP;
        END LOOP;
    END LOOP;
END $$;
SELECT max(tx) AS transactions FROM tools.news();
-- Blocks that catch errors, in loops: of 300 some fail late, with much written.
DO $$
BEGIN
    FOR n IN 1 .. 300 LOOP
        BEGIN
            INSERT INTO shop.t VALUES (1000000 + n, repeat('z', n * 53 % 9000));
            IF n % 3 = 0 THEN
                UPDATE shop.t SET v = repeat('w', n * 31 % 20000) WHERE id = 1000000 + n - 1;
                PERFORM 1 / (n % 2);
            END IF;
        EXCEPTION WHEN division_by_zero THEN
            INSERT INTO shop.t VALUES (2000000 + n, 'caught');
        END;
    END LOOP;
END $$;
-- Savepoints of 40 levels, some rolled back from inside.
CREATE FUNCTION dive(depth int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shop.t VALUES (3000000 + depth, repeat('d', depth * 97 % 3000));
    IF depth < 40 THEN
        BEGIN
            PERFORM shop.dive(depth + 1);
            IF depth % 7 = 0 THEN
                RAISE SQLSTATE 'ZZ001';
            END IF;
        EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
            NULL;
        END;
    END IF;
    INSERT INTO shop.t VALUES (4000000 + depth, repeat('u', depth * 89 % 2500));
END $$;
SELECT dive(1);
-- An error that ends a statement, then ROLLBACK TO.
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO t VALUES (5000000, 'a');
INSERT INTO t SELECT 5000001 + n, repeat('e', 5000) FROM generate_series(0, 9) AS n UNION ALL SELECT 5000000, 'double';
INSERT INTO t VALUES (5000001, 'b');
COMMIT;
\set ON_ERROR_ROLLBACK off
-- Blocks that fail inside savepoints that are rolled back.
BEGIN;
SAVEPOINT one;
INSERT INTO t VALUES (6000000, 'one');
SAVEPOINT two;
SELECT tools.rolled_back($$INSERT INTO shop.t VALUES (6000001, repeat('r', 20000))$$);
INSERT INTO t VALUES (6000002, 'two');
ROLLBACK TO one;
SELECT tools.rolled_back($$INSERT INTO shop.t VALUES (6000003, 'r')$$);
INSERT INTO t VALUES (6000004, 'three');
COMMIT;
-- What the stream says is what the table holds.
CALL tools.replay();
SELECT tools.compare('t');
