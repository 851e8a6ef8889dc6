-- What is worth knowing later: paysync.log.

CREATE OR REPLACE FUNCTION log_event(event text, subject text, detail text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
$$ BEGIN INSERT INTO paysync.log_entry (event, subject, detail) VALUES (event, subject, detail); END $$;

-- The newest thousand stay.
CREATE OR REPLACE FUNCTION prune_log() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest CONSTANT bigint := (SELECT l.id FROM paysync.log_entry AS l ORDER BY l.id DESC OFFSET 1000 LIMIT 1);
BEGIN
    IF oldest IS NOT NULL THEN
        DELETE FROM paysync.log_entry AS l WHERE l.id <= oldest;
    END IF;
END $$;
