-- The ring of segments: switching to another one, emptying what all have. All of it runs in maintain(), one session at a time, and waits
-- for nobody who may be long.

CREATE OR REPLACE FUNCTION try_empty() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_try_empty';

-- Does a segment hold a transaction that the exact tick ending at a number does not see?
CREATE OR REPLACE FUNCTION holds_unseen(slot integer, number bigint) RETURNS boolean STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_holds_unseen';

CREATE OR REPLACE FUNCTION size_of_segment(slot integer) RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sum(pg_total_relation_size(format('paysync.%s_%s', kind, slot)::regclass))::bigint FROM unnest('{closing,chunk,tick,ack,ring}'::text[]) AS kind
$$;
CREATE OR REPLACE FUNCTION outbox_size() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT sum(paysync.size_of_segment(slot))::bigint FROM generate_series(0, 7) AS slot $$;

CREATE OR REPLACE FUNCTION size_of_changes(slot integer) RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_relation_size(format('paysync.closing_%s', slot)::regclass) + pg_relation_size(format('paysync.chunk_%s', slot)::regclass)
$$;

-- A segment is a sixteenth of the limit at most: else a small outbox could be full and have nothing to empty.
CREATE OR REPLACE FUNCTION full_size() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(paysync.outbox_setting('paysync.segment_size'), greatest(nullif(paysync.outbox_setting('paysync.outbox_limit'), 0) / 16, 65536))
$$;

-- Is the current segment to be left? Each of its tables counts: where nobody writes, acknowledgements still come; with many subscribers
-- most of one is moved out of line. By age only if something was captured.
CREATE OR REPLACE FUNCTION is_full(slot integer, opened_at timestamptz) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(paysync.size_of_changes(slot), pg_table_size(format('paysync.tick_%s', slot)::regclass),
                    pg_table_size(format('paysync.ack_%s', slot)::regclass)) >= paysync.full_size()
        OR (paysync.size_of_changes(slot) > 0
            AND opened_at < clock_timestamp() - make_interval(secs => nullif(paysync.outbox_setting('paysync.segment_age'), 0)))
$$;

-- Makes a free segment the current one, if the current one is full; where none is free, the current one grows.
CREATE OR REPLACE FUNCTION switch_segment() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_segment record;
    next_slot integer;
BEGIN
    SELECT * INTO left_segment FROM paysync.ring AS r WHERE r.current;
    SELECT r.slot INTO next_slot FROM paysync.ring AS r WHERE r.generation = 0 ORDER BY (r.slot - left_segment.slot + 8) % 8 LIMIT 1;
    IF next_slot IS NULL OR NOT paysync.is_full(left_segment.slot, left_segment.opened_at) THEN
        RETURN;
    END IF;
    -- No tick and no acknowledgement is written meanwhile: the new segment begins with the last of each.
    PERFORM FROM paysync.fence FOR UPDATE;
    EXECUTE format($insert$INSERT INTO paysync.tick_%s
        SELECT last_number, last_number + 1, epoch, true, snapshot, taken_at, 0, 0, decode(repeat('00', 16), 'hex'), last_key, last_key, '{}', '{}',
               total_bytes, taken_at, '{}', files, pages, waiting_slots, waiting
        FROM paysync.all_ticks ORDER BY last_number DESC LIMIT 1$insert$, next_slot);
    EXECUTE format('INSERT INTO paysync.ack_%s SELECT * FROM paysync.last_ack()', next_slot);
    EXECUTE format('INSERT INTO paysync.ring_%s VALUES ($1, clock_timestamp(), $2)', next_slot)
    USING left_segment.generation + 1, (SELECT max(r.emptied_to) FROM paysync.ring AS r);
END $$;

-- When a segment ceased to be the current one.
CREATE OR REPLACE FUNCTION left_at(slot integer) RETURNS timestamptz LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(n.opened_at) FROM paysync.ring AS n WHERE n.generation > (SELECT r.generation FROM paysync.ring AS r WHERE r.slot = left_at.slot)
$$;

-- Holds the fencing row, if it is to be had at once.
CREATE OR REPLACE FUNCTION try_fence() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM paysync.fence FOR NO KEY UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Has this transaction chosen a segment, and written to it what it captured first?
CREATE OR REPLACE FUNCTION writes_segment(slot integer) RETURNS boolean STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_writes_segment';

-- Locks all of a segment against everybody, if that is to be had at once: who wrote into it or reads it keeps a lock until its end. What
-- this transaction itself wrote is no obstacle to a lock, and must stay all the same.
CREATE OR REPLACE FUNCTION try_segment(slot integer) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF paysync.writes_segment(slot) THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE paysync.closing_%1$s, paysync.chunk_%1$s, paysync.tick_%1$s, paysync.ack_%1$s, paysync.ring_%1$s IN ACCESS EXCLUSIVE MODE NOWAIT', slot);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

