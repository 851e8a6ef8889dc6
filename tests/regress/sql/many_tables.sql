-- A transaction that names hundreds of tables is captured like any other: its manifest stands in parts of its own.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
SET client_min_messages = warning;
SELECT tools.attempt(format('CREATE TABLE shop.t%s (id int PRIMARY KEY, v text)', n)) AS made, count(*) FROM generate_series(1, 300) AS n GROUP BY 1;
SELECT count(paysync.register(format('shop.t%s', n)::regclass, format('channel %s of a rather long name', n % 100))) FROM generate_series(1, 300) AS n;
DO $$
BEGIN
    FOR n IN 1 .. 300 LOOP
        EXECUTE format('INSERT INTO shop.t%s VALUES (%s, repeat(''v'', %s))', n, n, n % 50);
    END LOOP;
END $$;
SELECT tools.chunks() > 2 AS parts;
SELECT count(*), count(DISTINCT table_name) AS tables, count(DISTINCT channel) AS channels, bool_and((key ->> 'id')::int = (new ->> 'id')::int) AS sound FROM tools.news();
-- Few tables, and a last part that has just no room for the closing record.
DO $$
BEGIN
    FOR size IN 7600 .. 8120 BY 13 LOOP
        INSERT INTO shop.t1 VALUES (1000 + size, repeat('s', size));
        COMMIT;
    END LOOP;
END $$;
SELECT count(*), sum(length(new ->> 'v')) AS sum FROM tools.news();
-- From 20 tables to 120 the manifest outgrows what stands in the closing record.
DO $$
BEGIN
    FOR tables IN 20 .. 120 BY 5 LOOP
        FOR n IN 1 .. tables LOOP
            EXECUTE format('INSERT INTO shop.t%s VALUES (%s, repeat(''v'', 60))', n, 100000 + tables);
        END LOOP;
        COMMIT;
    END LOOP;
END $$;
SELECT max(tx) AS transactions, count(*) FROM tools.news();
DROP SCHEMA shop CASCADE;
