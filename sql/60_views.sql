-- What people look at. Everything is computed now, by the observer: a pipeline that stands still looks like one.

CREATE OR REPLACE FUNCTION unticked(OUT transactions bigint, OUT bytes bigint, OUT oldest timestamptz)
LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_unticked';

CREATE OR REPLACE FUNCTION peek(since text DEFAULT NULL, max_transactions integer DEFAULT 100,
    OUT "position" text, OUT commit_time timestamptz, OUT xid xid8, OUT channel text, OUT table_name text, OUT op text,
    OUT key jsonb, OUT old jsonb, OUT new jsonb)
RETURNS SETOF record LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'paysync_peek';
COMMENT ON FUNCTION peek IS 'committed changes, decoded; the position is null for what has no number yet';

-- What registered tables look like.
CREATE OR REPLACE FUNCTION registered_tables(OUT table_name text, OUT channel text, OUT operations text[], OUT insert_only boolean,
    OUT capturing boolean, OUT reason text, OUT registered_by name, OUT registered_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, c.relname), r.channel, r.operations, r.insert_only, t.trouble IS NULL, t.trouble,
           r.registered_by, r.registered_at
    FROM paysync.registration AS r
    JOIN pg_class AS c ON c.oid = r.table_oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT paysync.trouble_of(r) AS trouble) AS t
$$;
-- The rights of its owner reach the table, but not the function's.
CREATE OR REPLACE VIEW tables AS
    SELECT t.table_name, t.channel, t.operations, t.insert_only, t.capturing, t.reason, t.registered_by, t.registered_at,
           r.columns, r.row_filter, r.masks, r.old_values, r.key_columns, r.new_columns,
           jsonb_build_object('insert_only', r.insert_only, 'replica', r.replica, 'partitions', r.partitions, 'skip_unchanged', r.skip_unchanged) AS options
    FROM registered_tables() AS t
    JOIN pg_namespace AS n ON true
    JOIN pg_class AS c ON c.relnamespace = n.oid AND format('%I.%I', n.nspname, c.relname) = t.table_name
    JOIN registration AS r ON r.table_oid = c.oid;

-- Keys of hmac masks, without what is secret.
CREATE OR REPLACE VIEW mask_keys AS
    SELECT k.name, k.created_at, k.rotated_at, k.rotations,
           ARRAY(SELECT r.table_oid FROM registration AS r WHERE r.masks @? '$.* ? (@.mask == "hmac")'
                 AND EXISTS (SELECT FROM jsonb_each(r.masks) AS m WHERE m.value ->> 'mask' = 'hmac' AND m.value ->> 'key' = k.name)
                 ORDER BY r.table_oid::text) AS used_by
    FROM mask_key AS k;

