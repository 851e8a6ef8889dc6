-- Limits: of each subscriber, and of the outbox as a whole. Judged by maintain().

-- What a subscriber that stands at `number` has not taken of what has a number: bytes, and since when the oldest of it waits.
CREATE OR REPLACE FUNCTION ticked_lag(number bigint, OUT bytes bigint, OUT oldest timestamptz) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (SELECT t.total_bytes FROM paysync.all_ticks AS t ORDER BY t.last_number DESC LIMIT 1)
           - coalesce((SELECT t.total_bytes FROM paysync.all_ticks AS t WHERE t.last_number <= ticked_lag.number ORDER BY t.last_number DESC LIMIT 1),
                      (SELECT t.total_bytes - t.bytes FROM paysync.all_ticks AS t ORDER BY t.last_number LIMIT 1)),
           (SELECT t.oldest_at FROM paysync.all_ticks AS t WHERE t.last_number > ticked_lag.number AND t.first_number <= t.last_number ORDER BY t.last_number LIMIT 1)
$$;

-- Why a subscriber is past its limits; null: it is not.
CREATE OR REPLACE FUNCTION past_limit(s subscriber, bytes bigint, oldest timestamptz) RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN bytes > s.max_lag_bytes THEN format('It was %s behind, more than its %s', pg_size_pretty(bytes), pg_size_pretty(s.max_lag_bytes))
                WHEN oldest < clock_timestamp() - s.max_lag_age THEN format('It was %s behind, more than its %s',
                     date_trunc('second', clock_timestamp() - oldest), s.max_lag_age) END
$$;

-- Cuts off who is past a limit of its own. Who is just being altered, or was since it was looked at, is looked at another time.
CREATE OR REPLACE FUNCTION judge_subscribers() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    waiting record;
    late record;
BEGIN
    IF NOT EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.cut_off_at IS NULL AND s.on_limit = 'cut_off' AND coalesce(s.max_lag_bytes::text, s.max_lag_age::text) IS NOT NULL) THEN
        RETURN;
    END IF;
    waiting := paysync.unticked();
    FOR late IN
        SELECT s.id, s.name, s.revision, r.reason
        FROM paysync.subscriber AS s JOIN paysync.acknowledged() AS a USING (id) CROSS JOIN LATERAL paysync.ticked_lag(a.number) AS l
        CROSS JOIN LATERAL paysync.past_limit(s, l.bytes + waiting.bytes, coalesce(l.oldest, waiting.oldest)) AS r (reason)
        WHERE s.cut_off_at IS NULL AND s.on_limit = 'cut_off' AND r.reason IS NOT NULL LOOP
        PERFORM FROM paysync.subscriber AS s WHERE s.id = late.id FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        UPDATE paysync.subscriber AS s SET cut_off_at = clock_timestamp(), cut_off_reason = late.reason, told_at = NULL, revision = nextval('paysync.revision')
        WHERE (s.id, s.revision) = (late.id, late.revision);
        IF FOUND THEN
            PERFORM paysync.log_event('cut_off', late.name, late.reason);
        END IF;
    END LOOP;
END $$;

-- An ephemeral subscriber has no limit of its own, and nobody takes care of one whose program hangs. When the outbox is half full, those that
-- keep it from being emptied go: before capture does. Their sessions are told that what they miss is no longer kept.
CREATE OR REPLACE FUNCTION judge_ephemerals(size_limit bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_number bigint;
    late record;
BEGIN
    IF size_limit = 0 OR NOT EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.ephemeral) OR paysync.outbox_size() < size_limit / 2 THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT min(last_number) FROM paysync.tick_%s', (SELECT r.slot FROM paysync.ring AS r WHERE r.current)) INTO first_number;
    FOR late IN SELECT a.id, a.name FROM paysync.acknowledged() AS a WHERE a.ephemeral AND a.number < first_number LOOP
        PERFORM FROM paysync.subscriber AS s WHERE s.id = late.id FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        DELETE FROM paysync.subscriber AS s WHERE s.id = late.id;
        PERFORM paysync.log_event('drop_ephemeral', late.name, 'It was behind, and the outbox is half full');
    END LOOP;
END $$;

