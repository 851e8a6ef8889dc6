-- What an administrator does to a database (reindex, dump and restore, rename, replica mode) takes nothing out of the stream.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE payments (id int PRIMARY KEY);
SELECT paysync.register('payments');
INSERT INTO payments VALUES (1);
-- Every index of a table of the outbox is filled, also one that was added or is being built.
CREATE INDEX another ON paysync.closing_0 (order_key);
INSERT INTO payments VALUES (2);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM paysync.closing_0 WHERE order_key > '0/0';
RESET enable_seqscan;
RESET enable_bitmapscan;
-- An index that was rebuilt under another OID is found.
REINDEX TABLE CONCURRENTLY paysync.closing_0;
REINDEX TABLE CONCURRENTLY paysync.chunk_0;
INSERT INTO payments VALUES (3);
SELECT key FROM paysync.peek();
DROP INDEX paysync.another;
-- An index on an expression is refused, not forgotten.
CREATE INDEX odd ON paysync.closing_0 ((length(payload)));
INSERT INTO payments VALUES (4);
\echo :SQLSTATE
DROP INDEX paysync.odd;
-- So is one of another kind, which cannot be filled without the executor.
CREATE INDEX odd ON paysync.closing_0 USING brin (order_key);
INSERT INTO payments VALUES (4);
DROP INDEX paysync.odd;
-- A trigger that was renamed is still ours: nothing is captured twice.
ALTER TRIGGER "!paysync_row" ON payments RENAME TO zz;
SELECT capturing, reason FROM paysync.tables;
SELECT paysync.unregister('payments');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'payments'::regclass;
-- Triggers without a registration, as a restored dump leaves them: the write fails, and both remedies of the hint work.
SELECT paysync.register('payments');
DELETE FROM paysync.registration;
\c
SET search_path = shop, public;
INSERT INTO payments VALUES (5);
SELECT paysync.register('payments');
INSERT INTO payments VALUES (5);
DELETE FROM paysync.registration;
SELECT paysync.unregister('payments');
INSERT INTO payments VALUES (6);
-- A registration without triggers is made whole.
SELECT paysync.register('payments');
DROP TRIGGER "!paysync_row" ON payments;
SELECT paysync.register('payments');
INSERT INTO payments VALUES (7);
SELECT key FROM paysync.peek() WHERE key->>'id' >= '5';
-- What stops being captured is said.
ALTER TABLE payments SET UNLOGGED;
SELECT capturing, reason FROM paysync.tables;
ALTER TABLE payments SET LOGGED;
CREATE TABLE child () INHERITS (payments);
SELECT capturing, reason FROM paysync.tables;
DROP TABLE child;
-- A schema's new name is in the stream from its next change on.
ALTER SCHEMA shop RENAME TO store;
INSERT INTO store.payments VALUES (8);
ALTER SCHEMA store RENAME TO shop;
SELECT table_name FROM paysync.peek() WHERE key->>'id' = '8';
-- A subscriber made in replica mode is noticed by sessions that knew of none.
SELECT paysync.drop_subscriber('reader');
INSERT INTO payments VALUES (9);
SET session_replication_role = replica;
SELECT paysync.create_subscriber('reader') IS NOT NULL AS made;
RESET session_replication_role;
INSERT INTO payments VALUES (10);
SELECT count(*) FROM paysync.peek() WHERE key->>'id' = '10';
-- A name that is given twice is one subscriber.
SELECT epoch FROM paysync.lead('test');
SELECT paysync.acknowledge(2, '{reader,reader}', '{0,0}', '{true,true}', '{2,2}', '{NULL,NULL}');
SELECT paysync.acknowledge(2, '{reader,reader}', '{0,0}', '{true,true}', '{2,2}', '{NULL,NULL}');
SELECT cardinality(subscribers) FROM paysync.last_ack();
-- Positions are found by index, also where the plan was made while the tables were almost empty.
ANALYZE;
BEGIN;
SELECT paysync.head_number() IS NOT NULL AS head, (paysync.last_ack()).id IS NOT NULL AS ack;
SELECT count(*), sum(seq_scan) FROM pg_stat_xact_user_tables WHERE schemaname = 'paysync' AND relname ~ '^(tick|ack)_[0-9]$';
COMMIT;
-- A schema of somebody else is no place for functions that run with the owner's rights.
DROP EXTENSION paysync CASCADE;
CREATE ROLE mallory;
DROP SCHEMA paysync;
CREATE SCHEMA paysync AUTHORIZATION mallory;
CREATE EXTENSION paysync;
\echo :SQLSTATE
DROP SCHEMA paysync;
DROP ROLE mallory;
CREATE EXTENSION paysync;