-- The last tick that ends at or below a number, is old enough and is a state of the source: what its snapshot sees may go. With a retention
-- there may be millions that are too young, so only where segments begin and end is looked at then.
CREATE OR REPLACE FUNCTION last_covered(floor_number bigint, kept_since timestamptz, OUT last_number bigint, OUT snapshot pg_snapshot) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF kept_since = 'infinity' THEN
        SELECT t.last_number, t.snapshot INTO last_covered.last_number, last_covered.snapshot FROM paysync.all_ticks AS t
        WHERE t.last_number <= floor_number AND t.exact ORDER BY t.last_number DESC LIMIT 1;
        RETURN;
    END IF;
    SELECT t.last_number, t.snapshot INTO last_covered.last_number, last_covered.snapshot
    FROM generate_series(0, 7) AS s (slot) CROSS JOIN LATERAL (
        (SELECT b.* FROM paysync.all_ticks AS b WHERE b.slot = s.slot ORDER BY b.last_number LIMIT 1) UNION ALL
        (SELECT e.* FROM paysync.all_ticks AS e WHERE e.slot = s.slot ORDER BY e.last_number DESC LIMIT 1)) AS t
    WHERE t.last_number <= floor_number AND t.taken_at <= kept_since AND t.exact ORDER BY t.last_number DESC LIMIT 1;
END $$;

-- Empties a segment that all who have a claim to it have taken, and whose retention is over; false if that cannot be now. It never queues
-- for a lock, in front of writers: NOWAIT, and another time if it is not to be had. With the locks it looks, in a new snapshot, once
-- more for rows that may not go: a writer that had this segment cached may just have committed into it.
-- The caller holds try_empty(): nobody gets a claim meanwhile. Where nobody has one, also what has no tick may go; then the fencing row
-- says to a tick that is just being cut that it must look again.
CREATE OR REPLACE FUNCTION empty_segment(slot integer, kept_since timestamptz) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_claimed CONSTANT boolean := EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.cut_off_at IS NULL);
    head CONSTANT bigint := paysync.head_number();
    floor_number CONSTANT bigint := coalesce((SELECT min(a.number) FROM paysync.acknowledged() AS a WHERE a.entitled), head);
    covered bigint;
    newest bigint;
    seen pg_snapshot;
    must_stay boolean;
BEGIN
    SELECT t.last_number, t.snapshot INTO covered, seen FROM paysync.last_covered(floor_number, kept_since) AS t;
    EXECUTE format('SELECT coalesce(max(last_number) > $1, false) FROM paysync.tick_%s', slot) INTO must_stay USING covered;
    IF seen IS NULL OR must_stay OR NOT is_claimed AND (paysync.left_at(slot) > kept_since OR NOT paysync.try_fence())
        OR NOT paysync.try_segment(slot) THEN
        RETURN false;
    END IF;
    EXECUTE format($look$SELECT EXISTS (SELECT FROM paysync.tick_%1$s WHERE last_number > $2)
        -- The head must stay somewhere: a tick that was cut while this was left may stand here.
        OR NOT EXISTS (SELECT FROM paysync.all_ticks AS t WHERE t.slot <> %1$s AND t.last_number >= (SELECT max(last_number) FROM paysync.tick_%1$s))
        OR $1 AND paysync.holds_unseen(%1$s, $2)$look$, slot)
    INTO must_stay USING is_claimed, covered;
    IF must_stay THEN
        RETURN false;
    END IF;
    -- Ticks of other segments may name transactions of this one, by writers that had it cached: they go as well, and the
    -- numbers up to them are no longer kept.
    SELECT max(t.last_number) INTO newest FROM paysync.all_ticks AS t
    WHERE t.first_number <= t.last_number AND (t.last_number <= covered OR NOT is_claimed) AND (t.slot = empty_segment.slot OR empty_segment.slot = ANY (t.slots));
    EXECUTE format('TRUNCATE paysync.closing_%1$s, paysync.chunk_%1$s, paysync.tick_%1$s, paysync.ack_%1$s, paysync.ring_%1$s', slot);
    IF newest > (SELECT max(r.emptied_to) FROM paysync.ring AS r) THEN
        EXECUTE format('INSERT INTO paysync.ring_%s SELECT r.generation, r.opened_at, $1 FROM paysync.ring AS r WHERE r.current',
                       (SELECT r.slot FROM paysync.ring AS r WHERE r.current)) USING newest;
    END IF;
    RETURN true;
END $$;

-- Empties whatever can be, each by itself: one that an open transaction holds is no reason to keep those behind it.
CREATE OR REPLACE FUNCTION empty_segments(full_slots integer[], kept_since timestamptz) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    full_slot integer;
BEGIN
    FOREACH full_slot IN ARRAY full_slots LOOP
        PERFORM paysync.empty_segment(full_slot, kept_since);
    END LOOP;
END $$;
