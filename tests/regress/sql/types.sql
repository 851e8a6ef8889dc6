-- Values are carried exactly: every form of the wire format, and every other type as its text.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE forms (id int PRIMARY KEY, i2 smallint, i4 integer, i8 bigint, o oid, n numeric, n2 numeric(12,2), b boolean,
                    ts timestamp, tz timestamptz, u uuid, j json, jb jsonb, t text, c char(5), vc varchar(5));
SELECT paysync.register('forms');
INSERT INTO forms VALUES
    (1, 32767, 2147483647, 9223372036854775807, 4294967295, 'NaN', 1, true, 'infinity', 'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '1', '1', '', '', ''),
    (2, -32768, -2147483648, -9223372036854775808, 0, 'Infinity', -0.01, false, '-infinity', '-infinity', '00000000-0000-0000-0000-000000000000', 'null', 'null', 'x', 'x', 'x'),
    (3, 0, 0, 0, 1, '-Infinity', 1234567890.12, NULL, '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC', NULL, NULL, NULL, NULL, NULL, NULL),
    (4, -1, -1, -1, 2147483648, 1.10, 0, NULL, '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', NULL, '{"b": 1,  "a": [1, 2.50, 1e3], "b": "twice"}',
     '{"b": 1,  "a": [1, 2.50, 1e3], "b": "twice"}', E'\u00fc\U0001F4B6\n\t\\"\u0001', 'ü', '€€€€€'),
    (5, 1, 1, 1, 1, 12345678901234567890123456789012345678901234567890.000000000000000000000000000001, 1, NULL,
     '1999-12-31 23:59:59.000001', '2000-01-01 00:00:00+14', NULL, '""', '""', NULL, NULL, NULL),
    (6, 1, 1, 1, 1, 0.00, 1, NULL, '0001-12-31 12:00:00 BC', '1883-11-18 12:03:58-04:56:02', NULL, '[]', '{}', NULL, NULL, NULL);
\x on
SELECT new - '{id,i2,i4,i8,o,n,n2,b}'::text[] AS rest, jsonb_object_agg(k, v) FILTER (WHERE k IN ('id', 'i2', 'i4', 'i8', 'o', 'n', 'n2', 'b')) AS numbers
FROM tools.news() WITH ORDINALITY AS c (tx, channel, table_name, op, key, old, new, at), jsonb_each(new) AS e (k, v) GROUP BY new, at ORDER BY at;
\x off
-- The stored row comes back from what was captured.
CALL tools.copy_tables('forms');
ALTER TABLE forms DROP COLUMN j, DROP COLUMN jb;
ALTER TABLE replica.forms DROP COLUMN j, DROP COLUMN jb;
CALL tools.replay();
SELECT tools.compare('forms');

-- All else is text, whatever the session has set; so is timestamptz, jsonb of another order, and a name by the search path.
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'ünd');
CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
CREATE DOMAIN link AS regclass;
CREATE DOMAIN words AS text[];
CREATE TYPE pair AS (at timestamptz, amount numeric);
CREATE TYPE ref AS (table_name regclass);
CREATE TYPE span AS RANGE (subtype = timestamptz);
CREATE TABLE texts (id int PRIMARY KEY, d date, t time, ttz timetz, iv interval, f4 real, f8 float8, ba bytea, ip inet, m macaddr,
    m1 mood, c cents, l link, w words, ta text[], da timestamptz[], p pair, pa pair[], r ref, ra regclass[], s span, dr daterange, mr datemultirange,
    rc regclass, rt regtype, rp regproc, rr regrole, x xml, bi bit(3), tv tsvector, pt point, ch "char", nm name);
