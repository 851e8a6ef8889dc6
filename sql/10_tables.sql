-- What the extension remembers: the stream, its history, registrations, shapes, subscribers.

-- The stream's identity, one row.
CREATE TABLE stream (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    stream_id  uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO stream DEFAULT VALUES;

-- The fencing row: the epoch that may cut ticks. Only a take-over changes it. A tick holds it alone, acknowledgements share it.
CREATE TABLE fence (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch     bigint NOT NULL
);
INSERT INTO fence (epoch) VALUES (1);

-- Every take-over begins an epoch; the one before ends where the stream stood.
CREATE TABLE epochs (
    epoch        bigint PRIMARY KEY,
    nonce        text NOT NULL CHECK (nonce ~ '^[0-9a-f]{8}$'),
    start_number bigint NOT NULL,
    end_number   bigint,                       -- null: the epoch that lasts
    started_at   timestamptz NOT NULL DEFAULT now(),
    software     text NOT NULL
);
INSERT INTO epochs (epoch, nonce, start_number, software)
VALUES (1, left(replace(gen_random_uuid()::text, '-', ''), 8), 0, 'CREATE EXTENSION');

-- Registered tables, by what was asked for. Names, not column numbers, since a restore gives other numbers. Read by the C++
-- code (capture/relation_cache.cpp), by the names of its columns.
CREATE TABLE registration (
    table_oid      regclass PRIMARY KEY,
    channel        text NOT NULL,
    insert_only    boolean NOT NULL,
    operations     text[] NOT NULL,
    registered_by  name NOT NULL,
    registered_at  timestamptz NOT NULL DEFAULT now(),
    format         integer NOT NULL DEFAULT 2,       -- a library that does not know it refuses to capture the table
    columns        text[],                           -- that are sent, in table order; null: all
    row_filter     text,                             -- canonical
    masks          jsonb NOT NULL DEFAULT '{}',      -- canonical: {"pan": {"mask": "hmac", "key": "k1"}}
    old_values     text NOT NULL DEFAULT 'key',
    key_columns    text[],                           -- null: the primary key
    new_columns    text NOT NULL DEFAULT 'include',
    replica        boolean NOT NULL DEFAULT true,
    partitions     text NOT NULL DEFAULT 'root',
    skip_unchanged boolean NOT NULL DEFAULT false,
    asked_columns  text[]                            -- as asked for, before columns were added; null: all
);
SELECT pg_extension_config_dump('registration', '');

-- Every relation that carries our triggers: the registered table, its partitions, what inherits from it; and what was known
-- of it when it was looked at last. A dump leaves it out: what is restored begins a stream of its own.
CREATE TABLE captured (
    relation  oid PRIMARY KEY,
    root      oid NOT NULL,                          -- the registered table
    shape     bigint,                                -- the one last recorded; null: none of its own yet
    capturing boolean NOT NULL,
    facts     jsonb NOT NULL                         -- see facts_of()
);
CREATE INDEX captured_root ON captured (root);

-- Keys of hmac masks. In no dump. Row security keeps out who may read all tables otherwise (pg_read_all_data).
CREATE TABLE mask_key (
    name       text PRIMARY KEY,
    secret     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    rotations  integer NOT NULL DEFAULT 0
);
ALTER TABLE mask_key ENABLE ROW LEVEL SECURITY;
-- Nor may ANALYZE put secrets into pg_statistic.
ALTER TABLE mask_key ALTER COLUMN secret SET STATISTICS 0;

-- Shapes, found by the digest of their description. Two sessions may add the same one; neither waits for the other.
CREATE TABLE shapes (
    id          bigint PRIMARY KEY,
    fingerprint bytea NOT NULL,
    description bytea NOT NULL,
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    channel     text NOT NULL
);
CREATE SEQUENCE shapes_id_seq OWNED BY shapes.id;
CREATE INDEX shapes_by_fingerprint ON shapes (fingerprint);

-- Subscribers. `start_number` is what the subscriber went on after when it was made, or when it was rewound last. Every change of what
-- a session depends on raises `revision`; a session of another one is ended, and what it acknowledges does not count. Acknowledgements
-- of before a replay bear a lower `rewinds`.
-- Never the same twice: a subscriber that is dropped and made again is another one.
CREATE SEQUENCE revision;
CREATE TABLE subscriber (
    id             integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name           text NOT NULL UNIQUE,
    channels       text[] NOT NULL,
    ephemeral      boolean NOT NULL DEFAULT false,
    start_number   bigint NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    max_lag_bytes  bigint,                           -- null: no limit
    max_lag_age    interval,
    on_limit       text NOT NULL DEFAULT 'cut_off',  -- or keep
    revision       bigint NOT NULL DEFAULT nextval('revision'),
    rewinds        bigint NOT NULL DEFAULT 0,
    rewound_at     timestamptz,
    taken_number   bigint NOT NULL DEFAULT 0,    -- the highest that it had acknowledged before a replay
    paused_at      timestamptz,
    cut_off_at     timestamptz,
    cut_off_reason text,
    told_at        timestamptz                       -- when it heard that it was cut off
);

-- Transactions that a subscriber is never sent, with what they held. Nothing removes them but an operator: DELETE FROM paysync.parked_transaction.
CREATE TABLE parked_transaction (
    id               bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    subscriber_id    integer NOT NULL,
    subscriber       text NOT NULL,
    channels         text[] NOT NULL,
    number           bigint NOT NULL,
    "position"       text NOT NULL,
    reason           text NOT NULL,
    skipped_at       timestamptz NOT NULL DEFAULT now(),
    skipped_by       name NOT NULL,
    transaction_time timestamptz NOT NULL,
    xid              xid8 NOT NULL,
    changes          bigint NOT NULL,
    bytes            bigint NOT NULL,
    UNIQUE (subscriber_id, number)
);
CREATE TABLE parked_chunk (
    parked_id bigint NOT NULL REFERENCES parked_transaction ON DELETE CASCADE,
    part      integer NOT NULL,
    payload   bytea NOT NULL,
    PRIMARY KEY (parked_id, part)
);

-- Whether what is captured is kept. Written by maintain() alone, read by every writer.
CREATE TABLE capture_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    mode      text NOT NULL DEFAULT 'on' CHECK (mode IN ('on', 'suspended', 'resuming', 'refusing')),
    since     timestamptz NOT NULL DEFAULT now(),
    half_full boolean NOT NULL DEFAULT false           -- it was said that the outbox is half full
);
INSERT INTO capture_state DEFAULT VALUES;

-- The last events worth knowing.
CREATE TABLE log_entry (
    id      bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    event   text NOT NULL,
    subject text,
    detail  text
);

-- The backend that waits for the next tick; writers set its latch.
CREATE TABLE reader (
    singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    procno           integer,
    pid              integer,
    postmaster_start timestamptz
);
INSERT INTO reader DEFAULT VALUES;
