-- The regular upkeep. The relay does it once a second; where none runs, anybody who may.

CREATE OR REPLACE FUNCTION try_maintain() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_try_maintain';

-- Without a subscriber nothing is recorded, and a restore may be under way. Switching comes before all that locks something: it may wait
-- for the fence, which must not be done holding a lock that a tick or an acknowledgement waits for, or a payment.
CREATE OR REPLACE FUNCTION maintain() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    size_limit CONSTANT bigint := paysync.outbox_setting('paysync.outbox_limit');
    retention CONSTANT bigint := paysync.outbox_setting('paysync.retention');
    -- Not the one that is left now: writers use it until this transaction commits, and would wait for the lock that empties it.
    full_slots integer[];
    may_empty boolean;
    size bigint;
    before bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE active_sql_transaction USING MESSAGE = 'paysync.maintain() needs isolation level read committed';
    ELSIF NOT paysync.try_maintain() THEN
        RETURN;  -- somebody else is at it
    END IF;
    PERFORM paysync.keep_always();
    full_slots := ARRAY(SELECT r.slot FROM paysync.ring AS r WHERE NOT r.current AND r.generation > 0 ORDER BY r.generation);
    PERFORM paysync.switch_segment();
    IF EXISTS (SELECT FROM paysync.subscriber) THEN
        PERFORM paysync.reconcile_unseen();
    END IF;
    PERFORM paysync.judge_subscribers();
    PERFORM paysync.judge_ephemerals(size_limit);
    may_empty := paysync.try_empty();
    IF may_empty THEN
        PERFORM paysync.empty_segments(full_slots, CASE WHEN retention = 0 THEN 'infinity' ELSE clock_timestamp() - make_interval(secs => retention) END);
    END IF;
    size := paysync.outbox_size();
    IF may_empty AND size_limit > 0 AND size >= size_limit AND retention > 0 THEN
        -- Capture comes before the retention of what all have.
        before := size;
        PERFORM paysync.empty_segments(full_slots, 'infinity');
        size := paysync.outbox_size();
        IF size < before THEN
            PERFORM paysync.log_event('retention_cut', NULL, format('the outbox reached its limit of %s', pg_size_pretty(size_limit)));
        END IF;
    END IF;
    PERFORM paysync.judge_outbox(size, size_limit, may_empty);
    PERFORM paysync.prune_log();
END $$;
COMMENT ON FUNCTION maintain IS 'switch and empty segments, judge limits, look for what event triggers missed; the relay does it regularly';