SELECT paysync.register('texts');
CREATE FUNCTION fill(first int) RETURNS void LANGUAGE sql SET search_path = shop, public AS $$
    INSERT INTO texts VALUES (first, '2026-02-03', '04:05:06.7', '04:05:06+03', '-1 year 2 mons -3 days 04:05:06.7', 1.1, 0.1::float8 + 0.2, '\x00ff5c27', '10.1.2.3/8', '08:00:2b:01:02:03',
        'it''s ok', 7, 'texts', '{a,NULL,"b c"}', '{}', '{2026-02-03 04:05:06+00,infinity}', '("2026-02-03 04:05:06+00",1.50)', '{"(,1.0)"}', '(texts)', '{texts,pg_class}',
        '[2026-02-03 04:05:06+00,)', '[2026-01-01,2026-02-01)', '{[2026-01-01,2026-01-03)}', 'texts', 'mood', 'now', current_user::regrole, '<a/>', B'101', 'a:1 b:2', '(1.5,-0)', 'x', 'n'),
        (first + 1, 'infinity', '24:00', '00:00+00', '0', 'NaN', '-Infinity', '', '::1', NULL, 'sad', 0, 'pg_class', '{}', '{{1,2},{3,4}}', '{}', '(,)', '{}', '()', '{}', 'empty',
        'empty', '{}', 'pg_class', 'int', 'pg_catalog.now', NULL, NULL, B'000', '', '(NaN,1e300)', '', '');
    UPDATE texts SET id = -id WHERE id IN (first, first + 1);
$$;
SELECT fill(1);
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = 0;
SET bytea_output = 'escape';
SET quote_all_identifiers = on;
SELECT fill(1001);
INSERT INTO forms (id, tz) VALUES (7, '2026-02-03 04:05:06+00');
SET search_path = pg_catalog;
SELECT shop.fill(2001);
SET TimeZone = 'America/St_Johns';
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -15;
SELECT shop.fill(3001);
-- Capture leaves the settings as they were.
SELECT name, setting FROM pg_settings
WHERE name IN ('TimeZone', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output', 'quote_all_identifiers', 'search_path') ORDER BY 1;
RESET ALL;
SET search_path = shop, public;
-- One text for all sessions.
SELECT count(*), count(DISTINCT new - 'id') AS rows, count(DISTINCT channel) AS channels FROM paysync.peek(NULL, NULL) WHERE table_name = 'shop.texts';
\x on
SELECT DISTINCT e.k, min(e.v::text) FILTER (WHERE (new ->> 'id')::int % 2 <> 0) AS odd, min(e.v::text) FILTER (WHERE (new ->> 'id')::int % 2 = 0) AS even
FROM paysync.peek(NULL, NULL), jsonb_each(new - 'id') AS e (k, v) WHERE table_name = 'shop.texts' GROUP BY 1 ORDER BY 1;
\x off
SELECT new ->> 'tz' AS tz FROM paysync.peek(NULL, NULL) WHERE key = '{"id": 7}';
-- The same with the exact floats of every setting: shortest text that reads back the same.
SET extra_float_digits = 3;
INSERT INTO texts (id, f4, f8) VALUES (9001, 0.1::real / 3, 1::float8 / 3);
SET extra_float_digits = 0;
INSERT INTO texts (id, f4, f8) VALUES (9002, 0.1::real / 3, 1::float8 / 3);
RESET extra_float_digits;
SELECT new ->> 'f4' AS f4, new ->> 'f8' AS f8 FROM paysync.peek(NULL, NULL) WHERE new ->> 'id' IN ('9001', '9002');
SELECT count(DISTINCT f4) + count(DISTINCT f8) AS two FROM (
    SELECT (new ->> 'f4')::real AS f4, (new ->> 'f8')::float8 AS f8 FROM paysync.peek(NULL, NULL) WHERE new ->> 'id' IN ('9001', '9002')
    UNION ALL SELECT f4, f8 FROM texts WHERE id > 9000) AS v;
-- What a shape says of the columns: types as SQL names them, forms in docs/wire.md §2.
SELECT table_name, channel, count(*) FROM paysync.shapes GROUP BY 1, 2 ORDER BY 1, 2;