CREATE OR REPLACE FUNCTION lease_holder(OUT pid integer, OUT application text, OUT since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.pid, a.application_name, a.backend_start
    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'object' AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
      AND l.classid = 'pg_class'::regclass AND l.objid = 'paysync.fence'::regclass AND l.objsubid = 1 AND l.granted
    LIMIT 1
$$;

-- How far each subscriber is behind, counted past the last tick.
CREATE OR REPLACE FUNCTION subscriber_states(OUT name text, OUT channels text[], OUT ephemeral boolean, OUT state text, OUT state_since timestamptz,
    OUT "position" text, OUT lag_transactions bigint, OUT lag_bytes bigint, OUT lag_seconds double precision,
    OUT last_seen timestamptz, OUT hint text)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH now_unticked AS MATERIALIZED (SELECT * FROM paysync.unticked()),
         head AS MATERIALIZED (SELECT paysync.head_number() AS number),
         holder AS MATERIALIZED (SELECT pid IS NOT NULL AS leads FROM paysync.lease_holder()),
         lag AS (
             SELECT a.*, s.channels, s.created_at, h.number - a.number + u.transactions AS transactions,
                    coalesce(b.bytes, 0) + u.bytes AS bytes,
                    greatest(0, extract(epoch FROM clock_timestamp() - coalesce(b.oldest, u.oldest)))::double precision AS seconds, holder.leads
             FROM paysync.acknowledged() AS a JOIN paysync.subscriber AS s USING (id)
             CROSS JOIN now_unticked AS u CROSS JOIN head AS h CROSS JOIN holder
             CROSS JOIN LATERAL (SELECT sum(t.bytes)::bigint AS bytes, min(t.taken_at) AS oldest FROM paysync.all_ticks AS t
                                 WHERE t.last_number > a.number AND t.first_number <= t.last_number) AS b)
    SELECT l.name, l.channels, l.ephemeral, c.state,
           CASE c.state WHEN 'never_seen' THEN l.created_at WHEN 'stalled' THEN l.moved_at ELSE l.last_seen END,
           paysync.position_of(l.number), l.transactions, l.bytes, coalesce(l.seconds, 0), l.last_seen,
           CASE WHEN NOT l.leads THEN 'No relay leads this database: start paysync-relay.'
                WHEN c.state = 'stalled' THEN 'It is connected but has acknowledged nothing for 10 seconds.'
                WHEN c.state IN ('away', 'never_seen') THEN 'It is not connected; what it has not taken is kept.' END
    FROM lag AS l CROSS JOIN LATERAL (
        SELECT CASE WHEN l.last_seen IS NULL THEN 'never_seen'
                    WHEN NOT l.connected OR NOT l.leads THEN 'away'
                    WHEN l.transactions > 0 AND l.seconds > 10 AND coalesce(l.moved_at, l.last_seen) < clock_timestamp() - interval '10 seconds' THEN 'stalled'
                    WHEN l.transactions > 0 AND l.seconds > 1 THEN 'catching_up'
                    ELSE 'streaming' END AS state) AS c
$$;
CREATE OR REPLACE VIEW subscribers AS SELECT * FROM subscriber_states();

CREATE OR REPLACE FUNCTION segment_states(OUT slot integer, OUT state text, OUT generation bigint, OUT opened_at timestamptz, OUT bytes bigint,
    OUT first_number bigint, OUT last_number bigint)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.slot, CASE WHEN r.current THEN 'current' WHEN r.generation = 0 THEN 'free' ELSE 'full' END, nullif(r.generation, 0), r.opened_at,
           pg_total_relation_size(format('paysync.chunk_%s', r.slot)::regclass) + pg_total_relation_size(format('paysync.tick_%s', r.slot)::regclass)
               + pg_total_relation_size(format('paysync.ack_%s', r.slot)::regclass),
           t.first_number, t.last_number
    FROM paysync.ring AS r LEFT JOIN LATERAL (
        SELECT min(t.first_number) AS first_number, max(t.last_number) AS last_number FROM paysync.all_ticks AS t
        WHERE t.slot = r.slot AND t.first_number <= t.last_number) AS t ON true
$$;
CREATE OR REPLACE VIEW segments AS SELECT * FROM segment_states();

CREATE OR REPLACE FUNCTION health(OUT state text, OUT hint text, OUT relay_pid integer, OUT relay_since timestamptz, OUT epoch bigint,
    OUT "position" text, OUT last_tick_at timestamptz, OUT unticked_transactions bigint, OUT unticked_seconds double precision,
    OUT outbox_bytes bigint, OUT subscribers bigint, OUT max_lag_transactions bigint, OUT max_lag_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN s.count = 0 THEN 'no_subscriber' WHEN h.pid IS NULL THEN 'no_relay' WHEN s.seconds > 60 THEN 'behind' ELSE 'ok' END,
           CASE WHEN s.count = 0 THEN 'Nothing is kept until paysync.create_subscriber() is called.'
                WHEN h.pid IS NULL THEN 'Start paysync-relay; until then the outbox grows.'
                WHEN s.seconds > 60 THEN 'A subscriber is more than a minute behind: see paysync.subscribers.' END,
           h.pid, h.since, f.epoch, paysync.position_of(paysync.head_number()),
           (SELECT t.taken_at FROM paysync.all_ticks AS t ORDER BY t.last_number DESC LIMIT 1),
           u.transactions, coalesce(greatest(0, extract(epoch FROM clock_timestamp() - u.oldest)), 0)::double precision,
           (SELECT sum(g.bytes)::bigint FROM paysync.segment_states() AS g), s.count, s.transactions, s.seconds
    FROM paysync.fence AS f CROSS JOIN paysync.lease_holder() AS h CROSS JOIN paysync.unticked() AS u
    CROSS JOIN (SELECT count(*) AS count, coalesce(max(lag_transactions), 0) AS transactions, coalesce(max(lag_seconds), 0) AS seconds
                FROM paysync.subscriber_states()) AS s
$$;
CREATE OR REPLACE VIEW status AS SELECT * FROM health();
