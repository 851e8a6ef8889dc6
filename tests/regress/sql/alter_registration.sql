-- A registration is altered for what is written afterwards; where rows that subscribers have would look different, there is a gap.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE t (id int PRIMARY KEY, a text, pan text, email text NOT NULL UNIQUE);
INSERT INTO t VALUES (1, 'one', '4111111111111111', 'a@b.example');
SELECT paysync.alter_registration('t', 'x');
\echo :SQLSTATE
SELECT paysync.register('t', 'money', masks => '{"pan": "last4"}');
SELECT paysync.alter_registration('t');
SELECT paysync.alter_registration(NULL);
SELECT count(*) FROM tools.news();
-- Nothing that rows look like.
SELECT paysync.alter_registration('t', old_values => 'full', options => '{"skip_unchanged": true}');
SELECT paysync.alter_registration('t', new_columns => 'include');
UPDATE t SET a = 'uno';
UPDATE t SET a = 'uno';
SELECT * FROM tools.news();
-- What they look like, and where they are.
SELECT paysync.alter_registration('t', columns => '{id,a,email}');
SELECT paysync.alter_registration('t', row_filter => 'id > 0');
SELECT paysync.alter_registration('t', row_filter => '');
SELECT paysync.alter_registration('t', key_columns => '{email}');
SELECT paysync.alter_registration('t', key_columns => '{}');
SELECT paysync.alter_registration('t', operations => '{insert,update,delete}');
SELECT paysync.alter_registration('t', options => '{"replica": false}');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 't'::regclass;
SELECT paysync.alter_registration('t', 'gold', columns => '{}');
SELECT channel, table_name, op, new FROM tools.news();
-- A table without rows has none that look different.
DELETE FROM t;
SELECT paysync.alter_registration('t', columns => '{id,email}');
INSERT INTO t VALUES (2, 'two', '4222222222222222', 'b@b.example');
SELECT op, key, old, new FROM tools.news();
SELECT channel, operations, columns, row_filter, masks, old_values, key_columns, new_columns, options FROM paysync.tables;
-- Taking a mask off, or a weaker one, is for those who say so, also while the column is not sent.
SELECT paysync.alter_registration('t', masks => '{}');
SELECT paysync.alter_registration('t', columns => '{}', masks => '{"pan": "null"}');
SELECT paysync.alter_registration('t', masks => '{"pan": {"mask": "text", "value": "none of your business"}}');
SELECT paysync.alter_registration('t', masks => '{"pan": "last4"}');
\echo :SQLSTATE
SELECT paysync.alter_registration('t', masks => '{"pan": "last4"}', allow_unmask => true);
SELECT paysync.alter_registration('t', masks => '{}', row_filter => 'pan IS NOT NULL AND', channel => '');
SELECT paysync.alter_registration('t', masks => '{}', allow_unmask => true);
SELECT new FROM tools.news() WHERE op = 'gap';
-- It holds for transactions that write afterwards: those that write now are waited for.
BEGIN;
SELECT paysync.alter_registration('t', masks => '{"pan": "null"}');
SELECT mode FROM pg_locks WHERE relation = 't'::regclass AND pid = pg_backend_pid() AND mode = 'ShareRowExclusiveLock';
INSERT INTO t VALUES (3, 'three', '4333333333333333', 'c@b.example');
ROLLBACK;
INSERT INTO t VALUES (4, 'four', '4444444444444444', 'd@b.example');
SELECT op, key, new FROM tools.news();
