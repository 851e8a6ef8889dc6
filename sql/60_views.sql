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

CREATE OR REPLACE FUNCTION segment_states(OUT slot integer, OUT state text, OUT generation bigint, OUT opened_at timestamptz, OUT bytes bigint,
    OUT first_number bigint, OUT last_number bigint)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    SELECT r.slot, CASE WHEN r.current THEN 'current' WHEN r.generation = 0 THEN 'free' ELSE 'full' END, nullif(r.generation, 0), r.opened_at,
           paysync.size_of_segment(r.slot),
           (SELECT t.first_number FROM paysync.all_ticks AS t WHERE t.slot = r.slot AND t.first_number <= t.last_number ORDER BY t.last_number LIMIT 1),
           (SELECT t.last_number FROM paysync.all_ticks AS t WHERE t.slot = r.slot AND t.first_number <= t.last_number ORDER BY t.last_number DESC LIMIT 1)
    FROM paysync.ring AS r
$$;
CREATE OR REPLACE VIEW segments AS SELECT * FROM segment_states();

-- Transactions that were passed over, without what they held: that is shown by parked_changes().
CREATE OR REPLACE VIEW parked AS
    SELECT p.subscriber, p."position", p.reason, p.skipped_at, p.skipped_by, p.transaction_time, p.changes, p.bytes FROM parked_transaction AS p;

CREATE OR REPLACE VIEW log AS SELECT l.at, l.event, l.subject, l.detail FROM log_entry AS l;
