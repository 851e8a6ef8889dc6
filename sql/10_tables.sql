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

-- Registered tables. The first three columns are read by the C++ code (capture/relation_cache.cpp).
CREATE TABLE registration (
    table_oid     oid PRIMARY KEY,
    channel       text NOT NULL,
    insert_only   boolean NOT NULL,
    operations    text[] NOT NULL,
    registered_by name NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now()
);

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
CREATE INDEX shapes_fingerprint ON shapes (fingerprint);

-- Subscribers. `start_number` is what the subscriber went on after when it was made.
CREATE TABLE subscriber (
    id           integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name         text NOT NULL UNIQUE,
    channels     text[] NOT NULL,
    ephemeral    boolean NOT NULL DEFAULT false,
    start_number bigint NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- The backend that waits for the next tick; writers set its latch.
CREATE TABLE reader (
    singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    procno           integer,
    pid              integer,
    postmaster_start timestamptz
);
INSERT INTO reader DEFAULT VALUES;
