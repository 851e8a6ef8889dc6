-- Rule: every value has the one form that docs/wire.md §2 gives its type, arrays natively, whatever the session has set.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE DOMAIN words AS text[];
CREATE DOMAIN code AS integer CHECK (VALUE > 0);
CREATE DOMAIN codes AS code[];
CREATE TYPE mood AS ENUM ('sad', 'ünd');
CREATE TYPE pair AS (at timestamptz, amount numeric);

-- The form of each type, and its name.
CREATE TABLE every (id int PRIMARY KEY, f4 real, f8 float8, ba bytea, d date, i2 smallint[], i4 int[], i8 bigint[], n numeric[], b bool[], ts timestamp[], tz timestamptz[],
    u uuid[], j json[], jb jsonb[], t text[], vc varchar(5)[], c char(3)[], f4a real[], f8a float8[], bya bytea[], da date[], o oid[], w words, wa words[], co code[], cs codes,
    m mood[], p pair[], iv interval[], dr daterange[], bx box[], i2v int2vector, ov oidvector, na name[]);
SELECT paysync.register('every');
SELECT s.number, s.name, s.type, s.form FROM paysync.shape_columns(paysync.note_shape('every')) AS s;

-- Single values.
INSERT INTO every (id, f4, f8, ba, d) VALUES (1, 1.1, 0.1::float8 + 0.2, '\x00ff5c27', '2026-02-03'), (2, 'NaN', '-Infinity', '', 'infinity'),
    (3, 3.4e38, 5e-324, '\x', '-infinity'), (4, 1, 1e22, NULL, '4713-01-01 BC'), (5, NULL, NULL, NULL, '5874897-12-31');
SELECT new -> 'id' AS id, (new ->> 'f4')::float4 AS f4, (new ->> 'f8')::float8 AS f8, new -> 'ba' AS ba, new -> 'd' AS d FROM tools.news();

-- A float without a fraction is a float still, and -0 is not 0.
INSERT INTO every (id, f4, f8) VALUES (6, -7, '-0');
SELECT position('\xcac0e00000cb8000000000000000' IN payload) > 0 AS exactly FROM paysync.closing_0 ORDER BY order_key DESC LIMIT 1;
SELECT new -> 'id' AS id FROM tools.news();

-- Arrays of every type.
INSERT INTO every (id, i2, i4, i8, n, b, ts, tz, u, j, jb, t, vc, c, f4a, f8a, bya, da, o, w, wa, co, cs, m, p, iv, dr, bx, i2v, ov, na) VALUES (1 + 10,
    '{1,NULL,-32768}', '{2147483647}', '{9223372036854775807}', '{1.10,NaN,NULL,-Infinity}', '{t,f,NULL}', '{"2026-02-03 04:05:06.000007",infinity}', '{"2026-02-03 04:05:06+02",-infinity}',
    '{00000000-0000-0000-0000-00000000000f}', ARRAY['{"b": 1,  "a": 2}'::json, 'null'], ARRAY['{"b": 1,  "a": 2}'::jsonb, NULL], '{a,"b ,\"c\\",NULL,"NULL",""}', '{äöü}', '{x}', '{1.1,-0,NaN}',
    '{1.1,Infinity}', ARRAY['\x00ff'::bytea, '', NULL], '{2026-02-03,infinity}', '{4294967295}', '{x,"y z"}', '{"{p,\"q r\"}","{}"}', '{1,2}', '{3,NULL}', '{sad,ünd}',
    ARRAY['("2026-02-03 04:05:06+00",1.50)'::pair], '{"1 day 02:03:04"}', '{"[2026-01-01,2026-02-01)",empty}', '{(1,1),(0,0);(2,2),(1,1)}', '1 2 3', '4 5', '{a,b}');
SELECT e.k, e.v FROM tools.news(), jsonb_each(jsonb_strip_nulls(new)) AS e (k, v) ORDER BY e.k COLLATE "C";

-- Dimensions, emptiness, lower bounds.
INSERT INTO every (id, i4, t, f8a, tz) VALUES (21, '{}', '{}', '{}', '{}'), (22, '{{1,2},{3,NULL}}', '{{{a,b},{c,d}},{{e,f},{g,NULL}}}', '{{{{{{1.5}}}}}}', '{{infinity}}'),
    (23, '[0:1]={1,2}', '[2:3][-1:0]={{a,b},{c,d}}', '[2:2]={0.1}', '[0:0]={"2026-02-03 04:05:06+00"}'), (24, '[1:2][2:2]={{1},{2}}', NULL, NULL, NULL);
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET search_path = pg_catalog;
UPDATE shop.every SET id = id + 100;
RESET ALL;
SET search_path = shop, public;
SELECT new -> 'id' AS id, new -> 'i4' AS i4, new -> 't' AS t, new -> 'f8a' AS f8a, new -> 'tz' AS tz FROM tools.news() WHERE (new ->> 'id')::int % 100 > 20;
SELECT count(*), count(DISTINCT e.new - 'id') FROM paysync.peek(NULL, NULL) AS e WHERE table_name = 'shop.every';

-- Text of an array is the same for all sessions also where nothing else in the row is text.
CREATE TABLE arrays (id int PRIMARY KEY, tz timestamptz[], f float8[], b bytea[]);
SELECT paysync.register('arrays');
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
INSERT INTO arrays VALUES (1, '[0:0]={"03.02.2026 04:05:06+00"}', '[0:0]={0.1234567890123}', '[0:0]={"\\\\x0001"}');
SHOW TimeZone;
RESET ALL;
SET search_path = shop, public;
SELECT new FROM tools.news();

-- Long ones, past what is packed between two looks for an interrupt; each is what the server's own function makes of it.
INSERT INTO every (id, i4, n, t, b) SELECT 1000 + l, array_agg(i ORDER BY i), array_agg(i::numeric / 4 ORDER BY i), array_agg('x' || i ORDER BY i), array_agg(nullif(i % 3, 2)::boolean ORDER BY i)
FROM (VALUES (1), (1023), (1024), (1025), (2048), (5000)) AS lengths (l), generate_series(1, l) AS i GROUP BY l;
SELECT (c.new ->> 'id')::int - 1000 AS length, c.new -> 'i4' = to_jsonb(e.i4) AS i4, c.new -> 'n' = to_jsonb(e.n::text[]) AS n, c.new -> 't' = to_jsonb(e.t) AS t, c.new -> 'b' = to_jsonb(e.b) AS b
FROM tools.news() AS c JOIN every AS e ON e.id = (c.new ->> 'id')::int ORDER BY 1;
-- A key may be an array, and a float.
CREATE TABLE keyed (k int[], f float8, PRIMARY KEY (f, k));
SELECT paysync.register('keyed');
INSERT INTO keyed VALUES ('{1,NULL}', 1.5);
UPDATE keyed SET k = '[0:1]={1,NULL}';
UPDATE keyed SET f = -f;
DELETE FROM keyed;
SELECT op, key, old, new FROM tools.news();
