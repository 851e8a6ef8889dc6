-- Making, altering and dropping subscribers.

-- No segment is emptied until this transaction ends: who gets a claim to what the outbox holds must find it there.
CREATE OR REPLACE FUNCTION claim() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_claim';

-- Has this transaction thrown its changes away? Then it does so to its end. Its own lock is not in its way: it has to be asked.
CREATE OR REPLACE FUNCTION discards() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_discards';

-- False while a transaction is open that threw its changes away, this one included; true: there is none, nor will be until this one ends.
-- Such a transaction holds a lock on paysync.subscriber. Nobody queues for it, so that no writer ever waits here.
CREATE OR REPLACE FUNCTION try_end_discarding() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF paysync.discards() THEN
        RETURN false;
    END IF;
    LOCK TABLE paysync.subscriber IN SHARE ROW EXCLUSIVE MODE NOWAIT;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

-- Makes sure that no transaction which already threw its changes away, because there was no subscriber, can still commit
-- after this one.
CREATE OR REPLACE FUNCTION await_discarding_writers() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    give_up CONSTANT timestamptz := clock_timestamp() + interval '30 seconds';
BEGIN
    IF paysync.discards() THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'this transaction is not captured',
            DETAIL = 'It changed registered tables while there was no subscriber: one made now would miss what it still writes.',
            HINT = 'Make the subscriber in a transaction of its own.';
    END IF;
    WHILE NOT paysync.try_end_discarding() LOOP
        IF clock_timestamp() > give_up THEN
            RAISE lock_not_available USING MESSAGE = 'transactions that were not captured have not ended within 30 seconds',
                DETAIL = 'They changed registered tables while there was no subscriber: a subscriber made now would miss them.',
                HINT = 'End long-running and prepared transactions (pg_stat_activity, pg_prepared_xacts), then try again.';
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- Adds a subscriber at the head of the stream; the number it goes on after. Not in a transaction with one snapshot: a copy made in it
-- would lack what those who are waited for here wrote, and their changes are thrown away.
CREATE OR REPLACE FUNCTION add_subscriber(name text, channels text[], ephemeral boolean) RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted CONSTANT text[] := paysync.read_channels(channels);
    head bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE active_sql_transaction USING MESSAGE = 'a subscriber is made at isolation level read committed only',
            DETAIL = 'A copy made by an older snapshot could lack what nobody was sent.',
            HINT = 'Make it first, in a transaction of its own; what is copied after that may be at any level.';
    END IF;
    PERFORM paysync.claim();
    -- Locked, so that it stays: the last subscriber may just be being dropped. One that is, is no reason to wait.
    PERFORM FROM paysync.subscriber AS s LIMIT 1 FOR KEY SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        -- What was restored, or altered unseen, before anybody listened.
        PERFORM paysync.reconcile_unseen();
        PERFORM paysync.await_discarding_writers();
    END IF;
    head := paysync.head_number();
    INSERT INTO paysync.subscriber (name, channels, ephemeral, start_number) VALUES (name, wanted, ephemeral, head);
    RETURN head;
END $$;

