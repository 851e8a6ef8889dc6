-- What the tests look with: news(), replay() and compare(). None of their output holds a transaction id, a nonce or a time.
CREATE SCHEMA tools;
CREATE SCHEMA replica;
CREATE TABLE tools.seen (xid xid8 PRIMARY KEY);

-- Committed changes that were not shown before, in the stream's order; `tx` counts the transactions.
CREATE FUNCTION tools.news() RETURNS TABLE (tx bigint, channel text, table_name text, op text, key jsonb, old jsonb, new jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        WITH fresh AS (
            SELECT p.*, min(p.at) OVER (PARTITION BY p.xid) AS first
            FROM paysync.peek(NULL, NULL) WITH ORDINALITY AS p ("position", commit_time, xid, channel, table_name, op, key, old, new, at)
            WHERE p.xid NOT IN (SELECT s.xid FROM tools.seen AS s))
        SELECT dense_rank() OVER (ORDER BY f.first), f.channel, f.table_name, f.op, f.key, f.old, f.new FROM fresh AS f ORDER BY f.at;
    INSERT INTO tools.seen SELECT DISTINCT p.xid FROM paysync.peek(NULL, NULL) AS p ON CONFLICT DO NOTHING;
END $$;

-- How many rows the outbox holds, closing records and parts, also those no tick has seen yet.
CREATE FUNCTION tools.chunks() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    total bigint := 0;
    rows bigint;
BEGIN
    FOR slot IN 0 .. 7 LOOP
        EXECUTE format('SELECT (SELECT count(*) FROM paysync.closing_%1$s) + (SELECT count(*) FROM paysync.chunk_%1$s)', slot) INTO rows;
        total := total + rows;
    END LOOP;
    RETURN total;
END $$;

-- Makes empty copies of tables of schema shop in schema replica, with all constraints but foreign keys.
CREATE PROCEDURE tools.copy_tables(VARIADIC names text[]) LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('CREATE TABLE replica.%1$I (LIKE shop.%1$I INCLUDING ALL)', name);
    END LOOP;
END $$;

-- The names of an object's members, as a list of columns.
CREATE FUNCTION tools.column_list(object jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(quote_ident(k), ', ' ORDER BY k) FROM jsonb_object_keys(object) AS k
$$;

-- Applies the whole stream, change by change in its order, to the copies. Each must find exactly the row that it means.
CREATE PROCEDURE tools.replay() LANGUAGE plpgsql AS $$
DECLARE
    change record;
    target text;
    rows bigint;
BEGIN
    FOR change IN SELECT * FROM paysync.peek(NULL, NULL) AS p WHERE p.table_name LIKE 'shop.%' LOOP
        target := 'replica.' || substr(change.table_name, 6);
        IF change.op = 'truncate' THEN
            EXECUTE format('DELETE FROM %s', target);
            CONTINUE;
        ELSIF change.op = 'insert' THEN
            EXECUTE format('INSERT INTO %1$s SELECT * FROM jsonb_populate_record(NULL::%1$s, $1)', target) USING change.new;
        ELSIF change.op = 'update' THEN
            EXECUTE format('UPDATE %1$s SET (%2$s) = (SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1)) WHERE (%3$s) = (SELECT %3$s FROM jsonb_populate_record(NULL::%1$s, $2))',
                           target, tools.column_list(change.new), tools.column_list(change.key)) USING change.new, change.key;
        ELSIF change.op = 'delete' THEN
            EXECUTE format('DELETE FROM %1$s WHERE (%2$s) = (SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1))',
                           target, tools.column_list(change.key)) USING change.key;
        END IF;
        GET DIAGNOSTICS rows = ROW_COUNT;
        IF rows <> 1 THEN
            RAISE '% of % % found % rows', change.op, change.table_name, change.key, rows;
        END IF;
    END LOOP;
END $$;

-- Whether a table and its copy hold the same rows.
CREATE FUNCTION tools.compare(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    only_here bigint;
    only_there bigint;
    rows bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (TABLE shop.%1$I EXCEPT ALL TABLE replica.%1$I) AS d', name) INTO only_here;
    EXECUTE format('SELECT count(*) FROM (TABLE replica.%1$I EXCEPT ALL TABLE shop.%1$I) AS d', name) INTO only_there;
    EXECUTE format('SELECT count(*) FROM shop.%I', name) INTO rows;
    RETURN CASE WHEN only_here + only_there = 0 THEN format('%s: the same %s rows', name, rows)
                ELSE format('%s: %s rows only in the source, %s only in the copy', name, only_here, only_there) END;
END $$;

-- Runs a command; what it says when it fails, with epochs, nonces and identities left out.
CREATE FUNCTION tools.attempt(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN regexp_replace(regexp_replace(concat_ws(E'\n', SQLSTATE || ': ' || message, nullif(detail, ''), nullif(hint, '')),
        '[0-9a-f]{8}-[0-9a-f-]{27}', 'IDENTITY', 'g'), '[0-9]+\.[0-9a-f]{8}:', 'HISTORY:', 'g');
END $$;

-- Ends a savepoint's work in the way of a failing statement inside a block that catches it: true if it failed as wanted.
CREATE FUNCTION tools.rolled_back(command text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RAISE SQLSTATE 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
    RETURN true;
END $$;
