-- Going back, and passing over: replay() and skip().

-- The number to go on after to get all that became visible since a moment, and little more. A tick has what was visible at its time. A
-- segment begins with the tick before, so only the one in which the moment lies is looked through.
CREATE OR REPLACE FUNCTION number_at(since timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest CONSTANT bigint := paysync.oldest_number();
    segment CONSTANT integer := (
        SELECT s.slot FROM generate_series(0, 7) AS s (slot) CROSS JOIN LATERAL (
            SELECT b.last_number, b.taken_at FROM paysync.all_ticks AS b WHERE b.slot = s.slot ORDER BY b.last_number LIMIT 1) AS t
        WHERE t.taken_at < since ORDER BY t.last_number DESC, s.slot LIMIT 1);
    number CONSTANT bigint := (SELECT t.last_number FROM paysync.all_ticks AS t
        WHERE t.slot = segment AND t.last_number >= oldest AND t.taken_at < since ORDER BY t.last_number DESC LIMIT 1);
BEGIN
    IF number IS NULL AND oldest > 0 THEN
        RAISE SQLSTATE 'PS005' USING MESSAGE = format('the outbox does not keep all since %s', since),
            DETAIL = format('The oldest number to go on after is %s.', oldest),
            HINT = 'Replay from a later time or from a position; what is kept longer is said by paysync.retention.';
    END IF;
    RETURN coalesce(number, 0);
END $$;

CREATE OR REPLACE FUNCTION replay(name text, since timestamptz DEFAULT NULL, from_position text DEFAULT NULL) RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known paysync.subscriber;
    start_number bigint;
    applied bigint;
    start text;
    late text;
BEGIN
    IF (since IS NULL) = (from_position IS NULL) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'replay needs a time or a position, and not both',
            HINT = 'paysync.replay(name, since => ...) or paysync.replay(name, from_position => ...).';
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE active_sql_transaction USING MESSAGE = 'paysync.replay() needs isolation level read committed';
    END IF;
    PERFORM paysync.claim();
    known := paysync.lock_subscriber(name);
    start_number := CASE WHEN since IS NULL THEN paysync.check_position(from_position) ELSE paysync.number_at(since) END;
    SELECT greatest(a.number, known.taken_number) INTO applied FROM paysync.acknowledged() AS a WHERE a.id = known.id;
    -- Who was cut off has taken a new copy, and is told from where it has everything.
    IF known.cut_off_at IS NULL AND start_number > applied THEN
        RAISE invalid_parameter_value USING MESSAGE = format('replay would pass over what subscriber "%s" has not taken', name),
            DETAIL = format('It had acknowledged all up to number %s, and would go on after %s.', applied, start_number),
            HINT = 'It gets all of that anyway. To pass over a transaction there is paysync.skip().';
    END IF;
    SELECT paysync.past_limit(known, l.bytes, l.oldest) INTO late FROM paysync.ticked_lag(start_number) AS l;
    IF known.on_limit = 'cut_off' AND late IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('subscriber "%s" would be cut off at once', name),
            DETAIL = replace(late, 'It was', 'It would be') || '.', HINT = 'Alter its limits first: paysync.alter_subscriber().';
    END IF;
    UPDATE paysync.subscriber AS s SET start_number = wanted.number, taken_number = greatest(wanted.number, applied), rewinds = s.rewinds + 1, rewound_at = clock_timestamp(),
        cut_off_at = NULL, cut_off_reason = NULL, told_at = NULL, revision = nextval('paysync.revision')
    FROM (SELECT start_number) AS wanted (number) WHERE s.id = known.id;
    start := paysync.position_of(start_number);
    PERFORM paysync.log_event('replay', name, format('from %s%s, by %s', start, ', since ' || since, session_user));
    RETURN start;
END $$;
COMMENT ON FUNCTION replay IS 'send a subscriber again what came since a time or behind a position; returns the position it goes on after';

-- What a closing record says.
CREATE OR REPLACE FUNCTION read_closing(payload bytea, OUT transaction_time timestamptz, OUT changes bigint, OUT bytes bigint, OUT parts bigint)
STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_read_closing';

CREATE OR REPLACE FUNCTION skip(name text, transaction_position text, reason text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT paysync.subscriber := paysync.lock_subscriber(name);
    target bigint;
    applied CONSTANT bigint := (SELECT a.number FROM paysync.acknowledged() AS a WHERE a.id = known.id);
    place record;
    payload bytea;
    closing record;
    parked_id bigint;
    parts bigint;
BEGIN
    IF transaction_position IS NULL OR coalesce(reason, '') = '' THEN
        RAISE null_value_not_allowed USING MESSAGE = 'skip needs the position of a transaction and a reason';
    ELSIF known.cut_off_at IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('subscriber "%s" was cut off', name),
            HINT = 'It needs a new copy; then paysync.replay() says from where it has everything.';
    END IF;
    target := paysync.check_position(transaction_position);
    IF target <= applied THEN
        RAISE invalid_parameter_value USING MESSAGE = format('subscriber "%s" has transaction %s already', name, target),
            DETAIL = format('It has acknowledged all up to number %s.', applied);
    ELSIF EXISTS (SELECT FROM paysync.parked_transaction AS p WHERE (p.subscriber_id, p.number) = (known.id, target)) THEN
        RAISE NOTICE 'transaction % is skipped already', target;
        RETURN;
    END IF;
    place := paysync.place_of(target);
    payload := paysync.closing_of(target);
    IF payload IS NULL THEN
        RAISE SQLSTATE 'PS010' USING MESSAGE = format('transaction %s is recorded but not in the outbox', target);
    END IF;
    SELECT c.* INTO closing FROM paysync.read_closing(payload) AS c;
    INSERT INTO paysync.parked_transaction (subscriber_id, subscriber, channels, number, "position", reason, skipped_by, transaction_time, xid, changes, bytes)
    VALUES (known.id, name, known.channels, target, paysync.position_of(target), reason, session_user, closing.transaction_time, place.xid, closing.changes, closing.bytes)
    RETURNING id INTO parked_id;
    INSERT INTO paysync.parked_chunk VALUES (parked_id, 0, payload);
    EXECUTE format('INSERT INTO paysync.parked_chunk SELECT $1, k.part, k.payload FROM paysync.chunk_%s AS k WHERE k.xid = $2 AND k.part > 0', place.slot) USING parked_id, place.xid;
    GET DIAGNOSTICS parts = ROW_COUNT;
    IF parts <> closing.parts THEN
        RAISE SQLSTATE 'PS010' USING MESSAGE = format('transaction %s is not whole in the outbox', target);
    END IF;
    UPDATE paysync.subscriber AS s SET revision = nextval('paysync.revision') WHERE s.id = known.id;
    PERFORM paysync.log_event('skip', name, format('%s, by %s: %s', paysync.position_of(target), session_user, reason));
END $$;
COMMENT ON FUNCTION skip IS 'pass over a transaction that a subscriber cannot take; what it held is kept in paysync.parked';

CREATE OR REPLACE FUNCTION decode_parked(parked_id bigint, channels text[], OUT "position" text, OUT commit_time timestamptz, OUT xid xid8, OUT channel text, OUT table_name text, OUT op text,
    OUT key jsonb, OUT old jsonb, OUT new jsonb)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_decode_parked';

CREATE OR REPLACE FUNCTION parked_changes(name text, transaction_position text, OUT "position" text, OUT commit_time timestamptz, OUT xid xid8, OUT channel text, OUT table_name text, OUT op text,
    OUT key jsonb, OUT old jsonb, OUT new jsonb)
RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one paysync.parked_transaction;
BEGIN
    SELECT * INTO found_one FROM paysync.parked_transaction AS p WHERE (p.subscriber, p."position") = (name, transaction_position) ORDER BY p.id DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('transaction %L is not parked for subscriber %L', transaction_position, name), HINT = 'See paysync.parked.';
    END IF;
    RETURN QUERY SELECT d.* FROM paysync.decode_parked(found_one.id, found_one.channels) AS d;
END $$;
COMMENT ON FUNCTION parked_changes IS 'what a skipped transaction held for its subscriber, as peek() shows it';
