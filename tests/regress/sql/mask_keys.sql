-- Keys of tokens: set, rotated, in use, and never shown.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, pan text UNIQUE);
CREATE TABLE p (id int, pan text, PRIMARY KEY (id, pan)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p DEFAULT;
SELECT paysync.register('t', masks => '{"pan": {"mask": "hmac", "key": "k1"}}');
\echo :SQLSTATE
SELECT paysync.set_mask_key('k1', 'too short');
SELECT paysync.set_mask_key('k1', NULL);
SELECT paysync.set_mask_key('', 'a secret of 16 bytes');
SELECT paysync.set_mask_key(NULL, 'a secret of 16 bytes');
\echo :SQLSTATE
SELECT paysync.set_mask_key('k1', 'a secret of 16 bytes');
SELECT paysync.set_mask_key('k1', 'a secret of 16 bytes');
SELECT paysync.register('t', masks => '{"pan": {"mask": "hmac", "key": "k2"}}');
SELECT paysync.register('t', masks => '{"pan": {"mask": "hmac", "key": "k1"}}');
SELECT paysync.register('p', masks => '{"pan": {"mask": "hmac", "key": "k1"}}');
INSERT INTO t VALUES (1, '4111'), (2, NULL);
INSERT INTO p VALUES (1, '4111');
SELECT table_name, new FROM tools.news();
-- Rotation: other tokens, and a gap in each table that has them.
SELECT paysync.set_mask_key('k1', 'another secret of 22 bytes');
INSERT INTO t VALUES (3, '4111 again');
SELECT table_name, op, new FROM tools.news();
SELECT name, rotations, rotated_at IS NOT NULL AS rotated, used_by FROM paysync.mask_keys;
BEGIN;
SELECT paysync.set_mask_key('k1', 'a third secret of 22 bytes');
ROLLBACK;
INSERT INTO t VALUES (4, '4111 once more');
SELECT table_name, op, new FROM tools.news();
SELECT paysync.drop_mask_key('k1');
\echo :SQLSTATE
SELECT paysync.drop_mask_key('k');
\echo :SQLSTATE
SELECT paysync.alter_registration('t', masks => '{}', allow_unmask => true);
SELECT paysync.unregister('p');
SELECT paysync.drop_mask_key('k1');
SELECT paysync.drop_mask_key('k1');
SELECT count(*) FROM paysync.mask_keys;
-- Who may read all tables may not read this one.
SELECT paysync.set_mask_key('k3', 'a secret of 16 bytes');
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_reader;
RESET client_min_messages;
CREATE ROLE regress_reader IN ROLE pg_read_all_data;
SET ROLE regress_reader;
SELECT count(*) FROM paysync.mask_key;
RESET ROLE;
DROP ROLE regress_reader;
