-- Settings of the outbox hold for all of it: what counts is what the database or the server says, not who happens to ask.

CREATE OR REPLACE FUNCTION server_setting(name text) RETURNS text STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_server_setting';
CREATE OR REPLACE FUNCTION parse_setting(name text, candidates text[]) RETURNS bigint STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_parse_setting';

-- What ALTER DATABASE or ALTER ROLE ALL say, as it was given.
CREATE OR REPLACE FUNCTION stored_setting(name text, of_database oid) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT substr(c, length(stored_setting.name) + 2) FROM pg_db_role_setting AS s, unnest(s.setconfig) AS c
    WHERE s.setdatabase = of_database AND s.setrole = 0 AND split_part(c, '=', 1) = stored_setting.name
$$;

-- A setting of the outbox in bytes, in seconds, or as the number of the choice. The files are read only where the session does not know
-- what the server says.
CREATE OR REPLACE FUNCTION outbox_setting(name text) RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.parse_setting(name, ARRAY[
        paysync.stored_setting(name, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())),
        coalesce(paysync.server_setting(name), paysync.stored_setting(name, 0),
                 (SELECT f.setting FROM pg_file_settings AS f WHERE f.name = outbox_setting.name AND f.error IS NULL ORDER BY f.seqno DESC LIMIT 1))])
$$;
