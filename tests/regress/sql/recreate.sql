-- The extension can be dropped and made again while sessions hold what they know of the old one.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
INSERT INTO t VALUES (1, 'old');
SELECT op, key, new FROM tools.news();
SET client_min_messages = warning;
DROP EXTENSION paysync CASCADE;
RESET client_min_messages;
INSERT INTO t VALUES (2, 'without');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 't'::regclass;
CREATE EXTENSION paysync;
INSERT INTO t VALUES (3, 'not registered');
SELECT paysync.create_subscriber('reader') IS NOT NULL AS made;
SELECT count(*) FROM paysync.peek();
SELECT paysync.register('t', 'again');
INSERT INTO t VALUES (4, 'new');
SELECT channel, op, key, new FROM paysync.peek();
-- What is rolled back was never dropped.
SET client_min_messages = warning;
BEGIN;
DROP EXTENSION paysync CASCADE;
ROLLBACK;
INSERT INTO t VALUES (5, 'still there');
SELECT channel, op, key, new FROM paysync.peek();
-- It cannot be moved, and all of it is in its schema.
CREATE SCHEMA elsewhere;
ALTER EXTENSION paysync SET SCHEMA elsewhere;
DROP SCHEMA elsewhere;
SELECT count(*) AS ours FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND classid = 'pg_class'::regclass
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'paysync') AND objid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'paysync'::regnamespace);
-- Every table of ours has a primary key, so that a publication of all tables stops nobody; but those that take nothing but INSERT and TRUNCATE.
SELECT c.relname FROM pg_class AS c WHERE relnamespace = 'paysync'::regnamespace AND relkind = 'r' AND relname !~ '^closing_[0-7]$'
    AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary);
