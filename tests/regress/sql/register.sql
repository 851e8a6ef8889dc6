-- What cannot be captured whole is refused when it is registered, with the reason; a registration is exact and is made once.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE payments (id int PRIMARY KEY, amount numeric);
-- Only tables that outlive a crash and whose rows all pass by our trigger.
CREATE VIEW v AS SELECT 1 AS id;
SELECT paysync.register('v');
\echo :SQLSTATE
CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;
SELECT paysync.register('m');
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE f (id int) SERVER nowhere;
SELECT paysync.register('f');
DROP FOREIGN DATA WRAPPER nowhere CASCADE;
CREATE TEMPORARY TABLE tt (id int PRIMARY KEY);
SELECT paysync.register('tt');
CREATE UNLOGGED TABLE u (id int PRIMARY KEY);
SELECT paysync.register('u');
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE part PARTITION OF parted DEFAULT;
SELECT paysync.register('parted');
CREATE SEQUENCE s;
SELECT paysync.register('s');
SELECT paysync.register('payments_pkey');
SELECT paysync.register('pg_catalog.pg_class');
\echo :SQLSTATE
SELECT paysync.register('paysync.shapes');
SELECT paysync.register('information_schema.sql_features');
SELECT paysync.register(999999);
\echo :SQLSTATE
-- Updates must be able to say which row they mean.
CREATE TABLE keyless (id int NOT NULL UNIQUE);
SELECT paysync.register('keyless');
\echo :SQLSTATE
CREATE TABLE later (id int PRIMARY KEY DEFERRABLE);
SELECT paysync.register('later');
-- Arguments.
SELECT paysync.register(NULL);
\echo :SQLSTATE
SELECT paysync.register('payments', NULL);
\echo :SQLSTATE
SELECT paysync.register('payments', '');
SELECT paysync.register('payments', repeat('c', 64));
SELECT paysync.register('payments', E'a\nb');
SELECT paysync.register('payments', operations => '{insert,upsert}');
\echo :SQLSTATE
SELECT paysync.register('payments', operations => '{insert,NULL}');
SELECT paysync.register('payments', operations => '{}');
SELECT paysync.register('payments', operations => NULL);
SELECT paysync.register('payments', columns => '{id,amuont}');
SELECT paysync.register('payments', columns => '{}');
SELECT paysync.register('payments', columns => '{amount}');
SELECT paysync.register('payments', row_filter => 'amount > random()');
SELECT paysync.register('payments', row_filter => 'amount');
SELECT paysync.register('payments', masks => '{"amount": "last4"}');
SELECT paysync.register('payments', masks => '{"amount": "lats4"}');
SELECT paysync.register('payments', masks => '{"amount": {"mask": "text"}}');
SELECT paysync.register('payments', masks => '{"amount": {"mask": "text", "valeu": 1, "value": ""}}');
SELECT paysync.register('payments', masks => '{"amount": {"mask": "hmac", "key": "none"}}');
SELECT paysync.register('payments', masks => '{"id": "null"}');
SELECT paysync.register('payments', masks => '[]');
SELECT paysync.register('payments', old_values => 'all');
SELECT paysync.register('payments', key_columns => '{amount}');
\echo :SQLSTATE
SELECT paysync.register('payments', new_columns => 'drop');
SELECT paysync.register('payments', options => '{"insert_ony": true}');
SELECT paysync.register('payments', options => '{"insert_only": "yes"}');
SELECT paysync.register('payments', options => '[]');
SELECT paysync.register('payments', options => '{"partitions": "both", "replica": null}');
SELECT paysync.register('keyless', options => '{"insert_only": true}', key_columns => '{id}');
-- All that is wrong is said at once.
SELECT paysync.register('keyless', '', '{upsert}', '{idd}', 'id +', '{"id": "lst4"}', 'old', '{}', 'hide', '{"partition": "leaf"}');
\echo :SQLSTATE
-- Values made from a masked one would tell it.
CREATE TABLE cards (id int PRIMARY KEY, pan varchar(19), email text, bin text GENERATED ALWAYS AS (left(pan, 6)) STORED);
CREATE UNIQUE INDEX ON cards (lower(email));
SELECT paysync.register('cards', masks => '{"pan": "last4"}');
SELECT paysync.register('cards', masks => '{"email": "first6last4"}');
SELECT paysync.register('cards', masks => '{"pan": "last4", "bin": "null"}');
SELECT paysync.register('cards', masks => '{"pan": {"mask": "last4"}, "bin": {"mask": "null"}}');
SELECT columns, masks, new_columns FROM paysync.tables;
SELECT paysync.unregister('cards');
SELECT count(*) AS registered FROM paysync.registration;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE '!paysync%';
-- Once; the same again is no error, another one is.
SELECT paysync.register('payments', 'money', '{delete,insert,insert}');
SELECT paysync.register('payments', 'money', '{insert,delete}');
SELECT paysync.register('payments', 'money');
\echo :SQLSTATE
SELECT paysync.register('payments', 'gold', '{insert,delete}');
SELECT table_name, channel, operations, insert_only, capturing, reason FROM paysync.tables;
-- Only the operations that were asked for.
INSERT INTO payments VALUES (1, 1), (2, 2);
UPDATE payments SET amount = 3 WHERE id = 1;
DELETE FROM payments WHERE id = 2;
TRUNCATE payments;
SELECT * FROM tools.news();
-- unregister() stops it, and what is captured stays; then it can be registered another way.
INSERT INTO payments VALUES (4, 4);
SELECT paysync.unregister('payments');
INSERT INTO payments VALUES (5, 5);
SELECT paysync.unregister('payments');
\echo :SQLSTATE
SELECT paysync.unregister(NULL);
SELECT paysync.register('payments', 'gold');
INSERT INTO payments VALUES (6, 6);
SELECT * FROM tools.news();
-- Insert-only tables need no key, and refuse what could not be told.
SELECT paysync.register('keyless', options => '{"insert_only": true}');
INSERT INTO keyless VALUES (1), (2);
UPDATE keyless SET id = 3 WHERE id = 1;
\echo :SQLSTATE
DELETE FROM keyless;
TRUNCATE keyless;
SELECT paysync.register('later', options => '{"insert_only": true}', operations => '{insert}');
INSERT INTO later VALUES (1);
UPDATE later SET id = 2;
SELECT * FROM tools.news();
-- A key that is lost later is an error of the next change that needs it, and of no insert.
ALTER TABLE payments DROP CONSTRAINT payments_pkey;
INSERT INTO payments VALUES (7, 7);
UPDATE payments SET amount = 8;
\echo :SQLSTATE
ALTER TABLE payments ADD PRIMARY KEY (id);
UPDATE payments SET amount = 8 WHERE id = 7;
SELECT * FROM tools.news();
-- What stops capture, or may reorder it, is shown.
SET client_min_messages = warning;
ALTER TABLE payments DISABLE TRIGGER "!paysync_row";
CREATE TRIGGER "!a" AFTER INSERT ON keyless FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
DROP TRIGGER "!paysync_row" ON later;
SELECT table_name, capturing, reason FROM paysync.tables ORDER BY 1;
-- A trigger of ours without a registration fails: rows would be lost without a word.
ALTER TABLE payments ENABLE ALWAYS TRIGGER "!paysync_row";
DELETE FROM paysync.registration WHERE table_oid = 'payments'::regclass;
\c - - - -
INSERT INTO shop.payments VALUES (9, 9);
\echo :SQLSTATE
