-- Rule: of the row as it was, a change tells what the registration asks for, and always enough to find it (docs/capture.md).
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
-- The key's second column comes first in the table; the key is told whole if any of it changed.
CREATE TABLE t (b int NOT NULL, v numeric, a int NOT NULL, w text, PRIMARY KEY (a, b));
CREATE UNIQUE INDEX t_v ON t (v);
CREATE PROCEDURE touch() LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM t;
    INSERT INTO t VALUES (1, 1.0, 1, 'x'), (2, NULL, 2, NULL);
    UPDATE t SET w = w WHERE a = 1;
    UPDATE t SET v = 1.00 WHERE a = 1;
    UPDATE t SET w = 'y' WHERE a = 1;
    UPDATE t SET v = 2, w = 'z' WHERE a = 2;
    UPDATE t SET v = NULL WHERE a = 2;
    UPDATE t SET b = 11 WHERE a = 1;
    UPDATE t SET a = 22, b = 22, w = 'k' WHERE a = 2;
    DELETE FROM t;
END $$;
SELECT paysync.register('t');
CALL touch();
SELECT op, key, old, new FROM tools.news() WHERE op IN ('update', 'delete');
SELECT paysync.alter_registration('t', old_values => 'none');
CALL touch();
SELECT op, key, old, new FROM tools.news() WHERE op IN ('update', 'delete');
SELECT paysync.alter_registration('t', old_values => 'changed');
CALL touch();
SELECT op, key, old, new FROM tools.news() WHERE op IN ('update', 'delete');
SELECT paysync.alter_registration('t', old_values => 'full');
CALL touch();
SELECT op, key, old, new FROM tools.news() WHERE op IN ('update', 'delete');
-- Of the columns that are sent, and only those.
SELECT paysync.alter_registration('t', old_values => 'changed', columns => '{a, b, w}');
CALL touch();
SELECT op, key, old, new FROM tools.news() WHERE op IN ('update', 'delete');

-- Named key columns: their unique index is the key, as long as it is one.
CREATE TABLE named (id int PRIMARY KEY, code text NOT NULL, part int NOT NULL, note text);
CREATE UNIQUE INDEX named_key ON named (part, code);
SELECT paysync.register('named', key_columns => '{code, part}');
INSERT INTO named VALUES (1, 'a', 1, 'x');
UPDATE named SET id = 2;
UPDATE named SET part = 2;
DELETE FROM named;
SELECT op, key, old, new FROM tools.news();
INSERT INTO named VALUES (1, 'a', 1, 'x');
DROP INDEX named_key;
SELECT tools.attempt('UPDATE named SET note = ''y''');
SELECT tools.attempt('DELETE FROM named');
CREATE UNIQUE INDEX named_key ON named (part, code) WHERE part > 0;
SELECT tools.attempt('DELETE FROM named');
DROP INDEX named_key;
CREATE UNIQUE INDEX named_key ON named (code, part);
ALTER TABLE named ALTER COLUMN code DROP NOT NULL;
SELECT tools.attempt('DELETE FROM named');
ALTER TABLE named ALTER COLUMN code SET NOT NULL;
DELETE FROM named;
SELECT op, key, old FROM tools.news() WHERE op = 'delete';

-- Without any key only `none` goes: that a row changed or went is told, not which.
CREATE TABLE keyless (a int, b text);
SELECT tools.attempt('SELECT paysync.register(''keyless'')');
SELECT paysync.register('keyless', old_values => 'none');
INSERT INTO keyless VALUES (1, 'x'), (1, 'x');
UPDATE keyless SET b = 'y';
DELETE FROM keyless;
SELECT op, key, old, new FROM tools.news();
-- A primary key that comes later is told, one that goes is missed where it is needed.
ALTER TABLE keyless ADD PRIMARY KEY (a);
INSERT INTO keyless VALUES (1, 'x');
UPDATE keyless SET a = 2;
DELETE FROM keyless;
SELECT op, key, old FROM tools.news() WHERE op IN ('update', 'delete');
SELECT paysync.alter_registration('keyless', old_values => 'key');
ALTER TABLE keyless DROP CONSTRAINT keyless_pkey;
INSERT INTO keyless VALUES (1, 'x');
SELECT tools.attempt('UPDATE keyless SET b = ''y''');
SELECT tools.attempt('DELETE FROM keyless');

SELECT count(*) > 0 AS news FROM tools.news();
-- Values that are stored out of line: told as they were, compared without a mistake.
CREATE TABLE large (id int PRIMARY KEY, t text, e text, n int);
ALTER TABLE large ALTER COLUMN e SET STORAGE EXTERNAL;
SELECT paysync.register('large', old_values => 'changed');
INSERT INTO large SELECT 1, repeat('a', 100000), repeat('b', 100000), 1;
UPDATE large SET n = 2;
UPDATE large SET e = e || '';
UPDATE large SET e = repeat('b', 99999) || 'c';
UPDATE large SET t = 'short', id = 2;
DELETE FROM large;
SELECT op, key, (SELECT jsonb_object_agg(o.k, left(o.v, 3) || length(o.v)) FROM jsonb_each_text(old) AS o (k, v)) AS old,
       (SELECT jsonb_object_agg(o.k, left(o.v, 3) || length(o.v)) FROM jsonb_each_text(new) AS o (k, v)) AS new FROM tools.news();
