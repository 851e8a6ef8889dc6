-- Keys of hmac masks. Only the extension's owner may call these. No check of a table is left to fail with a secret in it, since
-- the server writes a failing row into the log.

-- The tables whose masks use a key.
CREATE OR REPLACE FUNCTION users_of_mask_key(name text) RETURNS SETOF regclass LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.table_oid FROM paysync.registration AS r
    WHERE EXISTS (SELECT FROM jsonb_each(r.masks) AS m WHERE m.value ->> 'mask' = 'hmac' AND m.value ->> 'key' = users_of_mask_key.name)
    ORDER BY r.table_oid::text
$$;

CREATE OR REPLACE FUNCTION set_mask_key(name text, secret bytea) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known paysync.mask_key;
    member regclass;
BEGIN
    IF name IS NULL OR name !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('invalid name of a mask key %L', left(name, 80)),
            HINT = 'A name is 1 to 32 characters of A-Z a-z 0-9 _ - . and begins with a letter, a digit or _.';
    END IF;
    IF secret IS NULL OR octet_length(secret) < 16 THEN
        RAISE invalid_parameter_value USING MESSAGE = format('the secret of mask key "%s" is too short', name),
            DETAIL = format('It has %s bytes.', coalesce(octet_length(secret), 0)), HINT = 'Take at least 16 random bytes.';
    END IF;
    -- The table's lock is for two that set the same key at once. Sessions that write wait in the lock of their table, and read the
    -- key after it.
    LOCK TABLE paysync.mask_key IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO known FROM paysync.mask_key AS k WHERE k.name = set_mask_key.name;
    IF FOUND AND known.secret = secret THEN
        RAISE NOTICE 'mask key "%" has that secret already', name;
        RETURN;
    END IF;
    PERFORM paysync.lock_writers(ARRAY(SELECT t FROM paysync.users_of_mask_key(name) AS u, paysync.tree(u) AS t ORDER BY t));
    IF known.name IS NULL THEN
        INSERT INTO paysync.mask_key (name, secret) VALUES (set_mask_key.name, set_mask_key.secret);
    ELSE
        UPDATE paysync.mask_key AS k SET secret = set_mask_key.secret, rotated_at = now(), rotations = k.rotations + 1 WHERE k.name = set_mask_key.name;
    END IF;
    FOR member IN SELECT paysync.users_of_mask_key(name) LOOP
        PERFORM paysync.forget(t) FROM paysync.tree(member) AS t;
        IF known.name IS NOT NULL THEN
            PERFORM paysync.record_gap(coalesce(c.shape, paysync.note_shape(o)), format('mask key "%s" was rotated', name))
            FROM paysync.registration AS r, paysync.reporters(r) AS o LEFT JOIN paysync.captured AS c ON c.relation = o WHERE r.table_oid = member ORDER BY o;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION set_mask_key IS 'the secret of an hmac mask, at least 16 bytes; one that exists is rotated. Give the secret as a parameter, which the log does not show';

CREATE OR REPLACE FUNCTION drop_mask_key(name text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := ARRAY(SELECT k.name FROM paysync.mask_key AS k ORDER BY k.name);
    users CONSTANT text := (SELECT string_agg('"' || u::text || '"', ', ') FROM paysync.users_of_mask_key(name) AS u);
BEGIN
    IF name IS NULL OR name <> ALL (known) THEN
        RAISE undefined_object USING MESSAGE = format('mask key "%s" does not exist', name),
            HINT = CASE WHEN known = '{}' THEN 'There is none.' ELSE paysync.nearest(coalesce(name, ''), known) END;
    END IF;
    IF users IS NOT NULL THEN
        RAISE dependent_objects_still_exist USING MESSAGE = format('mask key "%s" is in use', name), DETAIL = format('Masks of %s need it.', users),
            HINT = 'Change those with paysync.alter_registration() first.';
    END IF;
    DELETE FROM paysync.mask_key AS k WHERE k.name = drop_mask_key.name;
END $$;
COMMENT ON FUNCTION drop_mask_key IS 'forget a mask key that no table uses';
