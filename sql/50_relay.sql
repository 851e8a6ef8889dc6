-- What the relay calls (docs/outbox.md section 6). Granted by grant_relay().

CREATE OR REPLACE FUNCTION try_lease() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_try_lease';

-- Holds the fencing row until the end of the transaction, or finds that another relay leads.
CREATE OR REPLACE FUNCTION check_fence(epoch bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leader bigint;
BEGIN
    SELECT f.epoch INTO leader FROM paysync.fence AS f FOR SHARE;
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
    -- Waits for a tick of the leader before; from here on that one is fenced.
    UPDATE paysync.fence AS f SET epoch = f.epoch + 1 RETURNING f.epoch INTO lead.epoch;
    head := paysync.head_number();
    nonce := left(replace(gen_random_uuid()::text, '-', ''), 8);
    UPDATE paysync.epochs AS e SET end_number = head WHERE e.end_number IS NULL;
    INSERT INTO paysync.epochs (epoch, nonce, start_number, software) VALUES (lead.epoch, lead.nonce, head, lead.software);
    DELETE FROM paysync.subscriber AS s WHERE s.ephemeral;
    SELECT s.stream_id INTO lead.stream_id FROM paysync.stream AS s;
    SELECT e.extversion INTO version FROM pg_extension AS e WHERE e.extname = 'paysync';
END $$;

CREATE OR REPLACE PROCEDURE next_tick(epoch bigint, wait_ms integer, pace_ms integer, INOUT head bigint)
LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_next_tick';

CREATE OR REPLACE FUNCTION read_transactions(first_number bigint, after_part integer, max_bytes integer,
    OUT number bigint, OUT epoch bigint, OUT nonce text, OUT xid bigint, OUT part integer, OUT payload bytea)
RETURNS SETOF record STRICT LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_read_transactions';

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

CREATE OR REPLACE FUNCTION open_subscriber(INOUT name text, stream_id uuid, pos text, OUT number bigint, OUT channels text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name = '*' THEN
        channels := ARRAY(SELECT DISTINCT r.channel FROM paysync.registration AS r ORDER BY r.channel);
        IF NOT 'default' = ANY (channels) THEN
            channels := channels || 'default'::text;
        END IF;
        name := '*' || gen_random_uuid();
        number := paysync.add_subscriber(name, channels, true);
        IF pos IS NOT NULL THEN  -- it comes back after a loss
            PERFORM paysync.check_stream(open_subscriber.stream_id);
            number := paysync.check_position(pos);
            UPDATE paysync.subscriber AS s SET start_number = open_subscriber.number WHERE s.name = open_subscriber.name;
        END IF;
        RETURN;
    END IF;
    SELECT s.channels INTO channels FROM paysync.subscriber AS s WHERE s.name = open_subscriber.name AND NOT s.ephemeral;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber %L does not exist', left(name, 80)),
            HINT = 'SELECT paysync.create_subscriber(...), or check the name.';
    END IF;
    PERFORM paysync.check_stream(open_subscriber.stream_id);
    IF pos IS NOT NULL THEN
        number := paysync.check_position(pos);
    ELSE
        SELECT a.number INTO number FROM paysync.acknowledged() AS a WHERE a.name = open_subscriber.name;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION close_subscriber(name text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ DELETE FROM paysync.subscriber AS s WHERE s.name = close_subscriber.name AND s.ephemeral $$;

-- Appends what is known of all subscribers now; gives back the names that do not exist (any more).
CREATE OR REPLACE FUNCTION acknowledge(epoch bigint, names text[], numbers bigint[], connected boolean[]) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known paysync.all_acks;
    merged paysync.all_acks;
BEGIN
    PERFORM paysync.check_fence(epoch);
    known := paysync.last_ack();
    SELECT known.id + 1, clock_timestamp(), array_agg(m.id ORDER BY m.id), array_agg(m.number ORDER BY m.id),
           array_agg(m.connected ORDER BY m.id), array_agg(m.last_seen ORDER BY m.id), array_agg(m.moved_at ORDER BY m.id)
    INTO merged
    -- Not least(), which passes over a null: who is not named would be taken for one that has everything.
    FROM (SELECT s.id,
                 greatest(s.start_number, old.number, CASE WHEN given.number > h.number THEN h.number ELSE given.number END) AS number,
                 coalesce(given.connected, old.connected, false) AS connected,
                 CASE WHEN given.connected THEN clock_timestamp() ELSE old.last_seen END AS last_seen,
                 CASE WHEN given.number > coalesce(old.number, s.start_number) THEN clock_timestamp() ELSE old.moved_at END AS moved_at
          FROM paysync.subscriber AS s CROSS JOIN (SELECT paysync.head_number()) AS h (number)
          LEFT JOIN unnest(known.subscribers, known.numbers, known.connected, known.last_seen, known.moved_at)
              AS old (id, number, connected, last_seen, moved_at) USING (id)
          LEFT JOIN (SELECT DISTINCT ON (g.name) g.* FROM unnest(acknowledge.names, acknowledge.numbers, acknowledge.connected) AS g (name, number, connected)
                     ORDER BY g.name, g.number DESC NULLS LAST) AS given ON given.name = s.name) AS m;
    EXECUTE format('INSERT INTO paysync.ack_%s SELECT $1, $2, coalesce($3, ''{}''), coalesce($4, ''{}''), coalesce($5, ''{}''), coalesce($6, ''{}''), coalesce($7, ''{}'')',
                   (SELECT r.slot FROM paysync.ring AS r WHERE r.current))
    USING merged.id, merged.at, merged.subscribers, merged.numbers, merged.connected, merged.last_seen, merged.moved_at;
    RETURN QUERY SELECT n FROM unnest(names) AS n WHERE NOT EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.name = n);
END $$;

CREATE OR REPLACE FUNCTION segment_bytes() RETURNS bigint STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_segment_bytes';

-- Makes the next segment the current one, if the current one is full and the next one is free; else the current one grows.
CREATE OR REPLACE FUNCTION switch_segment() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_slot CONSTANT integer := (SELECT r.slot FROM paysync.ring AS r WHERE r.current);
    next_slot CONSTANT integer := (now_slot + 1) % 8;
BEGIN
    -- Each of its tables counts: where nobody writes, acknowledgements still come.
    IF greatest(pg_relation_size(format('paysync.chunk_%s', now_slot)::regclass), pg_relation_size(format('paysync.tick_%s', now_slot)::regclass),
                pg_relation_size(format('paysync.ack_%s', now_slot)::regclass)) < paysync.segment_bytes() OR
       (SELECT r.generation <> 0 FROM paysync.ring AS r WHERE r.slot = next_slot) THEN
        RETURN;
    END IF;
    -- No tick and no acknowledgement is written meanwhile: the new segment begins with the last of each.
    PERFORM FROM paysync.fence FOR NO KEY UPDATE;
    EXECUTE format($insert$INSERT INTO paysync.tick_%s
        SELECT last_number, last_number + 1, epoch, true, snapshot, now(), 0, 0, decode(repeat('00', 16), 'hex'), last_key, last_key, '{}', '{}'
        FROM paysync.all_ticks ORDER BY last_number DESC LIMIT 1$insert$, next_slot);
    EXECUTE format('INSERT INTO paysync.ack_%s SELECT * FROM paysync.last_ack()', next_slot);
    UPDATE paysync.ring AS r SET current = (r.slot = next_slot),
        generation = CASE WHEN r.slot = next_slot THEN (SELECT max(generation) + 1 FROM paysync.ring) ELSE r.generation END,
        opened_at = CASE WHEN r.slot = next_slot THEN now() ELSE r.opened_at END
    WHERE r.slot IN (now_slot, next_slot);
END $$;

-- Empties a segment whose transactions all subscribers have; false if that cannot be now. It never queues for its lock,
-- in front of writers: NOWAIT, and another time if it is not to be had. With the lock it looks, in a new snapshot, once
-- more for rows that may not go: a writer that had this segment cached may just have committed into it.
CREATE OR REPLACE FUNCTION empty_segment(slot integer) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    floor_number CONSTANT bigint := coalesce((SELECT min(a.number) FROM paysync.acknowledged() AS a), paysync.head_number());
    covered bigint;
    newest bigint;
    seen pg_snapshot;
    must_stay boolean;
BEGIN
    -- The last tick that ends at or below the floor and is a state of the source: what its snapshot sees may go.
    SELECT t.last_number, t.snapshot INTO covered, seen FROM paysync.all_ticks AS t
    WHERE t.last_number <= floor_number AND t.exact ORDER BY t.last_number DESC LIMIT 1;
    EXECUTE format('SELECT coalesce(max(last_number) > $1, false) FROM paysync.tick_%s', slot) INTO must_stay USING covered;
    IF seen IS NULL OR must_stay THEN
        RETURN false;
    END IF;
    BEGIN
        EXECUTE format('LOCK TABLE paysync.chunk_%1$s, paysync.tick_%1$s, paysync.ack_%1$s IN ACCESS EXCLUSIVE MODE NOWAIT', slot);
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END;
    EXECUTE format($look$SELECT EXISTS (SELECT FROM paysync.chunk_%1$s WHERE xid >= pg_snapshot_xmax($1))
        OR EXISTS (SELECT FROM pg_snapshot_xip($1) AS running JOIN paysync.chunk_%1$s AS c ON c.xid = running)
        OR EXISTS (SELECT FROM paysync.tick_%1$s WHERE last_number > $2)$look$, slot) INTO must_stay USING seen, covered;
    IF must_stay THEN
        RETURN false;
    END IF;
    -- Ticks of other segments may name transactions of this one, by writers that had it cached: they go as well, and the
    -- numbers up to them are no longer kept.
    SELECT max(t.last_number) INTO newest FROM paysync.all_ticks AS t
    WHERE t.last_number <= covered AND t.first_number <= t.last_number AND (t.slot = empty_segment.slot OR empty_segment.slot = ANY (t.slots));
    EXECUTE format('TRUNCATE paysync.chunk_%1$s, paysync.tick_%1$s, paysync.ack_%1$s', slot);
    UPDATE paysync.ring AS r SET generation = 0, opened_at = NULL, emptied_to = greatest(r.emptied_to, newest) WHERE r.slot = empty_segment.slot;
    RETURN true;
END $$;

-- Without a subscriber nothing is recorded, and a restore may be under way. Switching comes before emptying: it may wait for the
-- fence, which must not be done holding a lock that a tick waits for.
CREATE OR REPLACE FUNCTION maintain() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Not the one that is left now: writers use it until this transaction commits, and would wait for the lock that empties it.
    full_slots CONSTANT integer[] := ARRAY(SELECT r.slot FROM paysync.ring AS r WHERE NOT r.current AND r.generation > 0 ORDER BY r.generation);
    full_slot integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE active_sql_transaction USING MESSAGE = 'paysync.maintain() needs isolation level read committed';
    END IF;
    IF EXISTS (SELECT FROM paysync.subscriber) THEN
        PERFORM paysync.reconcile_unseen();
    END IF;
    PERFORM paysync.switch_segment();
    FOREACH full_slot IN ARRAY full_slots LOOP
        EXIT WHEN NOT paysync.empty_segment(full_slot);
    END LOOP;
END $$;
COMMENT ON FUNCTION maintain IS 'switch and empty segments, look for what event triggers missed; the relay does it regularly';