-- Says in the stream that tables may be another than it tells. Kept whatever the mode.
CREATE OR REPLACE FUNCTION keep_always() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_keep_always';
CREATE OR REPLACE FUNCTION record_gaps_of_all(reason text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.record_gaps(r, reason, true) FROM paysync.registration AS r ORDER BY r.table_oid $$;

CREATE OR REPLACE FUNCTION set_capture_mode(new_mode text, event text, detail text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE paysync.capture_state AS c SET mode = new_mode, since = CASE WHEN 'resuming' IN (c.mode, new_mode) THEN c.since ELSE clock_timestamp() END;
    IF event IS NOT NULL THEN
        PERFORM paysync.log_event(event, NULL, detail);
    END IF;
END $$;

-- Transactions that see the mode discard what they capture from then on, and none can before the gap is committed: it is the same
-- transaction.
CREATE OR REPLACE FUNCTION suspend_capture(size_limit bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reason CONSTANT text := format('the outbox reached its limit of %s', pg_size_pretty(size_limit));
BEGIN
    PERFORM paysync.keep_always();
    PERFORM paysync.set_capture_mode('suspended', 'suspend', reason);
    PERFORM paysync.record_gaps_of_all('capture was suspended: ' || reason);
END $$;

-- Who discarded something must have ended before the gap that repairs it is committed. While somebody has not, all that is captured is
-- kept already (mode resuming), so that those who discard become fewer.
CREATE OR REPLACE FUNCTION resume_capture() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    suspended_at CONSTANT timestamptz := (SELECT c.since FROM paysync.capture_state AS c);
BEGIN
    IF NOT paysync.try_end_discarding() THEN
        IF (SELECT c.mode <> 'resuming' FROM paysync.capture_state AS c) THEN
            PERFORM paysync.set_capture_mode('resuming', NULL, NULL);
        END IF;
        RETURN;
    END IF;
    PERFORM paysync.keep_always();
    PERFORM paysync.set_capture_mode('on', 'resume', format('capture was suspended since %s', suspended_at));
    PERFORM paysync.record_gaps_of_all(format('capture was resumed: what was written since %s was not captured', suspended_at));
END $$;

-- Compares the outbox with its limit. `no_claims`: nobody has a claim to what it holds, nor gets one before this transaction ends.
CREATE OR REPLACE FUNCTION judge_outbox(size bigint, size_limit bigint, no_claims boolean) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_state paysync.capture_state;
    is_refused CONSTANT boolean := paysync.outbox_setting('paysync.outbox_full') = 1;
    is_half CONSTANT boolean := size_limit > 0 AND size >= size_limit / 2;
    is_full CONSTANT boolean := size_limit > 0 AND size >= size_limit;
    is_relieved CONSTANT boolean := size_limit = 0 OR size < size_limit / 4 * 3;
BEGIN
    SELECT * INTO now_state FROM paysync.capture_state;
    IF now_state.half_full <> is_half THEN
        UPDATE paysync.capture_state SET half_full = is_half;
        IF is_half THEN
            PERFORM paysync.log_event('outbox_half_full', NULL, format('%s of %s', pg_size_pretty(size), pg_size_pretty(size_limit)));
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM paysync.subscriber) THEN
        -- What was thrown away meanwhile is nobody's, and a first subscriber waits for those who threw it away.
        IF now_state.mode <> 'on' AND no_claims THEN
            PERFORM paysync.set_capture_mode('on', 'resume', 'there is no subscriber');
        END IF;
    ELSIF now_state.mode = 'on' AND is_full AND is_refused THEN
        PERFORM paysync.set_capture_mode('refusing', 'refuse', format('the outbox reached its limit of %s', pg_size_pretty(size_limit)));
    ELSIF now_state.mode IN ('on', 'refusing') AND is_full AND NOT is_refused THEN
        PERFORM paysync.suspend_capture(size_limit);
    ELSIF now_state.mode = 'refusing' AND is_relieved THEN
        PERFORM paysync.set_capture_mode('on', 'resume', 'changes were refused since ' || now_state.since);
    ELSIF now_state.mode = 'resuming' AND is_full THEN
        PERFORM paysync.set_capture_mode('suspended', NULL, NULL);
    ELSIF now_state.mode = 'resuming' OR now_state.mode = 'suspended' AND is_relieved THEN
        PERFORM paysync.resume_capture();
    END IF;
END $$;
