-- Subscribers and positions.

-- The newest row of acknowledgements.
CREATE OR REPLACE FUNCTION last_ack() RETURNS all_acks LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT * FROM paysync.all_acks ORDER BY id DESC LIMIT 1 $$;

-- The last number there is.
CREATE OR REPLACE FUNCTION head_number() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT last_number FROM paysync.all_ticks ORDER BY last_number DESC LIMIT 1 $$;

-- The oldest number that one can go on after.
CREATE OR REPLACE FUNCTION oldest_number() RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(coalesce(min(first_number) - 1, paysync.head_number()), (SELECT max(r.emptied_to) FROM paysync.ring AS r))
    FROM (SELECT (SELECT t.first_number FROM paysync.all_ticks AS t WHERE t.slot = r.slot AND t.first_number <= t.last_number
                  ORDER BY t.last_number LIMIT 1)
          FROM paysync.ring AS r) AS firsts (first_number)
$$;

-- EPOCH.NONCE:NUMBER of a number that was given out.
CREATE OR REPLACE FUNCTION position_of(number bigint) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s.%s:%s', e.epoch, e.nonce, number) FROM paysync.epochs AS e
    WHERE e.start_number <= number ORDER BY (e.start_number < number) DESC, e.epoch DESC LIMIT 1
$$;

-- What all subscribers have applied: the acknowledged number, or where the subscriber began.
CREATE OR REPLACE FUNCTION acknowledged(OUT id integer, OUT name text, OUT ephemeral boolean, OUT number bigint, OUT connected boolean, OUT last_seen timestamptz, OUT moved_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, s.name, s.ephemeral, greatest(s.start_number, a.number), coalesce(a.connected, false), a.last_seen, a.moved_at
    FROM paysync.subscriber AS s
    LEFT JOIN (SELECT u.* FROM paysync.last_ack() AS l,
               unnest(l.subscribers, l.numbers, l.connected, l.last_seen, l.moved_at) AS u (id, number, connected, last_seen, moved_at)) AS a USING (id)
$$;

-- Is this number, of this history, one that this stream can go on after? Raises what is wrong with it.
CREATE OR REPLACE FUNCTION check_position(pos text) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts CONSTANT text[] := regexp_match(pos, '^([1-9][0-9]{0,17})\.([0-9a-f]{8}):(0|[1-9][0-9]{0,17})$');
    number CONSTANT bigint := parts[3]::bigint;
    head CONSTANT bigint := paysync.head_number();
    oldest bigint;
    history paysync.epochs;
BEGIN
    IF parts IS NULL THEN
        RAISE SQLSTATE 'PS002' USING MESSAGE = format('%L is not a position', left(pos, 80)),
            HINT = 'A position looks like 3.9f2c41aa:184467.';
    END IF;
    SELECT * INTO history FROM paysync.epochs AS e WHERE e.epoch = parts[1]::bigint AND e.nonce = parts[2];
    IF NOT FOUND THEN
        RAISE SQLSTATE 'PS002' USING MESSAGE = format('position %s is of another history', pos),
            DETAIL = 'This stream never had that epoch with that nonce.',
            HINT = 'The database was restored or replaced after the subscriber last saw it: the subscriber needs a new copy, or an operator''s decision.';
    END IF;
    IF number > coalesce(history.end_number, head) THEN
        IF history.end_number IS NOT NULL THEN
            RAISE SQLSTATE 'PS003' USING MESSAGE = format('position %s is past the end of its epoch', pos),
                DETAIL = format('That epoch ended at number %s.', history.end_number),
                HINT = 'The source lost transactions that this subscriber has (a standby was promoted, or a backup restored).';
        END IF;
        RAISE SQLSTATE 'PS004' USING MESSAGE = format('position %s was never given out', pos), DETAIL = format('The stream stands at number %s.', head),
            HINT = 'The position is not from this stream, or was changed.';
    END IF;
    oldest := paysync.oldest_number();
    IF number < oldest THEN
        RAISE SQLSTATE 'PS005' USING MESSAGE = format('position %s is older than what the outbox keeps', pos),
            DETAIL = format('The oldest number to go on after is %s.', oldest), HINT = 'The subscriber needs a new copy.';
    END IF;
    RETURN number;
END $$;

-- Makes sure that no transaction which already threw its changes away, because there was no subscriber, can still commit
-- after this one. Such a transaction holds a lock on paysync.subscriber; it is waited for without queueing, so that no
-- writer ever waits here.
CREATE OR REPLACE FUNCTION await_discarding_writers() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    give_up CONSTANT timestamptz := clock_timestamp() + interval '30 seconds';
BEGIN
    LOOP
        BEGIN
            LOCK TABLE paysync.subscriber IN SHARE ROW EXCLUSIVE MODE NOWAIT;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > give_up THEN
                RAISE lock_not_available USING MESSAGE = 'transactions that were not captured have not ended within 30 seconds',
                    DETAIL = 'They changed registered tables while there was no subscriber: a subscriber made now would miss them.',
                    HINT = 'End long-running and prepared transactions (pg_stat_activity, pg_prepared_xacts), then try again.';
            END IF;
        END;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- Adds a subscriber at the head of the stream; the number it goes on after.
CREATE OR REPLACE FUNCTION add_subscriber(name text, channels text[], ephemeral boolean) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    channel text;
    head bigint;
BEGIN
    IF coalesce(cardinality(channels), 0) = 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a subscriber needs at least one channel';
    END IF;
    FOREACH channel IN ARRAY channels LOOP
        PERFORM paysync.check_channel(channel);
    END LOOP;
    -- Locked, so that it stays: the last subscriber may just be being dropped. One that is, is no reason to wait.
    PERFORM FROM paysync.subscriber AS s LIMIT 1 FOR KEY SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        -- What was restored, or altered unseen, before anybody listened.
        PERFORM paysync.reconcile_unseen();
        PERFORM paysync.await_discarding_writers();
    END IF;
    head := paysync.head_number();
    INSERT INTO paysync.subscriber (name, channels, ephemeral, start_number)
    VALUES (name, ARRAY(SELECT DISTINCT c FROM unnest(channels) AS c ORDER BY c), ephemeral, head);
    RETURN head;
END $$;

CREATE OR REPLACE FUNCTION create_subscriber(name text, channels text[] DEFAULT '{default}') RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name IS NULL OR name !~ '^[a-z0-9_][a-z0-9_.-]{0,62}$' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('invalid subscriber name %L', name),
            HINT = 'A name is 1 to 63 characters of a-z 0-9 _ - . and begins with a letter, a digit or _.';
    END IF;
    IF EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.name = create_subscriber.name) THEN
        RAISE duplicate_object USING MESSAGE = format('subscriber "%s" exists already', name);
    END IF;
    RETURN paysync.position_of(paysync.add_subscriber(name, channels, false));
END $$;
COMMENT ON FUNCTION create_subscriber IS 'a durable subscriber; returns the position it starts after';

CREATE OR REPLACE FUNCTION drop_subscriber(name text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM paysync.subscriber AS s WHERE s.name = drop_subscriber.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber "%s" does not exist', name);
    END IF;
END $$;
COMMENT ON FUNCTION drop_subscriber IS 'forget a subscriber; what only it had not taken is no longer kept';
