-- A subscriber past its own limit is cut off or kept, as asked; it is told, paused, resumed and altered, and every such change ends its session.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
-- Options.
SELECT options, tools.attempt(format('SELECT paysync.create_subscriber(''x'', options => %L)', options))
FROM unnest(ARRAY['[]', 'null', '{"max_lag_byte": 1}', '{"max_lag_bytes": -1}', '{"max_lag_bytes": 0}', '{"max_lag_bytes": "some"}', '{"max_lag_bytes": true}', '{"max_lag_bytes": "10 EB"}',
    '{"max_lag_age": 5}', '{"max_lag_age": "soon"}', '{"max_lag_age": "-1 day"}', '{"on_limit": "drop"}', '{"on_limit": null}', '{"limit": 1, "on_limit": "keep_it"}']) AS options;
SELECT name FROM paysync.subscriber ORDER BY 1;
SELECT paysync.create_subscriber('small', options => '{"max_lag_bytes": "20kB"}') IS NOT NULL AS made;
SELECT paysync.create_subscriber('old', '{default,money}', '{"max_lag_age": "1 hour", "max_lag_bytes": null}') IS NOT NULL AS made;
SELECT paysync.create_subscriber('kept', options => '{"max_lag_bytes": 20480, "on_limit": "keep"}') IS NOT NULL AS made;
SELECT name, max_lag_bytes, max_lag_age, on_limit FROM paysync.subscribers ORDER BY 1;
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT paysync.register('t');
SELECT epoch FROM paysync.lead('test');
-- A session began with this revision.
CREATE TABLE sessions AS SELECT name, revision FROM paysync.subscriber;
CREATE FUNCTION stale() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT s FROM (SELECT array_agg(name) AS names, array_agg(revision) AS revisions FROM shop.sessions) AS a, paysync.stale_sessions(a.names, a.revisions) AS s ORDER BY 1
$$;
CREATE FUNCTION applied(whom text, number bigint, error text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    SELECT paysync.acknowledge(2, ARRAY[whom], ARRAY[number], '{true}', ARRAY[(SELECT revision FROM shop.sessions WHERE name = whom)], ARRAY[error])
$$;
SELECT * FROM stale();
SELECT applied('small', 0), applied('old', 0), applied('kept', 0), applied('reader', 0);
-- By bytes, also of what has no number yet.
INSERT INTO t VALUES (1, repeat('x', 15000));
SELECT paysync.maintain();
CALL paysync.next_tick(2, 0, 0, 0);
SELECT paysync.maintain();
SELECT name, state, hint FROM paysync.subscribers WHERE name IN ('small', 'kept') AND state <> 'catching_up' ORDER BY 1;
INSERT INTO t VALUES (2, repeat('x', 10000));
SELECT paysync.maintain();
SELECT name, state, hint FROM paysync.subscribers WHERE state = 'cut_off' OR name = 'kept' ORDER BY 1;
SELECT * FROM stale();
SELECT event, subject, detail FROM paysync.log WHERE event = 'cut_off';
-- Its session is told to say HELLO again, and then it hears of it.
SELECT tools.attempt($$SELECT paysync.open_subscriber('small', NULL, NULL, false)$$);
SELECT state, told_at FROM paysync.subscribers JOIN paysync.subscriber USING (name) WHERE name = 'small';
SELECT paysync.acknowledge(2, '{small}', '{-1}', '{false}', '{0}', '{"206 something else"}');
SELECT state, last_error FROM paysync.subscribers WHERE name = 'small';
SELECT paysync.acknowledge(2, '{small}', '{-1}', '{false}', '{0}', '{"205 subscriber \"small\" was cut off"}');
SELECT state, last_error, last_error_at IS NOT NULL AS at FROM paysync.subscribers WHERE name = 'small';
-- What it applied in the session of before does not count, nor does the number beside revision 0.
SELECT applied('small', 1);
SELECT paysync.acknowledge(2, '{small}', '{1}', '{false}', '{0}', '{NULL}');
SELECT number FROM paysync.acknowledged() WHERE name = 'small';
-- By age.
CREATE FUNCTION age_ticks() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR slot IN 0 .. 7 LOOP
        EXECUTE format('UPDATE paysync.tick_%s SET oldest_at = oldest_at - interval ''2 hours''', slot);
    END LOOP;
END $$;
SELECT paysync.maintain();
SELECT cut_off_at FROM paysync.subscriber WHERE name = 'old';
SELECT age_ticks();
SELECT paysync.maintain();
SELECT regexp_replace(cut_off_reason, 'was .* behind', 'was TIME behind') AS reason FROM paysync.subscriber WHERE name = 'old';
SELECT lag_seconds > 7000 AS long FROM paysync.subscribers WHERE name = 'reader';
-- Nothing is kept for who was cut off.
SELECT paysync.drop_subscriber('kept');
ALTER DATABASE :"DBNAME" SET paysync.segment_size = '64kB';
INSERT INTO t SELECT n, repeat('x', 50000) FROM generate_series(10, 12) AS n;
CALL paysync.next_tick(2, 0, 0, 1);
SELECT applied('reader', 3);
SELECT paysync.maintain();
SELECT paysync.maintain();
SELECT paysync.oldest_number();
SELECT tools.attempt($$SELECT paysync.open_subscriber('small', NULL, NULL, false)$$);
SELECT state, hint FROM paysync.status;
-- With a new copy it goes on where the copy was made.
SELECT tools.attempt($$SELECT paysync.replay('small', from_position => paysync.position_of(2))$$);
SELECT split_part(paysync.replay('small', from_position => paysync.position_of(3)), ':', 2) AS number;
SELECT name, number, split_part(rewound, ':', 2) AS rewound FROM paysync.open_subscriber('small', NULL, NULL, false);
SELECT replace(state, 'catching_up', 'streaming') AS state, hint FROM paysync.subscribers WHERE name = 'small';
-- Not to where it would be cut off for it.
SELECT paysync.alter_subscriber('small', options => '{"max_lag_bytes": 1}');
INSERT INTO t VALUES (14);
CALL paysync.next_tick(2, 0, 0, 3);
SELECT regexp_replace(tools.attempt($$SELECT paysync.replay('small', from_position => paysync.position_of(3))$$), '\d+ bytes behind', 'N bytes behind');
SELECT paysync.alter_subscriber('small', options => '{"max_lag_bytes": "20kB"}');
-- Pause and resume.
SELECT paysync.pause_subscriber('nobody');
\echo :SQLSTATE
SELECT paysync.pause_subscriber(NULL);
\echo :SQLSTATE
UPDATE sessions AS s SET revision = p.revision FROM paysync.subscriber AS p WHERE p.name = s.name;
SELECT paysync.pause_subscriber('reader');
SELECT paysync.pause_subscriber('reader');
SELECT * FROM stale();
SELECT regexp_replace(tools.attempt($$SELECT paysync.open_subscriber('reader', NULL, NULL, false)$$), 'Since .*?\.\n', E'Since TIME.\n');
SELECT state, state_since = paused_at AS since, hint FROM paysync.subscribers JOIN paysync.subscriber USING (name) WHERE name = 'reader';
INSERT INTO t VALUES (13);
CALL paysync.next_tick(2, 0, 0, 3);
SELECT applied('reader', 4);
SELECT number FROM paysync.acknowledged() WHERE name = 'reader';
SELECT paysync.resume_subscriber('reader');
SELECT paysync.resume_subscriber('reader');
SELECT number FROM paysync.open_subscriber('reader', NULL, NULL, false);
SELECT event, subject, regexp_replace(detail, 'by \w+', 'by SOMEBODY') AS detail FROM paysync.log WHERE event = 'pause';
-- Other channels, other limits.
UPDATE sessions AS s SET revision = p.revision FROM paysync.subscriber AS p WHERE p.name = s.name;
SELECT paysync.alter_subscriber('reader', '{}');
\echo :SQLSTATE
SELECT paysync.alter_subscriber('reader', options => '{"max_lag": 1}');
\echo :SQLSTATE
SELECT paysync.alter_subscriber('reader', options => '{"max_lag_bytes": "1TB", "max_lag_age": "1 day"}');
SELECT * FROM stale();
SELECT paysync.alter_subscriber('reader', '{money,default,money}', '{"max_lag_age": null}');
SELECT * FROM stale();
SELECT channels, max_lag_bytes, max_lag_age, on_limit FROM paysync.subscribers WHERE name = 'reader';
SELECT channels FROM paysync.open_subscriber('reader', NULL, NULL, false);
SELECT paysync.alter_subscriber('reader', '{money,default}');
-- Dropped and made again it is another one, to the session that it had.
UPDATE sessions AS s SET revision = p.revision FROM paysync.subscriber AS p WHERE p.name = s.name;
SELECT paysync.drop_subscriber('reader');
SELECT paysync.create_subscriber('reader') IS NOT NULL AS made;
SELECT * FROM stale();
SELECT paysync.drop_subscriber('old');
SELECT * FROM stale();
-- The last one cut off: nobody has a claim, and the outbox empties itself.
SELECT paysync.drop_subscriber('reader');
INSERT INTO t SELECT n, repeat('x', 50000) FROM generate_series(20, 22) AS n;
SELECT paysync.alter_subscriber('small', options => '{"max_lag_bytes": 1}');
SELECT paysync.maintain();
SELECT state, subscribers FROM paysync.status;
SELECT paysync.maintain();
SELECT count(*) FILTER (WHERE state = 'full') AS full FROM paysync.segments;
SELECT unticked_transactions FROM paysync.status;
