-- The state of the whole, the worst first, and who is in the way.

-- Transactions open or prepared for more than ten seconds that somebody waits for: to empty a segment, to make the first subscriber, to
-- resume capture.
CREATE OR REPLACE FUNCTION blockers() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH here AS (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()),
         held AS (
             SELECT l.pid, l.virtualtransaction, l.relation::regclass::text AS relation, 'keeps a segment of the outbox from being emptied' AS what
             FROM pg_locks AS l
             WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM here) AND l.relation IN (
                 SELECT format('paysync.%s_%s', kind, r.slot)::regclass FROM paysync.ring AS r, unnest('{closing,chunk,tick,ack,ring}'::text[]) AS kind
                 WHERE NOT r.current AND r.generation > 0)
             UNION ALL
             SELECT l.pid, l.virtualtransaction, NULL, 'makes or rewinds a subscriber: until it ends no segment is emptied'
             FROM pg_locks AS l
             WHERE l.locktype = 'object' AND l.granted AND l.database = (SELECT oid FROM here) AND l.mode = 'ShareLock'
               AND l.classid = 'pg_class'::regclass AND l.objid = 'paysync.fence'::regclass AND l.objsubid = 3
             UNION ALL
             SELECT l.pid, l.virtualtransaction, NULL, w.what
             FROM pg_locks AS l JOIN (
                 SELECT 'was not captured: capture is resumed when it has ended' FROM paysync.capture_state AS c WHERE c.mode IN ('suspended', 'resuming')
                 UNION ALL
                 SELECT 'was not captured: the first subscriber can be made when it has ended' WHERE NOT EXISTS (SELECT FROM paysync.subscriber)) AS w (what) ON true
             WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM here)
               AND l.relation = 'paysync.subscriber'::regclass AND l.mode = 'RowExclusiveLock')
    SELECT coalesce(jsonb_agg(jsonb_build_object('pid', b.pid, 'gid', b.gid, 'table', b.relation, 'what', b.what, 'since', b.since) ORDER BY b.since, b.what), '[]')
    FROM (SELECT h.pid, p.gid, h.what, min(h.relation) AS relation, coalesce(a.xact_start, p.prepared) AS since
          FROM held AS h LEFT JOIN pg_stat_activity AS a ON a.pid = h.pid
          -- A prepared transaction is known by the lock on its own id.
          LEFT JOIN pg_locks AS x ON h.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.virtualtransaction = h.virtualtransaction
          LEFT JOIN pg_prepared_xacts AS p ON p.transaction = x.transactionid
          WHERE coalesce(a.xact_start, p.prepared) < clock_timestamp() - interval '10 seconds' AND h.pid IS DISTINCT FROM pg_backend_pid()
          GROUP BY h.pid, p.gid, h.what, a.xact_start, p.prepared) AS b
$$;

CREATE OR REPLACE FUNCTION status_hint(state text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE state
        WHEN 'refusing' THEN 'The outbox is full, and writes to registered tables fail: see paysync.subscribers for who is behind, and blocked_by.'
        WHEN 'suspended' THEN 'The outbox is full, and changes are not captured until it has shrunk to three quarters of its limit; registered tables then need a new copy at their subscribers. See paysync.subscribers for who is behind, and blocked_by.'
        WHEN 'no_subscriber' THEN 'Nothing is kept until paysync.create_subscriber() is called.'
        WHEN 'no_relay' THEN 'Start paysync-relay; until then the outbox grows.'
        WHEN 'relay_silent' THEN 'A relay leads but does not respond: see paysync.relays. Is it stopped, or its host?'
        WHEN 'half_full' THEN 'The outbox has reached half of its limit: see paysync.subscribers for who is behind, and blocked_by.'
        WHEN 'behind' THEN 'A subscriber is more than a minute behind, or was cut off: see paysync.subscribers.' END
$$;

CREATE OR REPLACE FUNCTION health(OUT state text, OUT hint text, OUT capture text, OUT relay_pid integer, OUT relay_since timestamptz, OUT epoch bigint,
    OUT "position" text, OUT last_tick_at timestamptz, OUT unticked_transactions bigint, OUT unticked_seconds double precision,
    OUT outbox_bytes bigint, OUT outbox_limit bigint, OUT outbox_full text, OUT retention interval, OUT subscribers bigint,
    OUT max_lag_transactions bigint, OUT max_lag_seconds double precision, OUT blocked_by jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH waiting AS MATERIALIZED (SELECT * FROM paysync.unticked()),
         outbox AS MATERIALIZED (SELECT paysync.outbox_size() AS size, paysync.outbox_setting('paysync.outbox_limit') AS size_limit),
         leader AS MATERIALIZED (SELECT r.* FROM (SELECT) AS one LEFT JOIN paysync.relay_states() AS r ON r.role = 'leader' LIMIT 1),
         -- Who was cut off is no longer waited for, but it is missed; who is paused is not.
         lag AS MATERIALIZED (
             SELECT count(*) AS count, coalesce(max(l.transactions) FILTER (WHERE a.entitled), 0) AS transactions,
                    coalesce(max(l.seconds) FILTER (WHERE a.entitled), 0) AS seconds,
                    coalesce(bool_or(NOT a.entitled OR s.paused_at IS NULL AND l.seconds > 60), false) AS is_behind
             FROM waiting AS w, paysync.subscriber_lags(w.transactions, w.bytes, w.oldest) AS l JOIN paysync.acknowledged() AS a USING (id) JOIN paysync.subscriber AS s USING (id))
    SELECT c.state, paysync.status_hint(c.state), replace(k.mode, 'resuming', 'suspended'), leader.pid, leader.since, f.epoch, paysync.position_of(paysync.head_number()),
           (SELECT t.taken_at FROM paysync.all_ticks AS t ORDER BY t.last_number DESC LIMIT 1),
           w.transactions, coalesce(greatest(0, extract(epoch FROM clock_timestamp() - w.oldest)), 0)::double precision,
           outbox.size, outbox.size_limit, CASE paysync.outbox_setting('paysync.outbox_full') WHEN 1 THEN 'refuse' ELSE 'suspend' END,
           make_interval(secs => paysync.outbox_setting('paysync.retention')), lag.count, lag.transactions, lag.seconds, paysync.blockers()
    FROM paysync.fence AS f CROSS JOIN paysync.capture_state AS k CROSS JOIN waiting AS w CROSS JOIN outbox CROSS JOIN leader CROSS JOIN lag
    CROSS JOIN LATERAL (
        SELECT CASE WHEN lag.count > 0 AND k.mode = 'refusing' THEN 'refusing'
                    WHEN lag.count > 0 AND k.mode <> 'on' THEN 'suspended'
                    WHEN lag.count = 0 THEN 'no_subscriber'
                    WHEN leader.pid IS NULL THEN 'no_relay'
                    WHEN NOT leader.responding THEN 'relay_silent'
                    WHEN outbox.size_limit > 0 AND outbox.size >= outbox.size_limit / 2 THEN 'half_full'
                    WHEN lag.is_behind THEN 'behind'
                    ELSE 'ok' END AS state) AS c
$$;
CREATE OR REPLACE VIEW status AS SELECT * FROM health();
