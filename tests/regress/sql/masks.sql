-- Rule: a masked value is masked wherever the row is told, so that it never reaches the outbox; a token is the same for the same value.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
SELECT paysync.set_mask_key('k1', 'a secret of many bytes');
CREATE TABLE cards (id int PRIMARY KEY, gone text, nothing text, word numeric, tail text, ends varchar(30), padded char(20), token text, money numeric, at timestamptz, list int[], doc jsonb);
ALTER TABLE cards DROP COLUMN gone;
SELECT paysync.register('cards', old_values => 'full', masks => '{"nothing": "null", "word": {"mask": "text", "value": "«*»"}, "tail": "last4", "ends": "first6last4", "padded": "last4",
    "token": {"mask": "hmac", "key": "k1"}, "money": {"mask": "hmac", "key": "k1"}, "at": {"mask": "hmac", "key": "k1"}, "list": {"mask": "hmac", "key": "k1"}, "doc": {"mask": "hmac", "key": "k1"}}');
SELECT s.number, s.name, s.type, s.form FROM paysync.shape_columns(paysync.note_shape('cards')) AS s;
INSERT INTO cards VALUES
    (1, 'secret', 17, '4111111111111111', '4111111111111111', '4111111111111111', '4111111111111111', 1.50, '2026-02-03 04:05:06+00', '{1,2}', '{"a": 1}'),
    (2, 'secret', 18, '1234567', '123456789012', '1234567', '4111111111111111', 1.5, 'infinity', '[0:0]={1}', '[]'),
    (3, '', 0, '12345678', '1234567890123', '12345678', '', 0, NULL, '{}', NULL),
    (4, NULL, NULL, 'äöüßéñ€𝄞', 'äöüß€é---ñøåæ', 'äöü', 'äöü', NULL, NULL, NULL, NULL),
    (5, NULL, NULL, '', '', '', NULL, NULL, NULL, NULL, NULL);
SELECT new -> 'nothing' AS nothing, new -> 'word' AS word, new -> 'tail' AS tail, new -> 'ends' AS ends, new -> 'padded' AS padded FROM paysync.peek(NULL, NULL);
SELECT new -> 'id' AS id, c.name, c.value FROM tools.news(), jsonb_each_text(new) AS c (name, value) WHERE c.name IN ('token', 'money', 'at', 'list', 'doc') ORDER BY 1, 2;
-- HMAC-SHA-256 of the value's text, made by hand: H(k ^ opad, H(k ^ ipad, text)).
CREATE FUNCTION hmac(key bytea, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    padded bytea := key || decode(repeat('00', 64 - length(key)), 'hex');
    inner_pad bytea := padded;
    outer_pad bytea := padded;
BEGIN
    FOR i IN 0 .. 63 LOOP
        inner_pad := set_byte(inner_pad, i, get_byte(padded, i) # 54);
        outer_pad := set_byte(outer_pad, i, get_byte(padded, i) # 92);
    END LOOP;
    RETURN encode(sha256(outer_pad || sha256(inner_pad || convert_to(value, 'UTF8'))), 'hex');
END $$;
SELECT v, 'k1:' || hmac('a secret of many bytes', v) AS token FROM unnest(ARRAY['4111111111111111', 'äöü', '', '1.50', '2026-02-03 04:05:06+00', '{1,2}', '[0:0]={1}', '{"a": 1}']) AS v;
-- Old values are masked as well, and whatever the session has set, a token is the same.
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
UPDATE cards SET tail = '9999999999', nothing = 'other' WHERE id = 1;
DELETE FROM cards WHERE id = 1;
RESET ALL;
SET search_path = shop, public;
SELECT op, e.k, e.v FROM tools.news(), jsonb_each(jsonb_build_object('old', old - '{token,money,list,doc,padded,ends}'::text[], 'new', new - '{token,money,list,doc,padded,ends}'::text[])) AS e (k, v);
-- Nothing of the values is in the outbox, not even in its bytes.
CREATE FUNCTION in_outbox(value text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found boolean := false;
BEGIN
    FOR slot IN 0 .. 7 LOOP
        EXECUTE format('SELECT $1 OR EXISTS (SELECT FROM (SELECT payload FROM paysync.closing_%1$s UNION ALL SELECT payload FROM paysync.chunk_%1$s) AS p
                        WHERE position(convert_to($2, ''UTF8'') IN payload) > 0)', slot) INTO found USING found, value;
    END LOOP;
    RETURN found;
END $$;
SELECT v, in_outbox(v) FROM unnest(ARRAY['secret', '4111111111111111', '12345678901', '999999', '«*»', 'k1:']) AS v;

-- A key may be a token: it is found by it.
CREATE TABLE accounts (iban text PRIMARY KEY, owner text);
SELECT paysync.register('accounts', masks => '{"iban": {"mask": "hmac", "key": "k1"}}');
INSERT INTO accounts VALUES ('DE1', 'a');
UPDATE accounts SET owner = 'b';
UPDATE accounts SET iban = 'DE2';
DELETE FROM accounts;
SELECT op, key, old, new FROM tools.news();
SELECT 'k1:' || hmac('a secret of many bytes', 'DE1') AS de1, 'k1:' || hmac('a secret of many bytes', 'DE2') AS de2;
-- A filter must not look at it: an error in the filter would show the value.
SELECT paysync.alter_registration('accounts', row_filter => 'iban LIKE ''DE%''');
SELECT op FROM tools.news();
INSERT INTO accounts VALUES ('DE3', 'a');
SELECT op, new ->> 'iban' = 'k1:' || hmac('a secret of many bytes', 'DE3') AS is_de3 FROM tools.news();

-- Rotated: other tokens from then on, and a gap.
SELECT paysync.set_mask_key('k1', 'another secret of many bytes');
INSERT INTO accounts VALUES ('DE4', 'a');
SELECT op, table_name, new ->> 'iban' = 'k1:' || hmac('another secret of many bytes', 'DE4') AS is_new FROM tools.news();
-- Without its key nothing is written, as after a restore.
DELETE FROM paysync.mask_key;
SELECT paysync.forget('accounts');
SELECT tools.attempt('INSERT INTO accounts VALUES (''DE5'', ''a'')');
SELECT paysync.note_shape('accounts') > 0 AS described_all_the_same;
SELECT paysync.set_mask_key('k1', 'another secret of many bytes');
INSERT INTO accounts VALUES ('DE5', 'a');
SELECT op, new ->> 'iban' = 'k1:' || hmac('another secret of many bytes', 'DE5') AS is_same FROM tools.news() WHERE op = 'insert';

-- Renamed or of another type while nobody looks: refused, not sent as it is.
DO $$ DECLARE name text; BEGIN FOR name IN SELECT evtname FROM pg_event_trigger LOOP EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', name); END LOOP; END $$;
ALTER TABLE cards RENAME COLUMN nothing TO something;
SELECT tools.attempt('UPDATE cards SET something = ''open''');
ALTER TABLE cards RENAME COLUMN something TO nothing;
ALTER TABLE cards ALTER COLUMN tail TYPE bigint USING 1;
SELECT tools.attempt('UPDATE cards SET nothing = ''open''');
