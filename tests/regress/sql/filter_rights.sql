-- Rule: a row filter means what it meant and nothing in it ever runs with more rights than its table's owner has; DDL that does not
-- touch it writes nothing.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_filter_owner, regress_filter_other;
RESET client_min_messages;
CREATE ROLE regress_filter_owner;
CREATE ROLE regress_filter_other;
GRANT USAGE ON SCHEMA paysync TO regress_filter_owner;
GRANT EXECUTE ON FUNCTION paysync.register, paysync.alter_registration TO regress_filter_owner;
CREATE SCHEMA mal AUTHORIZATION regress_filter_owner;
CREATE SCHEMA others AUTHORIZATION regress_filter_other;
GRANT USAGE ON SCHEMA tools TO regress_filter_owner, regress_filter_other;
-- Constants of a type run their domain's check as soon as they are read: as the owner, and barred from what outlives the call.
CREATE TABLE tools.ran (who name, is_superuser boolean);
GRANT INSERT ON tools.ran TO PUBLIC;
SET ROLE regress_filter_owner;
CREATE FUNCTION mal.x(int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    is_superuser CONSTANT boolean := (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user);
BEGIN
    INSERT INTO tools.ran VALUES (current_user, is_superuser);
    IF is_superuser THEN
        ALTER ROLE regress_filter_owner SUPERUSER;
    END IF;
    RETURN true;
END $$;
CREATE DOMAIN mal.d AS int CHECK (mal.x(VALUE));
CREATE TYPE mal.c AS (x mal.d);
CREATE TYPE mal.r AS RANGE (SUBTYPE = mal.d);
CREATE TABLE mal.t (id int PRIMARY KEY, v text);
CREATE TABLE mal.t2 (id int PRIMARY KEY, v text);
CREATE TABLE mal.t3 (id int PRIMARY KEY, v text);
CREATE TABLE mal.t4 (id int PRIMARY KEY, v text);
SELECT paysync.register('mal.t', row_filter => $$'(7)'::mal.c IS NOT NULL$$);
SELECT paysync.register('mal.t2', row_filter => $$'{8}'::mal.d[] IS NOT NULL$$);
SELECT paysync.register('mal.t3', row_filter => $$'[1,2)'::mal.r IS NOT NULL$$);
SELECT paysync.register('mal.t4', row_filter => $$id > '9'::mal.d$$);
SELECT paysync.alter_registration('mal.t4', row_filter => $$'(9)'::mal.c IS NOT NULL$$);
RESET ROLE;
-- What anybody's DDL looks at again is looked at in the same way, and so is what the relay looks at.
ALTER TABLE mal.t ADD COLUMN w int;
ALTER TYPE mal.c RENAME TO c2;
ALTER TYPE mal.c2 RENAME TO c;
SELECT paysync.maintain();
ALTER EVENT TRIGGER "!paysync_ddl" DISABLE;
ALTER TABLE mal.t ADD COLUMN y int;
ALTER EVENT TRIGGER "!paysync_ddl" ENABLE ALWAYS;
SELECT paysync.maintain();
SELECT DISTINCT who, is_superuser FROM tools.ran;
SELECT rolname, rolsuper FROM pg_roles WHERE rolname IN ('regress_filter_owner', 'regress_filter_other') ORDER BY 1;
SELECT table_name, row_filter FROM paysync.tables ORDER BY 1;
SELECT count(*) > 0 AS news FROM tools.news();
SELECT paysync.unregister(t) FROM unnest('{mal.t,mal.t2,mal.t3,mal.t4}'::regclass[]) AS t;

-- A function that a filter calls is not made another.
CREATE FUNCTION below(v int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v < 10';
CREATE FUNCTION positive(v int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN v > 0; END';
CREATE FUNCTION unrelated(v int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v > 0';
CREATE FUNCTION less(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a < b';
CREATE OPERATOR <<< (FUNCTION = less, LEFTARG = int, RIGHTARG = int);
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE u (id int PRIMARY KEY, v text);
CREATE TABLE w (id int PRIMARY KEY, v text);
SELECT paysync.register('t', row_filter => 'below(id)'), paysync.register('u', row_filter => 'positive(id)'), paysync.register('w', row_filter => 'id <<< 3');
INSERT INTO t VALUES (1, 'a'), (20, 'b');
CREATE OR REPLACE FUNCTION below(v int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v >= 10';
\echo :SQLSTATE
CREATE OR REPLACE FUNCTION below(v int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN v >= 10; END';
\echo :SQLSTATE
CREATE OR REPLACE FUNCTION positive(v int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN v < 0; END';
\echo :SQLSTATE
ALTER FUNCTION positive SET search_path = mal, pg_catalog;
\echo :SQLSTATE
ALTER FUNCTION positive STRICT;
\echo :SQLSTATE
ALTER ROUTINE positive STABLE;
\echo :SQLSTATE
ALTER FUNCTION positive RENAME TO negative;
\echo :SQLSTATE
ALTER FUNCTION positive SET SCHEMA mal;
\echo :SQLSTATE
DROP FUNCTION positive;
\echo :SQLSTATE
CREATE OR REPLACE FUNCTION less(a int, b int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT a > b';
\echo :SQLSTATE
DROP OPERATOR <<< (int, int);
\echo :SQLSTATE
-- In a savepoint that is rolled back, and the filter is as it was.
BEGIN;
SAVEPOINT a;
CREATE OR REPLACE FUNCTION below(v int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v >= 10';
ROLLBACK TO a;
INSERT INTO t VALUES (2, 'c'), (21, 'd');
COMMIT;
DELETE FROM t WHERE id = 1;
UPDATE t SET v = 'zz';
SELECT table_name, op, key, new FROM tools.news() WHERE table_name = 'shop.t';
-- Another one of the same name, with other arguments, is another one; so is what no filter calls.
CREATE OR REPLACE FUNCTION below(v bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v >= 10';
CREATE OR REPLACE FUNCTION unrelated(v int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v < 0';
ALTER FUNCTION unrelated RENAME TO unrelated_2;
DROP FUNCTION unrelated_2;
-- The filter first, then the function.
SELECT paysync.alter_registration('t', row_filter => 'id < 10');
CREATE OR REPLACE FUNCTION below(v int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v >= 10';
SELECT paysync.alter_registration('t', row_filter => 'below(id)');
UPDATE t SET v = 'y';
SELECT table_name, op, key, new FROM tools.news() WHERE table_name = 'shop.t';

-- A filter that does not read any more is no reason to refuse what others do elsewhere.
CREATE FUNCTION denies(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE DOMAIN denied AS int CHECK (denies(VALUE));
CREATE TYPE holds_denied AS (x denied);
CREATE TABLE broken (id int PRIMARY KEY);
SELECT paysync.register('broken', row_filter => $$'(7)'::holds_denied IS NOT NULL$$);
CREATE OR REPLACE FUNCTION denies(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''denied''; END';
CREATE TYPE elsewhere AS ENUM ('a');
ALTER TYPE elsewhere RENAME VALUE 'a' TO 'b';
ALTER TYPE elsewhere RENAME TO elsewhere_2;
DROP TYPE elsewhere_2;
CREATE SCHEMA elsewhere;
ALTER SCHEMA elsewhere RENAME TO elsewhere_2;
DROP SCHEMA elsewhere_2;
SELECT paysync.unregister('broken');

-- DDL of others, which does not reach a registration, writes nothing there, needs no right in it, and sees no new one.
CREATE TEMP TABLE rows_before AS SELECT relation, xmin::text AS version, ctid AS place FROM paysync.captured;
SET ROLE regress_filter_other;
CREATE FUNCTION others.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION others.f() RETURNS int LANGUAGE sql AS 'SELECT 2';
ALTER FUNCTION others.f STABLE;
CREATE TYPE others.mood AS ENUM ('sad');
ALTER TYPE others.mood RENAME VALUE 'sad' TO 'blue';
CREATE TYPE others.pair AS (x int);
ALTER TYPE others.pair ADD ATTRIBUTE y int;
CREATE DOMAIN others.d AS int;
CREATE TABLE others.scratch (id int PRIMARY KEY, m others.mood, p others.pair);
CREATE UNIQUE INDEX by_m ON others.scratch (m);
CREATE OR REPLACE VIEW others.v AS SELECT id FROM others.scratch;
CREATE OR REPLACE VIEW others.v AS SELECT id, m FROM others.scratch;
ALTER TABLE others.scratch ADD COLUMN z int DEFAULT 5, ALTER COLUMN id TYPE bigint;
\echo :SQLSTATE
DROP VIEW others.v;
ALTER TABLE others.scratch ALTER COLUMN id TYPE bigint;
ALTER TABLE others.scratch RENAME TO scratch_2;
DROP INDEX others.by_m;
DROP TABLE others.scratch_2;
DROP FUNCTION others.f;
DROP TYPE others.pair, others.mood, others.d;
RESET ROLE;
ALTER SCHEMA others RENAME TO others_2;
DROP SCHEMA others_2 CASCADE;
SELECT relation::regclass FROM paysync.captured AS c LEFT JOIN rows_before AS b USING (relation) WHERE b.version IS DISTINCT FROM c.xmin::text OR b.place IS DISTINCT FROM c.ctid;
SELECT count(*) FROM tools.news();
\setenv PGDATABASE :DBNAME
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 AS taken FROM paysync.tables;
\! psql -X -q -c 'CREATE TABLE shop.fresh (id int PRIMARY KEY)' -c "SELECT paysync.register('shop.fresh', row_filter => 'id > 0')" > /dev/null
CREATE OR REPLACE FUNCTION unrelated() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION unrelated() RETURNS int LANGUAGE sql AS 'SELECT 2';
DROP FUNCTION unrelated;
CREATE TABLE scratch (id int PRIMARY KEY);
DROP TABLE scratch;
COMMIT;
SELECT bool_and(capturing) FROM paysync.tables;
SET client_min_messages = warning;
DROP SCHEMA mal CASCADE;
REVOKE ALL ON SCHEMA paysync, tools FROM regress_filter_owner, regress_filter_other;
REVOKE ALL ON FUNCTION paysync.register, paysync.alter_registration FROM regress_filter_owner;
DROP ROLE regress_filter_owner, regress_filter_other;
