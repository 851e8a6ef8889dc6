-- Rule: no DDL and no change of a registration takes a masked value round its mask: what would is refused, whole and at once.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
SELECT paysync.set_mask_key('k1', 'a secret of many bytes');
-- A key whose values the mask makes equal would name no row.
CREATE TABLE moved (id int PRIMARY KEY, pan text NOT NULL, iban text NOT NULL);
SELECT paysync.register('moved', masks => '{"pan": "null", "iban": {"mask": "hmac", "key": "k1"}}');
ALTER TABLE moved DROP CONSTRAINT moved_pkey, ADD PRIMARY KEY (pan);
\echo :SQLSTATE
ALTER TABLE moved DROP CONSTRAINT moved_pkey, ADD PRIMARY KEY (id, pan);
\echo :SQLSTATE
SELECT paysync.alter_registration('moved', masks => '{"pan": "last4", "iban": {"mask": "hmac", "key": "k1"}}', allow_unmask => true);
ALTER TABLE moved DROP CONSTRAINT moved_pkey, ADD PRIMARY KEY (pan);
\echo :SQLSTATE
BEGIN;
ALTER TABLE moved DROP CONSTRAINT moved_pkey;
CREATE UNIQUE INDEX by_pan ON moved (pan);
ALTER TABLE moved ADD PRIMARY KEY USING INDEX by_pan;
\echo :SQLSTATE
ROLLBACK;
SELECT conname FROM pg_constraint WHERE conrelid = 'moved'::regclass;
-- A token tells values apart.
ALTER TABLE moved DROP CONSTRAINT moved_pkey, ADD PRIMARY KEY (iban);
INSERT INTO moved VALUES (1, '4111000000000001', 'DE1');
UPDATE moved SET iban = 'DE2';
SELECT op, left(key ->> 'iban', 3) AS token, key - 'iban' AS key, old ? 'iban' AS old, new ->> 'pan' AS pan FROM tools.news() WHERE op IN ('insert', 'update');
SELECT capturing, reason FROM paysync.tables;
-- In leaf mode a member's own key counts, also that of one that comes.
CREATE TABLE leaves (id int NOT NULL, pan text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE leaf_1 PARTITION OF leaves (PRIMARY KEY (id)) FOR VALUES FROM (0) TO (10);
SELECT paysync.register('leaves', masks => '{"pan": "last4"}', options => '{"partitions": "leaf"}');
CREATE TABLE leaf_2 PARTITION OF leaves (PRIMARY KEY (pan)) FOR VALUES FROM (10) TO (20);
\echo :SQLSTATE
CREATE TABLE leaf_2 (id int NOT NULL, pan text PRIMARY KEY);
ALTER TABLE leaves ATTACH PARTITION leaf_2 FOR VALUES FROM (10) TO (20);
\echo :SQLSTATE
SELECT relation::regclass FROM paysync.captured WHERE root = 'leaves'::regclass ORDER BY 1;

-- A column that is computed from a masked one, and sent.
CREATE TABLE g (id int PRIMARY KEY, pan text);
SELECT paysync.register('g', masks => '{"pan": "null"}', new_columns => 'include');
ALTER TABLE g ADD COLUMN up text GENERATED ALWAYS AS (upper(pan)) STORED;
\echo :SQLSTATE
BEGIN;
SAVEPOINT a;
ALTER TABLE g ADD COLUMN up text GENERATED ALWAYS AS (upper(pan)) STORED, ADD COLUMN fine text;
ROLLBACK TO a;
ALTER TABLE g ADD COLUMN fine text;
COMMIT;
INSERT INTO g VALUES (1, '4111000000000004', 'f');
SELECT op, new FROM tools.news() WHERE op = 'insert';
-- Withheld it does no harm; nor masked.
SELECT paysync.alter_registration('g', new_columns => 'withhold');
ALTER TABLE g ADD COLUMN up text GENERATED ALWAYS AS (upper(pan)) STORED;
INSERT INTO g VALUES (2, '4111000000000005');
SELECT paysync.alter_registration('g', columns => '{id,pan,up}');
\echo :SQLSTATE
SELECT paysync.alter_registration('g', columns => '{id,pan,up}', masks => '{"pan": "null", "up": "last4"}');
INSERT INTO g VALUES (3, 'open0000000006');
ALTER TABLE g RENAME COLUMN pan TO pin;
INSERT INTO g VALUES (4, 'open0000000007');
SELECT op, new FROM tools.news() WHERE op = 'insert';
-- Of a partition, where the same column is an ordinary one elsewhere.
CREATE TABLE p (id int PRIMARY KEY, pan text, note text) PARTITION BY RANGE (id);
SELECT paysync.register('p', masks => '{"pan": "null"}');
CREATE TABLE p1 (id int NOT NULL, pan text, note text GENERATED ALWAYS AS (pan) STORED);
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10);
\echo :SQLSTATE
ALTER TABLE p1 ALTER COLUMN note DROP EXPRESSION;
ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10);
SELECT relation::regclass, capturing FROM paysync.captured WHERE root = 'p'::regclass ORDER BY 1;
-- It is there when the table is registered.
SELECT paysync.unregister('p');
CREATE TABLE p2 (id int NOT NULL, pan text, note text GENERATED ALWAYS AS (pan) STORED);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
SELECT paysync.register('p', masks => '{"pan": "null"}');
\echo :SQLSTATE
SELECT paysync.register('p', columns => '{id,pan}', masks => '{"pan": "null"}');
SELECT paysync.alter_registration('p', columns => '{}');
\echo :SQLSTATE
-- A child's own column is not told in root mode, and is in leaf mode.
CREATE TABLE mother (id int PRIMARY KEY, pan text);
CREATE TABLE child (cc text GENERATED ALWAYS AS (pan) STORED, PRIMARY KEY (id)) INHERITS (mother);
SELECT paysync.register('mother', masks => '{"pan": "last4"}', new_columns => 'include', options => '{"partitions": "leaf"}');
\echo :SQLSTATE
SELECT paysync.register('mother', masks => '{"pan": "last4"}', new_columns => 'include');
INSERT INTO child VALUES (1, '4111000000000001');
SELECT table_name, op, new FROM tools.news() WHERE op = 'insert';
SELECT paysync.alter_registration('mother', options => '{"partitions": "leaf"}');
\echo :SQLSTATE
ALTER TABLE child DROP COLUMN cc;
SELECT paysync.alter_registration('mother', options => '{"partitions": "leaf"}');
ALTER TABLE child ADD COLUMN cc text GENERATED ALWAYS AS (pan) STORED;
\echo :SQLSTATE
CREATE TABLE child_2 (cc text GENERATED ALWAYS AS (pan) STORED, PRIMARY KEY (id)) INHERITS (mother);
\echo :SQLSTATE
CREATE TABLE child_3 (id int PRIMARY KEY, pan text, cc text GENERATED ALWAYS AS (pan) STORED);
ALTER TABLE child_3 INHERIT mother;
\echo :SQLSTATE
INSERT INTO child VALUES (2, '4111000000000002');
SELECT table_name, op, new FROM tools.news() WHERE op = 'insert';
-- Dropped of the root only, a column that stays in a child would lose its mask.
ALTER TABLE ONLY mother DROP COLUMN pan;
\echo :SQLSTATE
SELECT masks FROM paysync.tables WHERE table_name = 'shop.mother';
ALTER TABLE mother DROP COLUMN pan;
SELECT masks FROM paysync.tables WHERE table_name = 'shop.mother';
-- In root mode it is not sent without the root.
CREATE TABLE mother_2 (id int PRIMARY KEY, pan text);
CREATE TABLE child_4 (PRIMARY KEY (id)) INHERITS (mother_2);
SELECT paysync.register('mother_2', masks => '{"pan": "last4"}');
ALTER TABLE ONLY mother_2 DROP COLUMN pan;
INSERT INTO child_4 VALUES (1, '4111000000000003');
SELECT table_name, op, new FROM tools.news() WHERE op = 'insert';

