-- Positions: what a number means, where it is kept, who has taken what.
--
-- The first two keep their plans for a session: one that was made after an ANALYZE of tables that were almost empty would read all of
-- them for ever after, so it may not.

-- The newest row of acknowledgements.
CREATE OR REPLACE FUNCTION last_ack() RETURNS all_acks LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    last paysync.all_acks;
BEGIN
    SELECT * INTO last FROM paysync.all_acks ORDER BY id DESC LIMIT 1;
    RETURN last;
END $$;

-- The last number there is.
CREATE OR REPLACE FUNCTION head_number() RETURNS bigint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT last_number FROM paysync.all_ticks ORDER BY last_number DESC LIMIT 1);
END $$;

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

-- What all subscribers have applied: the acknowledged number, or where the subscriber began. What it acknowledged before a replay does not
-- count. `rewinding`: it was rewound and has acknowledged nothing since; `entitled`: what it has not acknowledged is kept.
CREATE OR REPLACE FUNCTION acknowledged(OUT id integer, OUT name text, OUT ephemeral boolean, OUT number bigint, OUT connected boolean, OUT last_seen timestamptz,
    OUT moved_at timestamptz, OUT rewinding boolean, OUT entitled boolean, OUT last_error text, OUT last_error_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, s.name, s.ephemeral, greatest(s.start_number, c.number), coalesce(a.connected, false), a.last_seen, a.moved_at,
           s.rewound_at IS NOT NULL AND coalesce(c.number, 0) <= s.start_number, s.cut_off_at IS NULL, a.last_error, a.error_at
    FROM paysync.subscriber AS s
    LEFT JOIN (SELECT u.* FROM paysync.last_ack() AS l,
               unnest(l.subscribers, l.numbers, l.connected, l.last_seen, l.moved_at, l.rewinds, l.last_errors, l.error_at)
                   AS u (id, number, connected, last_seen, moved_at, rewinds, last_error, error_at)) AS a USING (id)
    CROSS JOIN LATERAL (SELECT CASE WHEN a.rewinds = s.rewinds THEN a.number END) AS c (number)
$$;

-- Where a transaction is kept.
CREATE OR REPLACE FUNCTION place_of(number bigint, OUT xid xid8, OUT slot smallint) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tick record;
BEGIN
    SELECT t.first_number, t.xids, t.slots INTO tick FROM paysync.all_ticks AS t
    WHERE t.last_number >= place_of.number AND t.first_number <= t.last_number ORDER BY t.last_number LIMIT 1;
    IF tick.first_number > number THEN
        RAISE SQLSTATE 'PS005' USING MESSAGE = format('transaction %s is no longer kept', number),
            DETAIL = format('The oldest number to go on after is %s.', paysync.oldest_number()), HINT = 'The subscriber needs a new copy.';
    ELSIF tick.first_number IS NULL THEN
        RAISE SQLSTATE 'PS004' USING MESSAGE = format('number %s was never given out', number), DETAIL = format('The stream stands at number %s.', paysync.head_number());
    END IF;
    xid := tick.xids[number - tick.first_number + 1];
    slot := tick.slots[number - tick.first_number + 1];
END $$;

-- The payload of a transaction's closing record; null where the outbox does not hold it.
CREATE OR REPLACE FUNCTION closing_of(number bigint) RETURNS bytea STABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_closing_of';

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
