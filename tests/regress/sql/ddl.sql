-- What DDL does to a registered table is told in the DDL's own transaction: an alter where that is enough, else a gap.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, a text, b varchar(10), at timestamp);
INSERT INTO t VALUES (1, 'one', 'b', '2026-01-01');
SELECT paysync.register('t', old_values => 'none');
SELECT op, new FROM tools.news();
-- Alters.
ALTER TABLE t ADD COLUMN c int, ADD COLUMN d int NOT NULL DEFAULT 5;
ALTER TABLE t ALTER COLUMN b TYPE text;
ALTER TABLE t ALTER COLUMN b TYPE varchar;
ALTER TABLE t RENAME COLUMN a TO e;
ALTER TABLE t DROP COLUMN c;
ALTER TABLE t DROP CONSTRAINT t_pkey;
ALTER TABLE t ADD PRIMARY KEY (id);
ALTER TABLE t RENAME TO u;
ALTER TABLE u RENAME TO t;
-- Nothing.
ALTER TABLE t ADD CHECK (d > 0), ALTER COLUMN d SET STATISTICS 10, ALTER COLUMN d DROP DEFAULT;
CREATE INDEX ON t (d);
CREATE UNIQUE INDEX ON t (d);
ALTER TABLE t SET (fillfactor = 90);
CREATE TRIGGER other AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
DROP TRIGGER other ON t;
VACUUM FULL t;
CLUSTER t USING t_pkey;
SELECT op, new FROM tools.news();
-- Alters with a gap.
ALTER TABLE t ADD COLUMN f float DEFAULT random();
ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (d * 2) STORED, ADD COLUMN h serial;
ALTER TABLE t ALTER COLUMN at TYPE timestamptz;
ALTER TABLE t ALTER COLUMN d TYPE bigint, DROP COLUMN f, DROP COLUMN g;
ALTER TABLE t ALTER COLUMN e TYPE text USING upper(e);
-- One type to the server, which rewrites nothing, but printed in another way.
ALTER TABLE t ADD COLUMN o int;
ALTER TABLE t ALTER COLUMN o TYPE oid;
ALTER TABLE t DROP COLUMN o;
ALTER TABLE t SET UNLOGGED;
SELECT capturing, reason FROM paysync.tables;
INSERT INTO t (id, d) VALUES (2, 5);
ALTER TABLE t SET LOGGED;
SELECT op, new FROM tools.news();
-- Without rows there is nothing that could differ.
CREATE TABLE empty (id int PRIMARY KEY, v text);
SELECT paysync.register('empty');
ALTER TABLE empty ADD COLUMN f float DEFAULT random();
ALTER TABLE empty ALTER COLUMN v TYPE int USING v::int;
SELECT op, new FROM tools.news();
-- In savepoints, blocks and functions; what is rolled back was never there.
BEGIN;
SAVEPOINT a;
ALTER TABLE t ADD COLUMN rolled_back int DEFAULT random();
ROLLBACK TO a;
DO $$ BEGIN
    ALTER TABLE shop.t ADD COLUMN kept int;
    BEGIN
        ALTER TABLE shop.t ADD COLUMN not_kept int DEFAULT random();
        RAISE 'no';
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
END $$;
ALTER TABLE t RENAME COLUMN kept TO kept_too;
COMMIT;
BEGIN;
ALTER TABLE t DROP COLUMN kept_too;
ROLLBACK;
BEGIN;
SAVEPOINT a;
ALTER TABLE t ALTER COLUMN e TYPE int USING e::int;
ROLLBACK TO a;
ALTER TABLE t ALTER COLUMN e SET STATISTICS 20;
COMMIT;
CREATE FUNCTION tools.alter_t() RETURNS void LANGUAGE sql AS 'ALTER TABLE shop.t DROP COLUMN kept_too';
SELECT tools.alter_t();
SELECT op, new FROM tools.news();
-- Types that columns hold: their labels and attributes.
CREATE TYPE mood AS ENUM ('sad', 'fine');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN pairs AS pair[];
CREATE TYPE of_pairs AS (all_of_them pairs);
CREATE TYPE mood_range AS RANGE (SUBTYPE = mood);
CREATE TABLE holds_moods (id int PRIMARY KEY, m mood_multirange);
CREATE TABLE holds_pairs (id int PRIMARY KEY, p of_pairs);
CREATE TABLE holds_pair (id int PRIMARY KEY, p pair, q int);
INSERT INTO holds_moods VALUES (1, '{[sad,fine]}');
INSERT INTO holds_pairs VALUES (1);
INSERT INTO holds_pair VALUES (1);
SELECT paysync.register('holds_moods'), paysync.register('holds_pairs'), paysync.register('holds_pair', columns => '{id,q}');
SELECT table_name, op, new FROM tools.news();
ALTER TYPE mood ADD VALUE 'happy';
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
ALTER TYPE pair RENAME ATTRIBUTE x TO z;
ALTER TYPE pair ADD ATTRIBUTE w int;
ALTER TYPE pair DROP ATTRIBUTE w;
ALTER TYPE mood RENAME TO feeling;
ALTER TYPE mood_multirange RENAME TO feelings;
SELECT table_name, op, new FROM tools.news();
-- A column that goes with its type, a schema that is renamed, a table of a type.
DROP TYPE of_pairs CASCADE;
CREATE SCHEMA old_name;
ALTER TABLE holds_pairs SET SCHEMA old_name;
ALTER SCHEMA old_name RENAME TO new_name;
CREATE TYPE of_type AS (id int, v text);
CREATE TABLE typed OF of_type (PRIMARY KEY (id));
SELECT paysync.register('typed');
ALTER TYPE of_type ADD ATTRIBUTE w int CASCADE;
SELECT table_name, op, new FROM tools.news();
-- Our triggers.
ALTER TRIGGER "!paysync_row" ON typed RENAME TO mine;
ALTER TRIGGER mine ON typed RENAME TO "!paysync_row";
ALTER TABLE typed ENABLE REPLICA TRIGGER "!paysync_row";
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'typed'::regclass ORDER BY 1;
DROP TRIGGER "!paysync_row" ON typed;
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.typed';
SELECT paysync.alter_registration('typed', old_values => 'none');
SELECT table_name, op, new FROM tools.news();
-- Dropped: the last word.
DROP TABLE typed;
DROP SCHEMA new_name CASCADE;
SELECT table_name, op, new FROM tools.news();
SELECT table_name FROM paysync.tables ORDER BY 1;
-- Lists follow names; what is new is sent or withheld.
CREATE TABLE listed (id int, a text NOT NULL UNIQUE, b text, PRIMARY KEY (id));
SELECT paysync.register('listed', columns => '{a,b}', key_columns => '{a}', masks => '{"b": "null"}', new_columns => 'include');
ALTER TABLE listed RENAME COLUMN a TO c;
ALTER TABLE listed RENAME COLUMN b TO a;
ALTER TABLE listed ADD COLUMN d int;
SELECT columns, masks, key_columns, new_columns FROM paysync.tables WHERE table_name = 'shop.listed';
SELECT paysync.alter_registration('listed', new_columns => 'withhold');
ALTER TABLE listed ADD COLUMN e int, DROP COLUMN a;
SELECT columns, masks, key_columns, new_columns FROM paysync.tables WHERE table_name = 'shop.listed';
DROP INDEX listed_a_key;
ALTER TABLE listed DROP CONSTRAINT listed_a_key;
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.listed';
CREATE UNIQUE INDEX by_c ON listed (c);
SELECT capturing, reason FROM paysync.tables WHERE table_name = 'shop.listed';
DROP INDEX by_c;
ALTER TABLE listed DROP COLUMN c;
SELECT columns, masks, key_columns, new_columns FROM paysync.tables WHERE table_name = 'shop.listed';
SELECT table_name, op, new FROM tools.news();
-- What a row filter uses stays as it is.
CREATE FUNCTION shop.is_euro(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 = ''EUR''; END';
CREATE TABLE filtered (id int PRIMARY KEY, currency varchar(3), other text);
SELECT paysync.register('filtered', row_filter => 'is_euro(currency)');
ALTER TABLE filtered RENAME COLUMN currency TO c;
\echo :SQLSTATE
ALTER TABLE filtered DROP COLUMN currency;
ALTER TABLE filtered ALTER COLUMN currency TYPE varchar(4);
ALTER TABLE filtered RENAME COLUMN other TO o;
ALTER TABLE filtered RENAME TO sieved;
DROP FUNCTION is_euro;
\echo :SQLSTATE
ALTER FUNCTION is_euro RENAME TO is_eur;
CREATE OR REPLACE FUNCTION shop.is_euro(text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN $1 = ''EUR''; END';
SELECT row_filter FROM paysync.tables WHERE table_name = 'shop.sieved';
SELECT paysync.alter_registration('sieved', row_filter => '');
DROP FUNCTION is_euro;
-- A registration that a transaction's snapshot does not see yet.
\setenv PGDATABASE :DBNAME
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM paysync.tables;
\! psql -X -q -c 'CREATE TABLE shop.fresh (id int PRIMARY KEY)' -c "SELECT paysync.register('shop.fresh')" > /dev/null
ALTER TABLE fresh ADD COLUMN v int;
\echo :SQLSTATE
ROLLBACK;
-- What nobody saw is found later.
ALTER EVENT TRIGGER "!paysync_ddl" DISABLE;
ALTER TABLE t DROP COLUMN e;
ALTER TABLE fresh ADD COLUMN v int;
ALTER EVENT TRIGGER "!paysync_ddl" ENABLE ALWAYS;
SELECT table_name, capturing, reason FROM paysync.tables WHERE NOT capturing ORDER BY 1;
SELECT tools.news() IS NULL AS seen LIMIT 0;
SELECT paysync.maintain();
SELECT paysync.maintain();
SELECT table_name, op, new FROM tools.news() WHERE table_name IN ('shop.t', 'shop.fresh');
SELECT bool_and(capturing) FROM paysync.tables WHERE table_name NOT IN ('shop.holds_pair', 'shop.listed');
