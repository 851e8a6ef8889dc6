-- A registered table stands for its partitions and for what inherits from it, now and later, under its own name or under theirs.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE FUNCTION tools.triggers() RETURNS TABLE (relation regclass, ours text) LANGUAGE sql AS $$
    SELECT tgrelid::regclass, string_agg(substr(tgname, 10) || ' ' || tgenabled::text, ', ' ORDER BY tgname) FROM pg_trigger
    WHERE tgfoid = 'paysync.capture()'::regprocedure GROUP BY tgrelid ORDER BY tgrelid::regclass::text
$$;
CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE high PARTITION OF p FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (id);
CREATE TABLE high_1 PARTITION OF high FOR VALUES FROM (10) TO (20);
SELECT paysync.register('p');
SELECT * FROM tools.triggers();
INSERT INTO p VALUES (1, 'low'), (11, 'high');
UPDATE p SET id = 2 WHERE id = 11;
-- A new partition is captured, an empty one that comes or goes is nothing to tell.
CREATE TABLE high_2 PARTITION OF high FOR VALUES FROM (20) TO (30);
INSERT INTO p VALUES (21, 'new');
CREATE TABLE empty (id int NOT NULL, v text);
ALTER TABLE p ATTACH PARTITION empty FOR VALUES FROM (40) TO (50);
ALTER TABLE p DETACH PARTITION empty;
SELECT * FROM tools.news();
-- Rows that come or go with their partition leave a gap; what is detached is no longer captured.
ALTER TABLE high DETACH PARTITION high_2;
INSERT INTO high_2 VALUES (22, 'detached');
SELECT * FROM tools.triggers();
ALTER TABLE high ATTACH PARTITION high_2 FOR VALUES FROM (20) TO (30);
ALTER TABLE high DETACH PARTITION high_2 CONCURRENTLY;
INSERT INTO high_2 VALUES (23, 'detached');
ALTER TABLE high ATTACH PARTITION high_2 FOR VALUES FROM (20) TO (30);
ALTER TABLE p DETACH PARTITION high;
ALTER TABLE p ATTACH PARTITION high FOR VALUES FROM (10) TO (30);
TRUNCATE high_2;
DROP TABLE high_2;
TRUNCATE p;
SELECT * FROM tools.news();
-- Triggers on one partition.
ALTER TABLE low DISABLE TRIGGER "!paysync_row";
SELECT capturing, reason FROM paysync.tables;
ALTER TABLE low ENABLE TRIGGER "!paysync_row";
SELECT capturing, reason FROM paysync.tables;
DROP TRIGGER "!paysync_truncate" ON low;
SELECT capturing, reason FROM paysync.tables;
SELECT paysync.register('p');
ALTER TABLE p DISABLE TRIGGER ALL;
ALTER TABLE p ENABLE TRIGGER ALL;
SELECT * FROM tools.triggers();
SELECT * FROM tools.news();
-- What belongs to a registered table is not registered by itself, nor the other way around.
SELECT paysync.register('low');
\echo :SQLSTATE
SELECT paysync.unregister('low');
SELECT paysync.alter_registration('low', 'x');
CREATE TABLE q (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE q1 PARTITION OF q DEFAULT;
SELECT paysync.register('q1');
SELECT paysync.register('q');
\echo :SQLSTATE
-- By leaf: each under its own name, with its own key.
INSERT INTO p VALUES (1, 'low'), (11, 'high');
SELECT paysync.alter_registration('p', options => '{"partitions": "leaf"}');
UPDATE p SET id = 12 WHERE id = 1;
ALTER TABLE p ADD COLUMN w int DEFAULT 5;
TRUNCATE p;
DROP TABLE low;
SELECT * FROM tools.news();
SELECT paysync.unregister('p');
SELECT * FROM tools.triggers();
-- Inheritance.
CREATE TABLE i (id int PRIMARY KEY, v text);
CREATE TABLE child (extra int) INHERITS (i);
INSERT INTO child VALUES (1, 'early', 1);
SELECT paysync.register('i');
SELECT paysync.register('i', options => '{"partitions": "leaf"}');
INSERT INTO i VALUES (2, 'parent');
INSERT INTO child VALUES (3, 'child', 1);
UPDATE i SET v = v || '!';
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO grandchild VALUES (4, 'grandchild', 1);
CREATE TABLE later (v text, id int NOT NULL);
INSERT INTO later VALUES ('later', 5);
ALTER TABLE later INHERIT i;
ALTER TABLE later NO INHERIT i;
INSERT INTO later VALUES ('out', 6);
ALTER TABLE child ADD COLUMN own text DEFAULT 'own';
ALTER TABLE i RENAME COLUMN v TO value;
DELETE FROM ONLY child;
TRUNCATE child;
SELECT * FROM tools.news();
SELECT * FROM tools.triggers();
-- One that inherits from two, or is registered itself.
CREATE TABLE other (id int PRIMARY KEY, value text);
SELECT paysync.register('other');
ALTER TABLE child INHERIT other;
\echo :SQLSTATE
ALTER TABLE other INHERIT i;
\echo :SQLSTATE
DROP TABLE i CASCADE;
SELECT table_name FROM paysync.tables ORDER BY 1;
SELECT relation::regclass, root::regclass FROM paysync.captured ORDER BY relation::regclass::text;
SELECT * FROM tools.news();
