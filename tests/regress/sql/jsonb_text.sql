-- Rule: jsonb is captured as the text that the server prints, byte for byte.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE docs (id int PRIMARY KEY, doc jsonb, docs jsonb[]);
SELECT paysync.register('docs');
-- Scalars, which are kept as arrays of one; empty ones; every character that has an escape; numbers that no float holds.
INSERT INTO docs SELECT n, d::jsonb FROM unnest(ARRAY['null', 'true', 'false', '0', '-1.50', '1e30', '12345678901234567890.123456789', '"text"', '""', '[]', '{}', '[[]]', '[{}]', '{"": {}}',
    '[null, true, false, 1, "a", [2, [3]], {"b": [4, {"c": null}]}]', '{"a": 1, "b": {"c": [1, 2], "d": {}}, "e": "f"}', '{"quote\"back\\slash": "\b\f\n\r\t/\u0001\u001f\u007f"}',
    '"ünïcödé 漢字 😀"', '[1, [], {}, [], "x"]', '{"x": [], "y": {}, "z": [{}]}']) WITH ORDINALITY AS t (d, n);
-- And such as nobody thought of.
SELECT setseed(0.5);
CREATE FUNCTION any_document(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    made jsonb;
    size CONSTANT int := floor(random() * 4);
BEGIN
    CASE floor(random() * (CASE WHEN depth > 0 THEN 7 ELSE 5 END))
        WHEN 0 THEN RETURN to_jsonb(round((random() * 1e6)::numeric, floor(random() * 5)::int));
        WHEN 1 THEN RETURN to_jsonb(random() < 0.5);
        WHEN 2 THEN RETURN 'null';
        WHEN 3, 4 THEN RETURN to_jsonb((SELECT coalesce(string_agg(chr(1 + floor(random() * 300)::int), ''), '') FROM generate_series(1, floor(random() * 6)::int)));
        WHEN 5 THEN made := '[]';
        ELSE made := '{}';
    END CASE;
    FOR i IN 1 .. size LOOP
        made := made || CASE jsonb_typeof(made) WHEN 'array' THEN jsonb_build_array(any_document(depth - 1)) ELSE jsonb_build_object(chr(1 + floor(random() * 300)::int) || i, any_document(depth - 1)) END;
    END LOOP;
    RETURN made;
END $$;
INSERT INTO docs SELECT n, any_document(4) FROM generate_series(101, 600) AS n;
INSERT INTO docs SELECT n, NULL, ARRAY[any_document(3), any_document(3)] FROM generate_series(1001, 1100) AS n;
-- A transaction's changes are one run of bytes: its parts, and of its closing record the end.
SELECT count(*) AS documents, count(*) FILTER (WHERE position(convert_to(d.doc::text, 'UTF8') IN s.bytes) = 0) AS otherwise
FROM (SELECT doc FROM docs WHERE doc IS NOT NULL UNION ALL SELECT unnest(docs) FROM docs) AS d,
    (SELECT string_agg(coalesce(k.bytes, '') || substr(c.payload, length(c.payload) - (h.bytes - coalesce(length(k.bytes), 0))::int + 1), '') AS bytes
     FROM paysync.closing_0 AS c CROSS JOIN paysync.read_closing(c.payload) AS h
     LEFT JOIN (SELECT xid, string_agg(payload, '' ORDER BY part) AS bytes FROM paysync.chunk_0 GROUP BY xid) AS k USING (xid)) AS s;