CREATE OR REPLACE FUNCTION create_subscriber(name text, channels text[] DEFAULT '{default}', options jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint;
    wanted paysync.subscriber;
BEGIN
    IF name IS NULL OR name !~ '^[a-z0-9_][a-z0-9_.-]{0,62}$' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('invalid subscriber name %L', name),
            HINT = 'A name is 1 to 63 characters of a-z 0-9 _ - . and begins with a letter, a digit or _.';
    END IF;
    IF EXISTS (SELECT FROM paysync.subscriber AS s WHERE s.name = create_subscriber.name) THEN
        RAISE duplicate_object USING MESSAGE = format('subscriber "%s" exists already', name);
    END IF;
    wanted.on_limit := 'cut_off';
    wanted := paysync.read_subscriber_options(wanted, options);
    number := paysync.add_subscriber(name, channels, false);
    UPDATE paysync.subscriber AS s SET max_lag_bytes = wanted.max_lag_bytes, max_lag_age = wanted.max_lag_age, on_limit = wanted.on_limit
    WHERE s.name = create_subscriber.name;
    IF (SELECT c.mode FROM paysync.capture_state AS c) IN ('suspended', 'resuming') THEN
        RAISE WARNING USING MESSAGE = 'capture is suspended: the outbox is full',
            DETAIL = 'When it is resumed the stream says so, with a gap for each table: a copy that was made before is of no use.',
            HINT = 'See paysync.status.';
    END IF;
    RETURN paysync.position_of(number);
END $$;
COMMENT ON FUNCTION create_subscriber IS 'a durable subscriber; returns the position it starts after; options: max_lag_bytes, max_lag_age, on_limit';

-- The row of a durable subscriber, locked until this transaction ends.
CREATE OR REPLACE FUNCTION lock_subscriber(name text) RETURNS subscriber LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known paysync.subscriber;
BEGIN
    SELECT * INTO known FROM paysync.subscriber AS s WHERE s.name = lock_subscriber.name AND NOT s.ephemeral FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber %s does not exist', coalesce('"' || name || '"', 'NULL'));
    END IF;
    RETURN known;
END $$;

CREATE OR REPLACE FUNCTION alter_subscriber(name text, channels text[] DEFAULT NULL, options jsonb DEFAULT NULL) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT paysync.subscriber := paysync.lock_subscriber(name);
    wanted paysync.subscriber := known;
BEGIN
    IF channels IS NOT NULL THEN
        wanted.channels := paysync.read_channels(channels);
    END IF;
    wanted := paysync.read_subscriber_options(wanted, coalesce(options, '{}'));
    IF wanted = known THEN
        RAISE NOTICE 'subscriber "%" is like that already', name;
        RETURN;
    END IF;
    -- Limits are nothing to a session.
    UPDATE paysync.subscriber AS s SET channels = wanted.channels, max_lag_bytes = wanted.max_lag_bytes, max_lag_age = wanted.max_lag_age,
        on_limit = wanted.on_limit, revision = CASE WHEN wanted.channels <> known.channels THEN nextval('paysync.revision') ELSE s.revision END
    WHERE s.id = known.id;
END $$;
COMMENT ON FUNCTION alter_subscriber IS 'other channels, from where it stands on, or other limits; null leaves a thing as it is';

CREATE OR REPLACE FUNCTION pause_subscriber(name text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT paysync.subscriber := paysync.lock_subscriber(name);
BEGIN
    IF known.paused_at IS NOT NULL THEN
        RAISE NOTICE 'subscriber "%" is paused already', name;
        RETURN;
    END IF;
    UPDATE paysync.subscriber AS s SET paused_at = clock_timestamp(), revision = nextval('paysync.revision') WHERE s.id = known.id;
    PERFORM paysync.log_event('pause', name, 'by ' || session_user);
END $$;
COMMENT ON FUNCTION pause_subscriber IS 'send it nothing more; what it has not taken is kept, within its limits';

CREATE OR REPLACE FUNCTION resume_subscriber(name text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT paysync.subscriber := paysync.lock_subscriber(name);
BEGIN
    IF known.paused_at IS NULL THEN
        RAISE NOTICE 'subscriber "%" is not paused', name;
        RETURN;
    END IF;
    UPDATE paysync.subscriber AS s SET paused_at = NULL, revision = nextval('paysync.revision') WHERE s.id = known.id;
    PERFORM paysync.log_event('resume_subscriber', name, format('by %s, paused since %s', session_user, known.paused_at));
END $$;
COMMENT ON FUNCTION resume_subscriber IS 'let a paused subscriber go on where it stood';

CREATE OR REPLACE FUNCTION drop_subscriber(name text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM paysync.subscriber AS s WHERE s.name = drop_subscriber.name;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('subscriber "%s" does not exist', name);
    END IF;
    PERFORM paysync.log_event('drop_subscriber', name, 'by ' || session_user);
END $$;
COMMENT ON FUNCTION drop_subscriber IS 'forget a subscriber; what only it had not taken is no longer kept';
