-- Subscribers have names and channels that are checked; each begins where the stream stands when it is made.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
SELECT paysync.create_subscriber(NULL);
\echo :SQLSTATE
SELECT tools.attempt(format('SELECT paysync.create_subscriber(%L)', name)) FROM unnest(ARRAY['', 'A', '*', '-a', '.a', 'a b', 'ä', E'a\n', repeat('n', 64), 'a', '_', '9', 'a.b-c_0', repeat('n', 63)]) AS name;
SELECT paysync.create_subscriber('a');
\echo :SQLSTATE
SELECT tools.attempt(format('SELECT paysync.create_subscriber(''x'', %L)', channels)) FROM unnest(ARRAY['{}', '{NULL}', '{""}', NULL]) AS channels;
SELECT paysync.drop_subscriber('nobody');
\echo :SQLSTATE
SELECT paysync.drop_subscriber(NULL);
SELECT paysync.create_subscriber('b', '{two,one,two}') ~ '^1\.[0-9a-f]{8}:0$' AS "position";
SELECT name, channels, ephemeral, start_number FROM paysync.subscriber WHERE name IN ('a', 'b') ORDER BY name;
SELECT name, channels, ephemeral, replace(state, 'catching_up', 'streaming') AS state, lag_transactions, lag_bytes, last_seen, hint FROM paysync.subscribers WHERE name IN ('a', 'b') ORDER BY name;
SELECT count(paysync.drop_subscriber(name)) FROM paysync.subscriber;
SELECT state, hint, subscribers FROM paysync.status;
-- Where it begins.
SELECT paysync.create_subscriber('early') ~ ':0$' AS at_0;
CREATE TABLE t (id int PRIMARY KEY);
SELECT paysync.register('t');
INSERT INTO t VALUES (1);
INSERT INTO t VALUES (2);
CALL paysync.next_tick(1, 0, 0, 0);
INSERT INTO t VALUES (3);
SELECT paysync.create_subscriber('late') ~ ':2$' AS at_2;
SELECT name, replace(state, 'catching_up', 'streaming') AS state, "position" ~ ':[02]$' AS "position", lag_transactions, lag_bytes > 0 AS bytes FROM paysync.subscribers ORDER BY name;
SELECT state, hint, unticked_transactions, subscribers, max_lag_transactions FROM paysync.status;
SELECT count(*) FROM paysync.lead('test');
SELECT state, hint FROM paysync.status;
-- Acknowledgements go forward only; those of nobody are named; -1 says nothing new.
CALL paysync.next_tick(2, 0, 0, 0);
SELECT quote_literal(array_agg(revision ORDER BY name)) AS revisions FROM paysync.subscriber WHERE name IN ('early', 'late') \gset
SELECT paysync.acknowledge(2, '{early,nobody}', '{2,1}', '{true,true}', :revisions, '{NULL,NULL}');
SELECT name, replace(state, 'catching_up', 'streaming') AS state, lag_transactions, split_part("position", ':', 2) AS number FROM paysync.subscribers ORDER BY name;
SELECT paysync.acknowledge(2, '{early,late}', '{1,-1}', '{false,true}', :revisions, '{NULL,NULL}');
SELECT name, replace(state, 'catching_up', 'streaming') AS state, lag_transactions, split_part("position", ':', 2) AS number, last_seen IS NOT NULL AS seen FROM paysync.subscribers ORDER BY name;
SELECT paysync.acknowledge(2, '{}', '{}', '{}', '{}', '{}');
SELECT paysync.acknowledge(1, '{early}', '{3}', '{true}', '{0}', '{NULL}');
\echo :SQLSTATE
-- A subscriber that is dropped and made again begins anew.
SELECT paysync.drop_subscriber('early');
SELECT paysync.create_subscriber('early') ~ ':3$' AS at_3;
SELECT name, replace(state, 'catching_up', 'streaming') AS state, lag_transactions, split_part("position", ':', 2) AS number FROM paysync.subscribers ORDER BY name;
-- Ephemeral ones live as long as their session; a new leader drops what was left.
SELECT name AS ephemeral, number, channels FROM paysync.open_subscriber('*', NULL, NULL, false) \gset o_
SELECT :o_number AS number, :'o_channels' AS channels, :'o_ephemeral' ~ '^\*[0-9a-f-]{36}$' AS named;
SELECT count(*) FROM paysync.subscriber WHERE ephemeral;
SELECT tools.attempt(format($$SELECT paysync.open_subscriber(%L, NULL, NULL, false)$$, :'o_ephemeral')) ~ '^42704' AS refused;
SELECT paysync.close_subscriber('late');
SELECT paysync.close_subscriber(:'o_ephemeral');
SELECT name FROM paysync.subscriber ORDER BY 1;
SELECT count(*) FROM paysync.open_subscriber('*', NULL, NULL, false);
SELECT count(*) FROM paysync.lead('next');
SELECT name FROM paysync.subscriber ORDER BY 1;
-- Once there is none, what is captured is not kept; segments can be emptied of all that was.
SELECT count(paysync.drop_subscriber(name)) FROM paysync.subscriber;
INSERT INTO t VALUES (4);
SELECT tools.chunks();