-- Taking a mask off is for those who say so, also in steps, while the column is not sent.
CREATE TABLE u (id int PRIMARY KEY, pan text);
SELECT paysync.register('u', masks => '{"pan": "null"}');
SELECT paysync.alter_registration('u', columns => '{id}');
SELECT paysync.alter_registration('u', masks => '{}');
\echo :SQLSTATE
SELECT paysync.alter_registration('u', masks => '{"pan": "last4"}');
\echo :SQLSTATE
SELECT paysync.alter_registration('u', columns => '{id,pan}');
INSERT INTO u VALUES (1, '4111000000000001');
SELECT op, new FROM tools.news() WHERE op = 'insert';
SELECT paysync.alter_registration('u', masks => '{}', allow_unmask => true);
SELECT masks FROM paysync.tables WHERE table_name = 'shop.u';

-- The first masks, or the first list of columns, withhold columns that come later, unless they are asked for.
CREATE TABLE h (id int PRIMARY KEY, pan text);
CREATE TABLE h_list (id int PRIMARY KEY, pan text);
CREATE TABLE h_asked (id int PRIMARY KEY, pan text);
SELECT paysync.register(t) FROM unnest('{h,h_list,h_asked}'::regclass[]) AS t;
SELECT paysync.alter_registration('h', masks => '{"pan": "null"}');
SELECT paysync.alter_registration('h_list', columns => '{id,pan}');
SELECT paysync.alter_registration('h_asked', masks => '{"pan": "null"}', new_columns => 'include');
SELECT table_name, new_columns FROM paysync.tables WHERE table_name LIKE 'shop.h%' ORDER BY 1;
ALTER TABLE h ADD COLUMN pan2 text;
ALTER TABLE h DROP COLUMN pan;
ALTER TABLE h RENAME COLUMN pan2 TO pan;
ALTER TABLE h_list ADD COLUMN later text;
ALTER TABLE h_asked ADD COLUMN later text;
INSERT INTO h VALUES (1, '4111000000000001');
INSERT INTO h_list VALUES (1, 'a', 'later');
INSERT INTO h_asked VALUES (1, 'a', 'later');
SELECT table_name, new FROM tools.news() WHERE op = 'insert';
-- A later list or mask does not change what was asked for.
SELECT paysync.alter_registration('h_asked', masks => '{"pan": "null", "later": "null"}');
SELECT new_columns FROM paysync.tables WHERE table_name = 'shop.h_asked';

