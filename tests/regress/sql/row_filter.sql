-- Rule: with a row filter subscribers see exactly the rows that pass it, coming and going; only an expression that decides by the row is one.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE payments (id int PRIMARY KEY, currency text, amount numeric, n bigint, at timestamptz);
-- What can be a filter, and how it is written down.
SELECT paysync.check_row_filter('payments', f) FROM unnest(ARRAY['currency = ''EUR''', 'amount>5 and (currency in (''EUR'', ''USD''))', 'true', 'at > ''2026-01-01 00:00:00+01''', 'currency like ''E%''',
    'case when n = 0 then true else amount / n > 1 end', 'currency collate "C" < ''z''', 'n = any (array[1, 2])', 'currency = E''\\'' OR currency = ''it''''s''', 'amount is distinct from ''NaN''']) AS f;
SET DateStyle = 'German';
SET TimeZone = 'Asia/Kolkata';
SET standard_conforming_strings = off;
SELECT paysync.check_row_filter('payments', 'at > ''03.02.2026 00:00:00'' and currency <> ''a\\\\b''');
RESET ALL;
SET search_path = shop, public;
-- What cannot, and why.
SELECT f, tools.attempt(format('SELECT paysync.check_row_filter(''payments'', %L)', f)) AS says FROM unnest(ARRAY['n', 'currency', 'nothing = 1', 'amount >', '', '-- true',
    'true; DROP TABLE payments', 'true FROM pg_class', 'true WHERE false', 'true AS x', 'true, false', '*', 'payments.*', 'DISTINCT true', 'true ORDER BY 1', 'true LIMIT 1', 'true FOR UPDATE',
    'true UNION SELECT false', 'SELECT true', '(SELECT true)', 'EXISTS (SELECT FROM payments)', 'n IN (SELECT 1)', 'count(*) > 1', 'sum(n) OVER () > 1', 'generate_series(1, 2) = 1', 'ctid IS NULL',
    'tableoid = 1', 'payments IS NULL', 'at > now()', 'random() > 0.5', 'currency = current_user', 'at::text = ''x''', '$1', 'DEFAULT']) AS f;
