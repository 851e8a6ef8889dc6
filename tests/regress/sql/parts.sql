-- Rule: rows of partitions and of inheriting tables are told as the registered table's, moved ones as delete and insert in order; a truncate of a part is a gap.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
-- Columns in other places, dropped ones between them, partitions of partitions.
CREATE TABLE r (gone int, id int, part text, amount numeric, hidden text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE r_a PARTITION OF r FOR VALUES IN ('a');
CREATE TABLE r_b (hidden text, amount numeric, junk int, part text NOT NULL, gone int, id int NOT NULL);
ALTER TABLE r_b DROP COLUMN junk;
ALTER TABLE r ATTACH PARTITION r_b FOR VALUES IN ('b');
CREATE TABLE r_c PARTITION OF r FOR VALUES IN ('c', 'd') PARTITION BY LIST (part);
CREATE TABLE r_c_c PARTITION OF r_c FOR VALUES IN ('c');
CREATE TABLE r_c_d PARTITION OF r_c FOR VALUES IN ('d');
ALTER TABLE r DROP COLUMN gone;
SELECT paysync.register('r', columns => '{id, part, amount}', old_values => 'changed', row_filter => 'hidden IS DISTINCT FROM ''yes''');
SELECT DISTINCT paysync.note_shape(t) = paysync.note_shape('r') AS same_shape FROM unnest('{r_a,r_b,r_c,r_c_c,r_c_d}'::regclass[]) AS t;
INSERT INTO r (id, part, amount) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4);
INSERT INTO r_b (id, part, amount, hidden) VALUES (5, 'b', 5, 'no'), (6, 'b', 6, 'yes');
UPDATE r SET amount = amount + 1, hidden = CASE id WHEN 6 THEN 'no' WHEN 5 THEN 'yes' END WHERE id > 1;
UPDATE r SET part = 'b' WHERE id = 1;
UPDATE r_c SET part = 'd' WHERE id = 3;
DELETE FROM r WHERE id = 2;
SELECT tx, table_name, op, key, old, new FROM tools.news();

-- Many moved in one statement, with a trigger that moves and changes others meanwhile.
CREATE FUNCTION stir() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        UPDATE r SET amount = amount * 2 WHERE id = new.id + 1;
        UPDATE r SET part = CASE part WHEN 'a' THEN 'd' ELSE 'a' END, amount = amount + 1 WHERE id = new.id + 2;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stir AFTER INSERT OR UPDATE ON r FOR EACH ROW EXECUTE FUNCTION stir();
DELETE FROM r;
INSERT INTO r (id, part, amount) SELECT i, substr('abcd', 1 + i % 4, 1), i FROM generate_series(1, 60) AS i;
UPDATE r SET part = CASE part WHEN 'a' THEN 'b' WHEN 'b' THEN 'c' ELSE 'a' END WHERE id % 3 <> 0;
UPDATE r SET part = 'd', id = id + 1000 WHERE part = 'a';
DELETE FROM r WHERE part = 'd' AND id % 2 = 0;
CREATE TABLE replica.r (id int, part text, amount numeric, PRIMARY KEY (id, part));
CREATE VIEW sent AS SELECT id, part, amount FROM r;
CREATE VIEW replica.sent AS SELECT * FROM replica.r;
CALL tools.replay();
SELECT tools.compare('sent');
DROP TRIGGER stir ON r;
SELECT count(*) > 0 AS news FROM tools.news();

-- Truncates.
TRUNCATE r_b;
TRUNCATE r_c;
TRUNCATE r;
BEGIN;
TRUNCATE r;
TRUNCATE r_a;
TRUNCATE r_c_d, r_c;
TRUNCATE r;
SAVEPOINT s;
TRUNCATE r_a;
ROLLBACK TO s;
TRUNCATE r_b;
COMMIT;
SELECT tx, table_name, op, new FROM tools.news();

-- Told under their own names.
SELECT paysync.unregister('r');
SELECT count(*) > 0 AS news FROM tools.news();
SELECT paysync.register('r', columns => '{id, part, amount}', options => '{"partitions": "leaf"}');
INSERT INTO r (id, part, amount) VALUES (1, 'a', 1), (2, 'b', 2);
UPDATE r SET part = 'c' WHERE id = 1;
TRUNCATE r;
TRUNCATE r_c_c;
SELECT tx, table_name, op, key, old, new FROM tools.news();

-- Inheritance: TRUNCATE ONLY leaves rows of those that inherit.
CREATE TABLE h (id int PRIMARY KEY, x int);
CREATE TABLE h_1 (y int, PRIMARY KEY (id)) INHERITS (h);
CREATE TABLE h_2 (x int, id int NOT NULL) INHERITS (h_1);
SELECT paysync.register('h');
INSERT INTO h VALUES (1, 1);
INSERT INTO h_1 (id, x, y) VALUES (2, 2, 2);
INSERT INTO h_2 (id, x, y) VALUES (3, 3, 3);
UPDATE h SET x = -x;
DELETE FROM h WHERE id = 2;
TRUNCATE h;
INSERT INTO h_2 (id, x, y) VALUES (3, 3, 3);
TRUNCATE ONLY h;
TRUNCATE h_1;
TRUNCATE ONLY h;
TRUNCATE ONLY h, ONLY h_1, ONLY h_2;
BEGIN;
LOCK TABLE h;
TRUNCATE ONLY h;
COMMIT;
SELECT tx, table_name, op, key, old, new FROM tools.news();