-- A row filter does not look at a masked column: its error would show the value.
CREATE TABLE f (id int PRIMARY KEY, pan text, amount int);
SELECT paysync.register('f', masks => '{"pan": "null"}', row_filter => 'amount > 0 AND pan::bigint > 0');
\echo :SQLSTATE
SELECT paysync.register('f', masks => '{"pan": "null"}', row_filter => 'f IS NOT NULL');
\echo :SQLSTATE
SELECT paysync.register('f', masks => '{"pan": "null"}', row_filter => 'amount > 0');
SELECT paysync.alter_registration('f', row_filter => 'length(pan) > 3');
\echo :SQLSTATE
SELECT paysync.alter_registration('f', masks => '{"pan": "null", "amount": "null"}');
\echo :SQLSTATE
SELECT paysync.alter_registration('f', masks => '{"pan": "null", "amount": "null"}', row_filter => 'id > 0');
SELECT row_filter, masks FROM paysync.tables WHERE table_name = 'shop.f';
-- Nor at one that is computed from it, though that is not sent.
CREATE TABLE f_2 (id int PRIMARY KEY, pan text, up text GENERATED ALWAYS AS (lower(pan)) STORED);
SELECT paysync.register('f_2', columns => '{id,pan}', masks => '{"pan": "null"}', row_filter => 'up::bigint > 0');
\echo :SQLSTATE

-- Secrets are not in the planner's statistics, which more roles read.
SELECT paysync.set_mask_key('k2', 'another secret of many bytes'), paysync.set_mask_key('k3', 'a third secret of many bytes');
ANALYZE paysync.mask_key;
SELECT count(*) FROM pg_statistic AS s JOIN pg_attribute AS a ON a.attrelid = s.starelid AND a.attnum = s.staattnum
WHERE s.starelid = 'paysync.mask_key'::regclass AND a.attname = 'secret';
