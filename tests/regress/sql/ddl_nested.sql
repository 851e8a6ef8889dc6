-- Rule: what DDL does to rows is told also where it calls functions that catch errors or run DDL themselves, where members differ
-- from their root, and where what changes is a trigger, a view or another session's snapshot.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
-- A rewrite whose expression catches errors, or runs DDL, also both and in savepoints.
CREATE FUNCTION catches(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN ($1::int)::text; EXCEPTION WHEN OTHERS THEN RETURN 'bad'; END $$;
CREATE FUNCTION stable_catches(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN ($1::int)::text; EXCEPTION WHEN OTHERS THEN RETURN 'bad'; END $$;
CREATE FUNCTION runs_ddl(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE IF NOT EXISTS z (i int); RETURN 'x' || $1; END $$;
CREATE FUNCTION alters_another(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'shop.other'::regclass AND attname = 'w') THEN
        ALTER TABLE shop.other ADD COLUMN w float DEFAULT random();
        BEGIN
            ALTER TABLE shop.other ADD COLUMN not_kept float DEFAULT random();
            RAISE 'no';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END IF;
    RETURN 'y' || $1; END $$;
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO t VALUES (1, 'a1'), (2, '2');
INSERT INTO other VALUES (1);
SELECT paysync.register('t'), paysync.register('other');
SELECT count(*) FROM tools.news();
SET client_min_messages = warning;
ALTER TABLE t ALTER COLUMN v TYPE text USING catches(v);
ALTER TABLE t ADD COLUMN a text DEFAULT catches('a' || random());
ALTER TABLE t ADD COLUMN b text GENERATED ALWAYS AS (stable_catches(v)) STORED;
ALTER TABLE t ALTER COLUMN a TYPE text USING runs_ddl(a);
ALTER TABLE t ADD COLUMN c text DEFAULT runs_ddl(random()::text);
SELECT table_name, op, new FROM tools.news();
ALTER TABLE t DROP COLUMN b;
ALTER TABLE t ALTER COLUMN v TYPE text USING alters_another(v);
SELECT table_name, op, new FROM tools.news();
BEGIN;
SAVEPOINT a;
ALTER TABLE t ALTER COLUMN v TYPE text USING catches(v);
RELEASE a;
SAVEPOINT b;
ALTER TABLE other ALTER COLUMN id TYPE bigint;
ROLLBACK TO b;
ALTER TABLE other ALTER COLUMN w SET STATISTICS 1;
COMMIT;
-- What it runs reaches the same table, and is rolled back, or not.
CREATE TYPE mood AS ENUM ('a');
CREATE FUNCTION reaches_it(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    BEGIN
        ALTER TYPE shop.mood RENAME TO moods;
        RAISE 'no';
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    RETURN 'z' || $1; END $$;
CREATE FUNCTION renames_it(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    IF to_regtype('shop.mood') IS NOT NULL THEN
        ALTER TYPE shop.mood RENAME TO moods;
    END IF;
    RETURN 'z' || $1; END $$;
CREATE TABLE holds (id int PRIMARY KEY, v text, m mood);
INSERT INTO holds VALUES (1, 'a'), (2, 'b');
SELECT paysync.register('holds');
SELECT table_name, op, new FROM tools.news();
ALTER TABLE holds ALTER COLUMN v TYPE text USING reaches_it(v);
ALTER TABLE holds ALTER COLUMN v TYPE text USING renames_it(v);
SELECT table_name, op, new FROM tools.news();
-- What failed leaves no note that a later command would be taken for.
DO $$ BEGIN
    BEGIN
        ALTER TABLE shop.t ALTER COLUMN v TYPE int USING (shop.catches(v) || 'not a number')::int;
    EXCEPTION WHEN invalid_text_representation THEN NULL;
    END;
    ALTER TABLE shop.t ALTER COLUMN v SET STATISTICS 1;
END $$;
SELECT table_name, op, new FROM tools.news();
RESET client_min_messages;

-- A parent gets a column that a child had before: the child's values are its own.
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (c int, d int DEFAULT 5, e int, PRIMARY KEY (id)) INHERITS (parent);
CREATE TABLE childless (PRIMARY KEY (id)) INHERITS (parent);
SELECT paysync.register('parent');
SET client_min_messages = warning;
ALTER TABLE parent ADD COLUMN e int;
INSERT INTO childless VALUES (2, 'y');
INSERT INTO child VALUES (1, 'x', 7, 6, 3);
ALTER TABLE parent ADD COLUMN c int;
ALTER TABLE parent ADD COLUMN d int DEFAULT 5;
ALTER TABLE parent ADD COLUMN f int;
RESET client_min_messages;
SELECT op, new FROM tools.news() WHERE op <> 'insert';

-- Our trigger made anew in another form.
CREATE OR REPLACE TRIGGER "!paysync_row" AFTER INSERT ON t FOR EACH ROW WHEN (new.id > 10) EXECUTE FUNCTION paysync.capture();
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.t';
ALTER TABLE t ENABLE ALWAYS TRIGGER "!paysync_row";
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.t';
SELECT table_name, op, new FROM tools.news();
SELECT paysync.alter_registration('t', old_values => 'full');
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.t';
CREATE OR REPLACE TRIGGER "!paysync_row" AFTER INSERT OR DELETE OR UPDATE OF v ON t FOR EACH ROW EXECUTE FUNCTION paysync.capture();
ALTER TABLE t ENABLE ALWAYS TRIGGER "!paysync_row";
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.t';
SELECT paysync.register('t');
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.t';
SELECT table_name, op, new FROM tools.news();
-- A trigger after each row that sorts before ours.
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE early (id int PRIMARY KEY);
CREATE TRIGGER "!a" AFTER DELETE ON early FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT paysync.register('early');
\echo :SQLSTATE
ALTER TRIGGER "!a" ON early RENAME TO a;
CREATE TRIGGER "!b" BEFORE TRUNCATE ON early EXECUTE FUNCTION nothing();
CREATE TRIGGER "!c" AFTER INSERT ON early EXECUTE FUNCTION nothing();
CREATE TRIGGER "!d" BEFORE INSERT ON early FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
DROP TRIGGER "!d" ON early;
SELECT paysync.register('early');
CREATE TRIGGER "!e" AFTER INSERT ON early FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.early';
DROP TRIGGER "!e" ON early;
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.early';
ALTER TRIGGER a ON early RENAME TO "!a";
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.early';
ALTER TRIGGER "!a" ON early RENAME TO z;
CREATE CONSTRAINT TRIGGER "!z" AFTER INSERT ON early DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE CONSTRAINT TRIGGER "!f" AFTER INSERT ON early DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.early';
SELECT table_name, op, new FROM tools.news();
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
SELECT paysync.register('parts');
CREATE TABLE part_1 (id int NOT NULL);
CREATE TRIGGER "!a" AFTER DELETE ON part_1 FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER TABLE parts ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (10);
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.parts';
SELECT table_name, op, new FROM tools.news();

-- A view whose row type a column has, made anew with more columns.
CREATE VIEW seen AS SELECT 1 AS i;
CREATE TABLE holds_rows (id int PRIMARY KEY, r seen, many seen[]);
CREATE TABLE holds_none (id int PRIMARY KEY, r seen);
INSERT INTO holds_rows VALUES (1, ROW(5));
SELECT paysync.register('holds_rows'), paysync.register('holds_none');
SELECT count(*) FROM tools.news();
CREATE OR REPLACE VIEW seen AS SELECT 1 AS i, 2 AS j;
CREATE OR REPLACE VIEW another AS SELECT 1 AS i;
SELECT table_name, op, new FROM tools.news();

-- A tree with a registered member below is not taken in.
CREATE TABLE top (id int PRIMARY KEY);
CREATE TABLE mid (id int PRIMARY KEY);
CREATE TABLE low (PRIMARY KEY (id)) INHERITS (mid);
SELECT paysync.register('top'), paysync.register('low');
ALTER TABLE mid INHERIT top;
\echo :SQLSTATE
SELECT paysync.unregister('low');
ALTER TABLE mid INHERIT top;
INSERT INTO low VALUES (1);
SELECT table_name, op, new FROM tools.news();

-- Registered in another session after this one's snapshot was taken, then dropped.
\setenv PGDATABASE :DBNAME
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 AS taken FROM paysync.tables;
\! psql -X -q -c 'CREATE TABLE shop.newer (id int PRIMARY KEY)' -c "SELECT paysync.register('shop.newer')" -c 'INSERT INTO shop.newer VALUES (1)' > /dev/null
\set VERBOSITY sqlstate
DROP TABLE newer;
\set VERBOSITY default
ROLLBACK;
SELECT tools.attempt('DROP TABLE shop.newer');
SELECT table_name, op, new FROM tools.news();
SELECT count(*) FROM paysync.captured AS c WHERE NOT EXISTS (SELECT FROM pg_class AS k WHERE k.oid = c.relation);

-- How names are printed is no change of the tables.
SET quote_all_identifiers = on;
SELECT paysync.maintain();
ALTER TABLE other ALTER COLUMN w SET STATISTICS 2;
SELECT bool_and(capturing) FROM paysync.tables WHERE table_name LIKE '%holds_%';
RESET quote_all_identifiers;
SELECT paysync.maintain();
SELECT table_name, op, new FROM tools.news();

-- A table without columns gets some, and loses them.
CREATE TABLE bare (a int);
ALTER TABLE bare DROP COLUMN a;
SELECT paysync.register('bare', old_values => 'none');
INSERT INTO bare DEFAULT VALUES;
ALTER TABLE bare ADD COLUMN b int DEFAULT 3;
INSERT INTO bare VALUES (4);
ALTER TABLE bare DROP COLUMN b;
SELECT op, new FROM tools.news();
