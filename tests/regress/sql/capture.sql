-- Every way in which SQL changes a row of a registered table is captured once, and only if its transaction commits.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE accounts (id int PRIMARY KEY, name text, balance numeric DEFAULT 0);
CREATE TABLE entries (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int NOT NULL REFERENCES accounts ON UPDATE CASCADE ON DELETE CASCADE,
                      amount numeric, doubled numeric GENERATED ALWAYS AS (amount * 2) STORED);
CREATE TABLE tags (a int, b text, note text, PRIMARY KEY (b, a));
SELECT paysync.register('accounts'), paysync.register('entries'), paysync.register('tags', 'labels');
-- Plain statements; a row that is updated twice is two changes; nothing for no row.
INSERT INTO accounts VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, NULL);
UPDATE accounts SET balance = balance + 1 WHERE id < 3;
UPDATE accounts SET balance = 9 WHERE id = 77;
DELETE FROM accounts WHERE id = 3;
BEGIN;
UPDATE accounts SET balance = 10 WHERE id = 1;
UPDATE accounts SET balance = 11 WHERE id = 1;
COMMIT;
SELECT * FROM tools.news();
-- Rolled back: nothing.
BEGIN;
INSERT INTO accounts VALUES (4, 'd');
ROLLBACK;
INSERT INTO accounts VALUES (4, 'd'), (1, 'double');
SELECT * FROM tools.news();
-- ON CONFLICT does an insert, an update or nothing.
INSERT INTO accounts VALUES (1, 'a2'), (5, 'e') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
INSERT INTO accounts VALUES (1, 'a3') ON CONFLICT DO NOTHING;
SELECT * FROM tools.news();
-- COPY, with its own expressions.
COPY entries (account, amount) FROM stdin;
1	10.50
2	-3
\.
SELECT * FROM tools.news();
-- A change of a key shows the old one; keys stand in the key's order. Equal numbers that print differently are different keys.
INSERT INTO tags VALUES (1, 'x', 'n');
UPDATE tags SET note = 'm';
UPDATE tags SET a = 2;
UPDATE tags SET a = 2, b = 'y';
SELECT * FROM tools.news();
CREATE TABLE scaled (id numeric PRIMARY KEY);
SELECT paysync.register('scaled');
INSERT INTO scaled VALUES (1.0);
UPDATE scaled SET id = 1.0;
UPDATE scaled SET id = 1.00;
SELECT * FROM tools.news();
-- Cascades of foreign keys.
UPDATE accounts SET id = 20 WHERE id = 2;
DELETE FROM accounts WHERE id = 20;
SELECT * FROM tools.news();
-- Writing CTEs, UPDATE FROM, DELETE USING, MERGE.
WITH made AS (INSERT INTO accounts VALUES (6, 'f') RETURNING id), gone AS (DELETE FROM accounts WHERE id = 5 RETURNING id)
INSERT INTO tags SELECT id, 'cte' FROM made UNION ALL SELECT id, 'cte' FROM gone;
UPDATE accounts AS a SET name = t.b FROM tags AS t WHERE t.a = a.id;
DELETE FROM tags USING accounts AS a WHERE a.id = tags.a;
SELECT * FROM tools.news();
MERGE INTO accounts AS a USING (VALUES (1, 'one'), (6, NULL), (7, 'seven')) AS v (id, name) ON a.id = v.id
WHEN MATCHED AND v.name IS NULL THEN DELETE
WHEN MATCHED THEN UPDATE SET name = v.name
WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name);
SELECT * FROM tools.news();
-- What deferred constraint triggers write comes before the closing record.
CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE shop.accounts SET balance = balance + new.amount WHERE id = new.account;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER settle AFTER INSERT ON entries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle();
BEGIN;
INSERT INTO entries (account, amount) VALUES (1, 100), (1, 1);
UPDATE accounts SET name = 'before' WHERE id = 1;
COMMIT;
SELECT * FROM tools.news();
-- A deferred constraint that fails takes all of it away.
BEGIN;
ALTER TABLE entries ALTER CONSTRAINT entries_account_fkey DEFERRABLE INITIALLY DEFERRED;
INSERT INTO entries (account, amount) VALUES (999, 1);
COMMIT;
SELECT * FROM tools.news();
-- A replication worker's role does not pass us by.
SET session_replication_role = replica;
INSERT INTO accounts VALUES (8, 'worker');
TRUNCATE tags;
RESET session_replication_role;
SELECT * FROM tools.news();
-- TRUNCATE of several, by cascade.
BEGIN;
INSERT INTO accounts VALUES (9, 'nine');
TRUNCATE accounts CASCADE;
INSERT INTO accounts VALUES (10, 'ten');
COMMIT;
SELECT * FROM tools.news();
-- A row that moves from one registered partition to another leaves the one and comes into the other.
CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (20);
SELECT paysync.register('low'), paysync.register('high');
INSERT INTO parted VALUES (1, 'a'), (11, 'b');
UPDATE parted SET id = 12 WHERE id = 1;
SELECT * FROM tools.news();
-- Names and values are what they are; wholly strange names too.
CREATE TABLE "Größe ""x""" ("Schlüssel %s" int PRIMARY KEY, "a.b" text);
SELECT paysync.register('"Größe ""x"""');
INSERT INTO "Größe ""x""" VALUES (1, E'\u00e4 \U0001F600 "quoted" \\ \t');
SELECT * FROM tools.news();
-- What the session says of itself is carried: in the closing record only.
SET paysync.origin = 'there';
SET paysync.context = 'trace';
INSERT INTO accounts VALUES (30, 'with context');
SELECT * FROM tools.news();
SELECT set_config('paysync.origin', repeat('o', 256), false);
SELECT set_config('paysync.context', repeat('o', 1024), false);