CREATE FUNCTION pg_temp.mine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN pg_temp.word AS text;
SELECT f, tools.attempt(format('SELECT paysync.check_row_filter(''payments'', %L)', f)) AS says FROM unnest(ARRAY['pg_temp.mine(currency)', 'currency::pg_temp.word = ''x''']) AS f;
-- Functions run as the table's owner while it is checked, not as who asks.
CREATE ROLE regress_filter_owner;
GRANT USAGE, CREATE ON SCHEMA shop TO regress_filter_owner;
CREATE TABLE theirs (id int PRIMARY KEY, who text);
ALTER TABLE theirs OWNER TO regress_filter_owner;
CREATE FUNCTION shout(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'run by %', current_user; RETURN true; END $$;
SELECT paysync.check_row_filter('theirs', 'shop.shout(''x'')');
DROP TABLE theirs;
REVOKE ALL ON SCHEMA shop FROM regress_filter_owner;
DROP ROLE regress_filter_owner;

-- Rows that enter and leave. Unknown counts as false.
SELECT paysync.register('payments', row_filter => 'currency = ''EUR'' AND amount > 0', columns => '{id, amount}');
SELECT row_filter FROM paysync.registration;
INSERT INTO payments VALUES (1, 'EUR', 1), (2, 'USD', 1), (3, NULL, 1), (4, 'EUR', NULL);
UPDATE payments SET currency = 'EUR' WHERE id = 2;
UPDATE payments SET currency = NULL WHERE id = 1;
UPDATE payments SET amount = 2 WHERE id IN (2, 3);
UPDATE payments SET id = 22 WHERE id = 2;
UPDATE payments SET id = 44, amount = 4 WHERE id = 4;
UPDATE payments SET id = -id, amount = 0 WHERE id = 44;
DELETE FROM payments;
SELECT tx, op, key, old, new FROM tools.news();
-- Moved in one statement, with triggers that change the same rows again: what is seen in the end is what passes.
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE payments SET amount = -amount WHERE id = new.id + 1 AND pg_trigger_depth() < 3;
    RETURN NULL;
END $$;
CREATE TRIGGER again AFTER UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO payments SELECT i, 'EUR', i * (CASE i % 2 WHEN 0 THEN 1 ELSE -1 END) FROM generate_series(1, 40) AS i;
UPDATE payments SET amount = amount + 5;
UPDATE payments SET amount = -amount WHERE id % 3 = 0;
CREATE TABLE replica.payments (id int PRIMARY KEY, amount numeric);
DELETE FROM replica.payments;
CALL tools.replay();
SELECT count(*) AS rows, bool_and(p.amount IS NOT DISTINCT FROM r.amount) AS equal
FROM (SELECT id, amount FROM payments WHERE currency = 'EUR' AND amount > 0) AS p FULL JOIN replica.payments AS r USING (id);
DROP TRIGGER again ON payments;
SELECT count(*) > 0 AS news FROM tools.news();
-- Errors of the expression are the writer's. The row is not written.
SELECT paysync.alter_registration('payments', row_filter => '1 / n > 0');
\set SHOW_CONTEXT always
INSERT INTO payments VALUES (100, 'EUR', 1, 0);
\set SHOW_CONTEXT never
SELECT count(*) FROM payments WHERE id = 100;
-- A function that it calls cannot be replaced: rows would enter and leave without a word. Where no event trigger tells, it decides
-- from then on, also one that the server writes into the expression.
CREATE FUNCTION wanted(currency text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT currency = 'EUR' $$;
SELECT paysync.alter_registration('payments', row_filter => 'shop.wanted(currency)');
SELECT count(*) > 0 AS news FROM tools.news();
INSERT INTO payments VALUES (101, 'EUR', 1), (102, 'USD', 1);
CREATE OR REPLACE FUNCTION wanted(currency text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT currency = 'USD' $$;
ALTER EVENT TRIGGER "!paysync_ddl" DISABLE;
CREATE OR REPLACE FUNCTION wanted(currency text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT currency = 'USD' $$;
INSERT INTO payments VALUES (103, 'EUR', 1), (104, 'USD', 1);
SELECT op, new FROM tools.news();
-- It is evaluated as the writer, who must be allowed to call what it calls.
CREATE ROLE regress_filter_writer;
GRANT USAGE ON SCHEMA shop TO regress_filter_writer;
GRANT INSERT ON payments TO regress_filter_writer;
CREATE OR REPLACE FUNCTION wanted(currency text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN currency = 'USD'; END $$;
REVOKE EXECUTE ON FUNCTION wanted FROM PUBLIC;
INSERT INTO payments VALUES (105, 'USD', 1);
SET ROLE regress_filter_writer;
INSERT INTO payments VALUES (110, 'USD', 1);
RESET ROLE;
INSERT INTO payments VALUES (110, 'USD', 1);
REVOKE ALL ON payments FROM regress_filter_writer;
REVOKE ALL ON SCHEMA shop FROM regress_filter_writer;
DROP ROLE regress_filter_writer;
-- A function that says it is immutable and writes all the same is found out.
CREATE FUNCTION writes() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO payments VALUES (1000, 'USD', 1); RETURN true; END $$;
CREATE OR REPLACE FUNCTION wanted(currency text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN writes(); END $$;
INSERT INTO payments VALUES (106, 'USD', 1);
CREATE OR REPLACE FUNCTION wanted(currency text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN writes(); EXCEPTION WHEN OTHERS THEN RETURN true; END $$;
ALTER EVENT TRIGGER "!paysync_ddl" ENABLE ALWAYS;
INSERT INTO payments VALUES (107, 'USD', 1);
SELECT op, new FROM tools.news();
