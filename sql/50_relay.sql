-- What the relay calls (docs/outbox.md section 6). Granted by grant_relay().

CREATE OR REPLACE FUNCTION try_lease() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_try_lease';

-- Holds the fencing row until the end of the transaction against take-overs and switches, but not against ticks; or finds that another
-- relay leads.
CREATE OR REPLACE FUNCTION check_fence(epoch bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leader bigint;
BEGIN
    SELECT f.epoch INTO leader FROM paysync.fence AS f FOR KEY SHARE;
    IF leader IS DISTINCT FROM check_fence.epoch THEN
        RAISE serialization_failure USING MESSAGE = format('epoch %s is fenced', epoch),
            DETAIL = format('Epoch %s has begun: another relay leads.', leader),
            HINT = 'This relay must stop, or wait for the lease and begin an epoch of its own.';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION lead(software text, OUT epoch bigint, OUT nonce text, OUT stream_id uuid, OUT head bigint, OUT version text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'a relay cannot lead on a standby',
            HINT = 'Ticks are cut on the primary: a standby shows transactions before they are safe.';
    END IF;
    IF NOT paysync.try_lease() THEN
        RAISE lock_not_available USING MESSAGE = 'another relay leads this database', HINT = 'It is shown in paysync.status.';
    END IF;
    -- What a subscriber is told of an epoch must outlive a crash, whatever the session's setting.
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- Waits for a tick and for acknowledgements of the leader before; from here on that one is fenced. An UPDATE alone would let them pass:
    -- it changes no key.
    PERFORM FROM paysync.fence FOR UPDATE;
    UPDATE paysync.fence AS f SET epoch = f.epoch + 1 RETURNING f.epoch INTO lead.epoch;
    head := paysync.head_number();
    nonce := left(replace(gen_random_uuid()::text, '-', ''), 8);
    UPDATE paysync.epochs AS e SET end_number = head WHERE e.end_number IS NULL;
    INSERT INTO paysync.epochs (epoch, nonce, start_number, software) VALUES (lead.epoch, lead.nonce, head, lead.software);
    IF EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.ephemeral) THEN
        DELETE FROM paysync.subscriber AS s WHERE s.ephemeral;
    END IF;
    PERFORM paysync.log_event('take_over', format('epoch %s', lead.epoch), software);
    SELECT s.stream_id INTO lead.stream_id FROM paysync.stream AS s;
    SELECT e.extversion INTO version FROM pg_extension AS e WHERE e.extname = 'paysync';
END $$;

CREATE OR REPLACE PROCEDURE next_tick(epoch bigint, wait_ms integer, pace_ms integer, INOUT head bigint)
LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_cut_next_tick';

CREATE OR REPLACE FUNCTION read_transactions(first_number bigint, after_part integer, max_bytes integer,
    OUT number bigint, OUT epoch bigint, OUT nonce text, OUT xid bigint, OUT part integer, OUT payload bytea)
RETURNS SETOF record STRICT LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_read_transactions';

CREATE OR REPLACE FUNCTION read_page(first_number bigint, after_part integer, max_bytes integer) RETURNS SETOF bytea
STRICT LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_read_page';

CREATE OR REPLACE FUNCTION read_shapes(ids bigint[], OUT id bigint, OUT description bytea) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT s.id, s.description FROM paysync.shapes AS s WHERE s.id = ANY (ids) $$;

-- Is a position, which came with this stream id (null: none given), one of ours?
CREATE OR REPLACE FUNCTION check_stream(stream_id uuid) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ours CONSTANT uuid := (SELECT s.stream_id FROM paysync.stream AS s);
BEGIN
    IF check_stream.stream_id <> ours THEN
        RAISE SQLSTATE 'PS001' USING MESSAGE = 'the position is of another stream', DETAIL = format('This database''s stream is %s.', ours),
            HINT = 'The subscriber is connected to another database than before.';
    END IF;
END $$;

-- The last rows of a transaction, in order: its manifest, where that has parts of its own.
CREATE OR REPLACE FUNCTION read_manifest(number bigint, parts integer, OUT part integer, OUT payload bytea) RETURNS SETOF record
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place record;
    found_parts bigint;
BEGIN
    place := paysync.place_of(number);
    RETURN QUERY EXECUTE format('SELECT c.part, c.payload FROM (SELECT k.part, k.payload FROM paysync.chunk_%s AS k
        WHERE k.xid = $1 AND k.part > 0 ORDER BY k.part DESC LIMIT $2) AS c ORDER BY c.part', place.slot) USING place.xid, parts;
    GET DIAGNOSTICS found_parts = ROW_COUNT;
    IF found_parts <> parts THEN
        RAISE SQLSTATE 'PS010' USING MESSAGE = format('transaction %s has no manifest of %s parts', number, parts),
            HINT = 'The outbox was damaged or emptied by hand; subscribers behind this number need a new copy.';
    END IF;
END $$;

-- All changes of a transaction that were recorded in another order than rows changed, in the right one, cut into pieces at any byte.
CREATE OR REPLACE FUNCTION read_in_order(number bigint, OUT piece bigint, OUT payload bytea) RETURNS SETOF record
STRICT LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_read_in_order';

-- Makes a subscriber for one session. After a loss it comes back with a position.
CREATE OR REPLACE FUNCTION open_ephemeral(stream_id uuid, pos text, OUT name text, OUT number bigint, OUT channels text[], OUT revision bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    channels := ARRAY(SELECT DISTINCT r.channel FROM paysync.registration AS r ORDER BY r.channel);
    IF NOT 'default' = ANY (channels) THEN
        channels := channels || 'default'::text;
    END IF;
    name := '*' || gen_random_uuid();
    number := paysync.add_subscriber(name, channels, true);
    IF pos IS NOT NULL THEN
        PERFORM paysync.check_stream(open_ephemeral.stream_id);
        number := paysync.check_position(pos);
        UPDATE paysync.subscriber AS s SET start_number = open_ephemeral.number WHERE s.name = open_ephemeral.name;
    END IF;
    SELECT s.revision INTO revision FROM paysync.subscriber AS s WHERE s.name = open_ephemeral.name;
END $$;

CREATE OR REPLACE FUNCTION open_subscriber(INOUT name text, stream_id uuid, pos text, obeys_rewind boolean,
    OUT number bigint, OUT channels text[], OUT revision bigint, OUT skipped bigint[], OUT rewound text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    opened record;
    known paysync.subscriber;
    applied record;
BEGIN
    IF name = '*' THEN
        opened := paysync.open_ephemeral(stream_id, pos);
        name := opened.name;
        number := opened.number;
        channels := opened.channels;
        revision := opened.revision;
        skipped := '{}';
        RETURN;
    END IF;
    -- In one look: what it acknowledged, and by which revision of it.
    SELECT s AS subscriber, a.number, a.rewinding INTO applied
    FROM paysync.subscriber AS s JOIN paysync.acknowledged() AS a USING (id) WHERE s.name = open_subscriber.name AND NOT s.ephemeral;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber %L does not exist', left(name, 80)),
            HINT = 'SELECT paysync.create_subscriber(...), or check the name.';
    END IF;
    known := applied.subscriber;
    PERFORM paysync.check_stream(open_subscriber.stream_id);
    IF known.cut_off_at IS NOT NULL THEN
        RAISE SQLSTATE 'PS006' USING MESSAGE = format('subscriber "%s" was cut off', name),
            DETAIL = format('%s. The oldest number to go on after is %s.', known.cut_off_reason, paysync.oldest_number()),
            HINT = 'It needs a new copy; then paysync.replay() says from where it has everything.';
    ELSIF known.paused_at IS NOT NULL THEN
        RAISE SQLSTATE 'PS007' USING MESSAGE = format('subscriber "%s" is paused', name),
            DETAIL = format('Since %s.', known.paused_at), HINT = 'SELECT paysync.resume_subscriber(...).';
    END IF;
    channels := known.channels;
    revision := known.revision;
    rewound := CASE WHEN applied.rewinding THEN paysync.position_of(known.start_number) END;
    -- Its own position wins over the acknowledged one; a replay over both, where it is obeyed.
    number := CASE WHEN pos IS NULL OR (applied.rewinding AND obeys_rewind) THEN applied.number ELSE paysync.check_position(pos) END;
    skipped := ARRAY(SELECT p.number FROM paysync.parked_transaction AS p WHERE p.subscriber_id = known.id AND p.number > open_subscriber.number ORDER BY 1);
END $$;

CREATE OR REPLACE FUNCTION close_subscriber(name text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ DELETE FROM paysync.subscriber AS s WHERE s.name = close_subscriber.name AND s.ephemeral $$;

-- Sessions that are to be ended: their subscriber is gone, or is not as it was when they began.
CREATE OR REPLACE FUNCTION stale_sessions(names text[], revisions bigint[]) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT n.name FROM unnest(names, revisions) AS n (name, revision)
    WHERE NOT EXISTS (SELECT FROM paysync.subscriber AS s WHERE (s.name, s.revision) = (n.name, n.revision))
$$;

-- Appends what is known of all subscribers now. What a session of an older revision applied does not count; revision 0 says that only
-- `connected` and `errors` are told.
CREATE OR REPLACE FUNCTION acknowledge(epoch bigint, names text[], numbers bigint[], connected boolean[], revisions bigint[], errors text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    known paysync.all_acks;
    merged paysync.all_acks;
BEGIN
    PERFORM paysync.check_fence(epoch);
    known := paysync.last_ack();
    WITH said AS MATERIALIZED (
        SELECT g.name, g.number, g.connected, g.revision, nullif(g.error, '') AS error
        FROM unnest(acknowledge.names, acknowledge.numbers, acknowledge.connected, acknowledge.revisions, acknowledge.errors)
            AS g (name, number, connected, revision, error))
    SELECT known.id + 1, clock_timestamp(), array_agg(m.id ORDER BY m.id), array_agg(m.number ORDER BY m.id),
           array_agg(m.connected ORDER BY m.id), array_agg(m.last_seen ORDER BY m.id), array_agg(m.moved_at ORDER BY m.id),
           array_agg(m.rewinds ORDER BY m.id), array_agg(m.last_error ORDER BY m.id), array_agg(m.error_at ORDER BY m.id)
    INTO merged
    -- Not least(), which passes over a null: who is not named would be taken for one that has everything.
    FROM (SELECT s.id, s.rewinds,
                 greatest(s.start_number, old.number, CASE WHEN given.number > h.number THEN h.number ELSE given.number END) AS number,
                 coalesce(given.connected, told.connected, old.connected, false) AS connected,
                 CASE WHEN coalesce(given.connected, told.connected) THEN clock_timestamp() ELSE old.last_seen END AS last_seen,
                 CASE WHEN given.number > coalesce(old.number, s.start_number) OR coalesce(given.connected, told.connected) AND old.connected IS NOT TRUE
                           THEN clock_timestamp() ELSE old.moved_at END AS moved_at,
                 coalesce(given.error, told.error, old.last_error) AS last_error,
                 CASE WHEN coalesce(given.error, told.error) IS NOT NULL THEN clock_timestamp() ELSE old.error_at END AS error_at
          FROM paysync.subscriber AS s CROSS JOIN (SELECT paysync.head_number()) AS h (number)
          LEFT JOIN (SELECT o.id, o.connected, o.last_seen, o.moved_at, o.last_error, o.error_at, CASE WHEN o.rewinds = r.rewinds THEN o.number END AS number
                     FROM unnest(known.subscribers, known.numbers, known.connected, known.last_seen, known.moved_at, known.rewinds, known.last_errors, known.error_at)
                         AS o (id, number, connected, last_seen, moved_at, rewinds, last_error, error_at)
                     JOIN paysync.subscriber AS r USING (id)) AS old USING (id)
          LEFT JOIN (SELECT g.name, g.revision, max(g.number) AS number, bool_or(g.connected) AS connected, max(g.error) AS error FROM said AS g
                     GROUP BY 1, 2) AS given ON (given.name, given.revision) = (s.name, s.revision)
          LEFT JOIN (SELECT g.name, bool_or(g.connected) AS connected, max(g.error) AS error FROM said AS g
                     WHERE g.revision = 0 GROUP BY 1) AS told ON told.name = s.name) AS m;
    EXECUTE format('INSERT INTO paysync.ack_%s SELECT $1, $2, coalesce($3, ''{}''), coalesce($4, ''{}''), coalesce($5, ''{}''), coalesce($6, ''{}''), coalesce($7, ''{}''),
                    coalesce($8, ''{}''), coalesce($9, ''{}''), coalesce($10, ''{}'')', (SELECT r.slot FROM paysync.ring AS r WHERE r.current))
    USING merged.id, merged.at, merged.subscribers, merged.numbers, merged.connected, merged.last_seen, merged.moved_at,
          merged.rewinds, merged.last_errors, merged.error_at;
    -- Who was told that it was cut off needs a new copy now, and knows it.
    IF EXISTS (SELECT FROM paysync.subscriber AS s JOIN unnest(names, errors) AS g (name, error) USING (name)
               WHERE s.cut_off_at IS NOT NULL AND s.told_at IS NULL AND g.error LIKE '205%') THEN
        UPDATE paysync.subscriber AS s SET told_at = clock_timestamp() FROM unnest(names, errors) AS g (name, error)
        WHERE g.name = s.name AND s.cut_off_at IS NOT NULL AND s.told_at IS NULL AND g.error LIKE '205%';
    END IF;
END $$;
