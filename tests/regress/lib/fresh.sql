\set ECHO none
-- Begins a test: the extension made anew, one subscriber, schema "shop" empty and first in the path; what tools.sql makes.
SET client_min_messages = warning;
\encoding UTF8
DROP EXTENSION IF EXISTS paysync CASCADE;
DROP SCHEMA IF EXISTS shop, replica, tools CASCADE;
ALTER DATABASE :"DBNAME" RESET paysync.segment_size;
ALTER DATABASE :"DBNAME" RESET paysync.segment_age;
ALTER DATABASE :"DBNAME" RESET paysync.retention;
ALTER DATABASE :"DBNAME" RESET paysync.outbox_limit;
ALTER DATABASE :"DBNAME" RESET paysync.outbox_full;
CREATE EXTENSION paysync;
CREATE SCHEMA shop;
SET search_path = shop, public;
SELECT paysync.create_subscriber('reader') AS began \gset
\getenv abs_srcdir PG_ABS_SRCDIR
\set tools :abs_srcdir /lib/tools.sql
\i :tools
RESET client_min_messages;
\set SHOW_CONTEXT never
\set ECHO all
