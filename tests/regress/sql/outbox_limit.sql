-- At the outbox's limit capture is suspended, on the record, or writes are refused; below three quarters it goes on.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE other (id int PRIMARY KEY);
CREATE TABLE leaves (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE leaf_1 PARTITION OF leaves FOR VALUES FROM (0) TO (10);
SELECT paysync.register('t'), paysync.register('other', 'money'), paysync.register('leaves', options => '{"partitions": "leaf"}');
CREATE FUNCTION status() RETURNS TABLE (state text, capture text) LANGUAGE sql AS 'SELECT state, capture FROM paysync.status';
CREATE FUNCTION rows_of(first int, count int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO shop.t SELECT n, string_agg(md5((n * i)::text), '') FROM generate_series(first, first + count - 1) AS n, generate_series(1, 1000) AS i GROUP BY n
$$;
CREATE FUNCTION events() RETURNS TABLE (event text, subject text, detail text) LANGUAGE sql AS $$
    SELECT event, subject, regexp_replace(regexp_replace(detail, 'since .*', 'since TIME'), '\d+ kB of', 'SIZE of') FROM paysync.log ORDER BY at
$$;
CREATE FUNCTION gaps() RETURNS TABLE (tx bigint, channel text, table_name text, op text, key jsonb, reason text) LANGUAGE sql AS $$
    SELECT tx, channel, table_name, op, key, CASE WHEN op = 'gap' THEN regexp_replace(new ->> 'reason', 'since .* was not', 'since TIME was not') END FROM tools.news()
$$;
-- Acknowledges all there is, and lets the upkeep be done as often as it takes to empty what can be.
CREATE PROCEDURE take_all() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM paysync.acknowledge((SELECT max(epoch) FROM paysync.epochs), '{reader}', ARRAY[paysync.head_number()], '{true}', ARRAY[revision], '{NULL}')
    FROM paysync.subscriber WHERE name = 'reader';
    COMMIT;
    FOR i IN 1 .. 3 LOOP
        PERFORM paysync.maintain();
        COMMIT;
    END LOOP;
END $$;
SELECT epoch FROM paysync.lead('test');
SELECT * FROM status();
ALTER DATABASE :"DBNAME" SET paysync.outbox_limit = '2MB';
-- Half full: said once.
SELECT rows_of(1, 25);
SELECT paysync.maintain();
SELECT * FROM status();
SELECT paysync.maintain();
SELECT * FROM events();
-- Full: a gap for every shape, also of tables without rows; what is written afterwards is not kept, in the same session and in others.
SELECT rows_of(100, 45);
SELECT paysync.maintain();
SELECT * FROM status();
SELECT hint FROM paysync.status;
SELECT * FROM events();
INSERT INTO t VALUES (200, 'not captured');
SELECT rows_of(201, 10);
INSERT INTO other VALUES (1);
BEGIN;
INSERT INTO t VALUES (250, 'prepared');
PREPARE TRANSACTION 'discards';
SELECT channel, table_name, op, reason, count(key) AS rows FROM gaps() GROUP BY 1, 2, 3, 4, tx ORDER BY tx, 2;
SELECT paysync.maintain();
SELECT * FROM status();
-- Below three quarters: what is written is kept again, but who discarded something must end before the gap can say so.
CALL paysync.next_tick(2, 0, 0, 0);
CALL take_all();
SELECT * FROM status();
SELECT mode FROM paysync.capture_state;
INSERT INTO t VALUES (300, 'kept while it resumes');
SELECT * FROM gaps();
COMMIT PREPARED 'discards';
SELECT paysync.maintain();
SELECT * FROM status();
INSERT INTO t VALUES (301, 'captured again');
SELECT * FROM gaps();
SELECT * FROM events();
SELECT count(*) FROM shop.t WHERE id BETWEEN 200 AND 250;
-- refuse: who would write to the outbox fails, with a full part or at COMMIT; who would not does not.
ALTER DATABASE :"DBNAME" SET paysync.outbox_full = 'refuse';
SELECT rows_of(400, 50);
SELECT paysync.maintain();
SELECT * FROM status();
SELECT hint FROM paysync.status;
INSERT INTO t VALUES (500, 'refused');
\echo :SQLSTATE
BEGIN;
INSERT INTO t VALUES (501, 'refused');
SELECT rows_of(502, 1);
\echo :SQLSTATE
ROLLBACK;
BEGIN;
SAVEPOINT a;
INSERT INTO t SELECT n, repeat('x', 5000) FROM generate_series(510, 511) AS n;
\echo :SQLSTATE
ROLLBACK TO a;
SELECT count(*) FROM t WHERE id >= 500;
COMMIT;
BEGIN;
INSERT INTO t VALUES (520, 'refused');
PREPARE TRANSACTION 'refused';
\echo :SQLSTATE
CREATE TABLE unregistered (id int);
INSERT INTO unregistered VALUES (1);
ALTER TABLE t ADD COLUMN w int;
\echo :SQLSTATE
-- Ticks, acknowledgements and the upkeep are not refused.
SELECT paysync.head_number() AS head \gset
CALL paysync.next_tick(2, 0, 0, 0);
CALL take_all();
SELECT * FROM status();
INSERT INTO t VALUES (530, 'taken again');
SELECT key FROM tools.news() WHERE key = '{"id": 530}';
-- From refusing to suspended, if the setting says so.
SELECT rows_of(600, 50);
SELECT paysync.maintain();
ALTER DATABASE :"DBNAME" SET paysync.outbox_full = 'suspend';
SELECT paysync.maintain();
SELECT * FROM status();
INSERT INTO t VALUES (700, 'not captured');
SELECT paysync.create_subscriber('during') IS NOT NULL AS made;
SELECT paysync.drop_subscriber('during');
-- A higher limit, or none, is as good as a smaller outbox.
ALTER DATABASE :"DBNAME" SET paysync.outbox_limit = 0;
SELECT paysync.maintain();
SELECT * FROM status();
INSERT INTO t VALUES (701, 'captured');
SELECT op, table_name, key FROM gaps() WHERE op = 'gap' OR (key ->> 'id')::int >= 700;
-- Without a subscriber nothing is captured, and nothing is refused; the limit does not outlive the last one.
ALTER DATABASE :"DBNAME" SET paysync.outbox_limit = '1MB';
ALTER DATABASE :"DBNAME" SET paysync.outbox_full = 'refuse';
SELECT paysync.maintain();
SELECT * FROM status();
SELECT paysync.drop_subscriber('reader');
SELECT rows_of(800, 2);
SELECT * FROM status();
SELECT paysync.maintain();
SELECT mode FROM paysync.capture_state;
-- What is kept by the retention alone goes before capture does.
SELECT paysync.create_subscriber('reader') IS NOT NULL AS made;
ALTER DATABASE :"DBNAME" SET paysync.outbox_limit = 0;
ALTER DATABASE :"DBNAME" SET paysync.segment_size = '256kB';
ALTER DATABASE :"DBNAME" SET paysync.retention = '1d';
CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 0 .. 9 LOOP
        PERFORM shop.rows_of(900 + 10 * n, 10);
        COMMIT;
        PERFORM paysync.maintain();
        COMMIT;
    END LOOP;
END $$;
CALL fill();
SELECT paysync.head_number() AS head \gset
CALL paysync.next_tick(2, 0, 0, :head);
CALL take_all();
SELECT * FROM status();
SELECT count(*) FILTER (WHERE state = 'full') > 3 AS kept FROM paysync.segments;
ALTER DATABASE :"DBNAME" SET paysync.outbox_limit = '2MB';
SELECT paysync.maintain();
SELECT * FROM status();
SELECT event, detail FROM paysync.log WHERE event = 'retention_cut';
-- The log is pruned to the newest thousand.
INSERT INTO paysync.log_entry (event) SELECT 'made up' FROM generate_series(1, 1200);
SELECT paysync.maintain();
SELECT count(*) FROM paysync.log;
