-- How relays and subscribers are, as seen from here: computed by who asks, so that a relay that stands still looks like one.
-- Compiling such a query costs seconds and gains nothing, and the server would, by what it guesses of functions: jit = off.

CREATE OR REPLACE FUNCTION lease_holder(OUT pid integer, OUT application text, OUT since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.pid, a.application_name, a.backend_start
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'object' AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      AND l.classid = 'pg_class'::regclass AND l.objid = 'paysync.fence'::regclass AND l.objsubid = 1 AND l.granted
    LIMIT 1
$$;

-- The leader asks for the next tick all the time: a leader's backend that has had nothing to do for a second is one whose relay is stopped,
-- or cut off from it; one that has waited for a lock for a second gets nothing done either. Standbys are known by the name of their connection.
CREATE OR REPLACE FUNCTION relay_states(OUT role text, OUT pid integer, OUT software text, OUT client text, OUT since timestamptz,
    OUT responding boolean, OUT silent_seconds double precision)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT CASE WHEN a.pid = h.pid THEN 'leader' ELSE 'standby' END, a.pid,
           CASE WHEN a.pid = h.pid THEN (SELECT e.software FROM paysync.epochs AS e WHERE e.end_number IS NULL) END,
           coalesce(host(a.client_addr) || ':' || a.client_port, 'local'), a.backend_start,
           CASE WHEN a.pid = h.pid THEN i.silent_seconds = 0 END, CASE WHEN a.pid = h.pid THEN i.silent_seconds END
    FROM paysync.lease_holder() AS h RIGHT JOIN pg_stat_activity AS a ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN (a.state LIKE 'idle%' OR a.wait_event_type = 'Lock') AND a.state_change < clock_timestamp() - interval '1 second'
                                    THEN extract(epoch FROM clock_timestamp() - a.state_change)::double precision ELSE 0 END) AS i (silent_seconds)
    WHERE a.datname = current_database() AND (a.pid = h.pid OR a.application_name = 'paysync-relay leader')
$$;
CREATE OR REPLACE VIEW relays AS SELECT * FROM relay_states();

-- How far each subscriber is behind, given what has no number yet.
CREATE OR REPLACE FUNCTION subscriber_lags(waiting bigint, waiting_bytes bigint, waiting_since timestamptz,
    OUT id integer, OUT number bigint, OUT transactions bigint, OUT bytes bigint, OUT seconds double precision)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.id, a.number, paysync.head_number() - a.number + waiting, l.bytes + waiting_bytes,
           coalesce(greatest(0, extract(epoch FROM clock_timestamp() - coalesce(l.oldest, waiting_since))), 0)::double precision
    FROM paysync.acknowledged() AS a CROSS JOIN LATERAL paysync.ticked_lag(a.number) AS l
$$;

CREATE OR REPLACE FUNCTION subscriber_hint(state text, s subscriber, leads boolean, responds boolean, over text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN state IN ('cut_off', 'needs_copy') THEN s.cut_off_reason || '. It needs a new copy; then paysync.replay() says from where it has everything.'
                WHEN state = 'paused' THEN 'An operator paused it; what it has not taken is kept. Go on with paysync.resume_subscriber().'
                WHEN over IS NOT NULL THEN over || '. What it has not taken is kept all the same (on_limit is keep).'
                WHEN NOT leads THEN 'No relay leads this database: start paysync-relay.'
                WHEN NOT responds THEN 'The relay does not respond: see paysync.relays.'
                WHEN state = 'stalled' THEN 'It is connected but has acknowledged nothing for 10 seconds.'
                WHEN state IN ('away', 'never_seen') THEN 'It is not connected; what it has not taken is kept.' END
$$;

CREATE OR REPLACE FUNCTION subscriber_states(OUT name text, OUT channels text[], OUT ephemeral boolean, OUT state text, OUT state_since timestamptz,
    OUT "position" text, OUT lag_transactions bigint, OUT lag_bytes bigint, OUT lag_seconds double precision,
    OUT last_seen timestamptz, OUT last_error text, OUT last_error_at timestamptz, OUT max_lag_bytes bigint, OUT max_lag_age interval, OUT on_limit text,
    OUT parked bigint, OUT hint text)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH waiting AS MATERIALIZED (SELECT * FROM paysync.unticked()),
         leader AS MATERIALIZED (SELECT count(*) > 0 AS leads, coalesce(bool_and(r.responding), false) AS responds FROM paysync.relay_states() AS r WHERE r.role = 'leader'),
         standing AS MATERIALIZED (SELECT a.* FROM paysync.acknowledged() AS a),
         lags AS MATERIALIZED (SELECT l.* FROM waiting AS w, paysync.subscriber_lags(w.transactions, w.bytes, w.oldest) AS l)
    SELECT s.name, s.channels, s.ephemeral, c.state,
           CASE c.state WHEN 'never_seen' THEN s.created_at WHEN 'stalled' THEN a.moved_at WHEN 'paused' THEN s.paused_at
                        WHEN 'cut_off' THEN s.cut_off_at WHEN 'needs_copy' THEN s.told_at ELSE a.last_seen END,
           paysync.position_of(a.number), l.transactions, l.bytes, l.seconds, a.last_seen, a.last_error, a.last_error_at,
           s.max_lag_bytes, s.max_lag_age, s.on_limit, (SELECT count(*) FROM paysync.parked_transaction AS p WHERE p.subscriber_id = s.id),
           paysync.subscriber_hint(c.state, s, leader.leads, leader.responds,
               CASE WHEN s.on_limit = 'keep' THEN paysync.past_limit(s, l.bytes, clock_timestamp() - make_interval(secs => l.seconds)) END)
    FROM paysync.subscriber AS s JOIN standing AS a USING (id) JOIN lags AS l USING (id) CROSS JOIN leader CROSS JOIN LATERAL (
        SELECT CASE WHEN s.told_at IS NOT NULL THEN 'needs_copy'
                    WHEN s.cut_off_at IS NOT NULL THEN 'cut_off'
                    WHEN s.paused_at IS NOT NULL THEN 'paused'
                    WHEN a.last_seen IS NULL THEN 'never_seen'
                    WHEN NOT a.connected OR NOT leader.leads THEN 'away'
                    WHEN l.transactions > 0 AND l.seconds > 10 AND coalesce(a.moved_at, a.last_seen) < clock_timestamp() - interval '10 seconds' THEN 'stalled'
                    WHEN l.transactions > 0 AND l.seconds > 1 THEN 'catching_up'
                    ELSE 'streaming' END AS state) AS c
$$;
CREATE OR REPLACE VIEW subscribers AS SELECT * FROM subscriber_states();
