-- Rule: with skip_unchanged an update in which no column that is sent changed is left out, and no other.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, sent numeric, kept text, doc jsonb, big text);
SELECT paysync.register('t', columns => '{id, sent, doc, big}', options => '{"skip_unchanged": true}');
INSERT INTO t VALUES (1, 1.0, 'x', '{"a": 1}', repeat('long ', 20000)), (2, NULL, 'x', NULL, NULL);
UPDATE t SET kept = 'y';
UPDATE t SET sent = sent, doc = '{"a":1}', big = big || '' WHERE id = 1;
UPDATE t SET sent = 1.00 WHERE id = 1;
UPDATE t SET sent = NULL WHERE id = 2;
UPDATE t SET sent = 0 WHERE id = 2;
UPDATE t SET sent = NULL, kept = 'z' WHERE id = 2;
UPDATE t SET id = 3 WHERE id = 2;
DELETE FROM t WHERE id = 3;
SELECT tx, op, key, old, new - 'big' AS new, length(new ->> 'big') AS big FROM tools.news();
-- What is left out leaves no transaction behind.
UPDATE t SET kept = 'z';
SELECT count(*) FROM tools.news();
-- With a filter: entering and leaving is told, also where no column that is sent changed.
SELECT paysync.alter_registration('t', row_filter => 'kept = ''z''');
SELECT op FROM tools.news();
UPDATE t SET kept = 'a';
UPDATE t SET kept = 'b';
UPDATE t SET kept = 'z';
UPDATE t SET kept = 'z';
SELECT op, key, old, new - 'big' AS new FROM tools.news();
-- Without it, every update is told.
SELECT paysync.alter_registration('t', row_filter => '', options => '{"skip_unchanged": false}');
SELECT count(*) > 0 AS gap FROM tools.news();
UPDATE t SET kept = 'c';
SELECT op, key, old FROM tools.news();
-- Later rows of a statement are in their place where a trigger changed them first and ours was left out.
SELECT paysync.alter_registration('t', options => '{"skip_unchanged": true}');
CREATE FUNCTION next_too() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE t SET sent = sent + 1 WHERE id = new.id + 1 AND pg_trigger_depth() < 2;
    RETURN NULL;
END $$;
CREATE TRIGGER next_too AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION next_too();
DELETE FROM t;
INSERT INTO t SELECT i, i, 'x' FROM generate_series(10, 20) AS i;
UPDATE t SET kept = 'y', sent = CASE WHEN id % 2 = 0 THEN sent ELSE sent * 10 END;
CREATE TABLE replica.t (id int PRIMARY KEY, sent numeric, doc jsonb, big text);
CREATE TEMP TABLE wanted AS SELECT id, sent FROM t;
CALL tools.replay();
SELECT count(*), bool_and(w.sent = r.sent) AS equal FROM wanted AS w FULL JOIN replica.t AS r USING (id);
