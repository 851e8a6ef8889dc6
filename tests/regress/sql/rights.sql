-- PUBLIC has nothing. A writer, the relay's role and the monitor's role can do exactly what they are there for.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
-- What PUBLIC may do in the schema: nothing at all.
SELECT p.oid::regprocedure FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
WHERE p.pronamespace = 'paysync'::regnamespace AND a.grantee = 0;
SELECT c.oid::regclass FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.relnamespace = 'paysync'::regnamespace AND a.grantee = 0;
SELECT n.nspname FROM pg_namespace AS n, aclexplode(n.nspacl) AS a WHERE n.nspname = 'paysync' AND a.grantee = 0;
-- Who runs with the owner's rights has its search path pinned, without exception.
SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'paysync'::regnamespace AND p.prosecdef AND NOT coalesce(p.proconfig @> '{"search_path=pg_catalog, pg_temp"}', false);
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_writer, regress_owner, regress_relay, regress_monitor;
RESET client_min_messages;
CREATE ROLE regress_writer;
CREATE ROLE regress_owner;
CREATE ROLE regress_relay;
CREATE ROLE regress_monitor;
GRANT USAGE ON SCHEMA shop, tools TO regress_writer, regress_owner, regress_relay, regress_monitor;
GRANT CREATE ON SCHEMA shop TO regress_owner;
SET ROLE regress_owner;
CREATE TABLE t (id int PRIMARY KEY, card text);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO regress_writer;
-- An owner registers only when the schema was opened to it, and only its own tables.
SELECT paysync.register('t');
\echo :SQLSTATE
RESET ROLE;
CREATE TABLE other (id int PRIMARY KEY);
GRANT ALL ON other TO regress_owner;
GRANT USAGE ON SCHEMA paysync TO regress_owner, regress_writer;
GRANT EXECUTE ON FUNCTION paysync.register, paysync.unregister TO regress_owner, regress_writer;
SET ROLE regress_owner;
SELECT paysync.register('t');
SELECT paysync.register('other');
\echo :SQLSTATE
SELECT paysync.unregister('other');
\echo :SQLSTATE
SELECT paysync.register_table('t', 'default', '{insert}', NULL, NULL, '{}', 'key', NULL, NULL, '{}', '');
\echo :SQLSTATE
-- A writer needs no right in the schema, has none, and its changes are captured.
SET ROLE regress_writer;
INSERT INTO t VALUES (1, '4111'), (2, repeat('x', 20000));
ALTER TABLE t ADD COLUMN x int;
UPDATE t SET card = '4112' WHERE id = 1;
TRUNCATE t;
INSERT INTO t VALUES (3, 'last');
SELECT paysync.register('t', 'mine');
SELECT paysync.unregister('t');
\echo :SQLSTATE
SELECT name, tools.attempt(command) FROM (VALUES ('peek', 'SELECT * FROM paysync.peek()'), ('closing records', 'TABLE paysync.closing_0'), ('chunks', 'TABLE paysync.chunk_0'), ('write a chunk', 'INSERT INTO paysync.chunk_0 VALUES (''1'', ''0/0'', 0, '''')'),
    ('empty a segment', 'TRUNCATE paysync.chunk_0'), ('registrations', 'TABLE paysync.registration'), ('shapes', 'TABLE paysync.shapes'), ('subscribers', 'TABLE paysync.subscriber'), ('view', 'TABLE paysync.subscribers'),
    ('create', 'SELECT paysync.create_subscriber(''w'')'), ('drop', 'SELECT paysync.drop_subscriber(''reader'')'), ('emit', 'SELECT paysync.emit(''default'', ''t'', ''1'')'), ('read', 'SELECT paysync.read_transactions(1, -1, 1)'),
    ('lead', 'SELECT paysync.lead(''w'')'), ('lease', 'SELECT paysync.try_lease()'), ('tick', 'CALL paysync.next_tick(1, 0, 0, 0)'), ('grant', 'SELECT paysync.grant_relay(''regress_writer'')'),
    ('maintain', 'SELECT paysync.maintain()'), ('setting', 'SET paysync.segment_size = ''64kB'''), ('note a shape', 'SELECT paysync.note_shape(''t'')'), ('capture', 'SELECT paysync.capture()'),
    ('secrets', 'TABLE paysync.mask_key'), ('set a secret', 'SELECT paysync.set_mask_key(''k'', ''0123456789abcdef'')'), ('drop a secret', 'SELECT paysync.drop_mask_key(''k'')'), ('mask keys', 'TABLE paysync.mask_keys'),
    ('alter', 'SELECT paysync.alter_registration(''t'', ''c'')'), ('own command', 'SELECT paysync.own_command(''SELECT 1'')'), ('gap', 'SELECT paysync.record_gap(1, ''x'')'), ('reconcile', 'SELECT paysync.reconcile(''t'')'),
    ('filter', 'SELECT paysync.check_row_filter(''t'', ''true'')'), ('empty', 'SELECT paysync.is_empty(''t'')'),
    ('pause', 'SELECT paysync.pause_subscriber(''reader'')'), ('resume', 'SELECT paysync.resume_subscriber(''reader'')'), ('alter subscriber', 'SELECT paysync.alter_subscriber(''reader'')'),
    ('replay', 'SELECT paysync.replay(''reader'', now())'), ('skip', 'SELECT paysync.skip(''reader'', ''x'', ''y'')'), ('parked', 'TABLE paysync.parked'), ('parked changes', 'SELECT paysync.parked_changes(''reader'', ''x'')'),
    ('log', 'TABLE paysync.log'), ('suspend', 'SELECT paysync.suspend_capture(1)'), ('capture state', 'UPDATE paysync.capture_state SET mode = ''refusing'''), ('keep', 'SELECT paysync.keep_always()'), ('claim', 'SELECT paysync.claim()')) AS c (name, command);
CREATE TRIGGER mine AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION paysync.capture();
RESET ROLE;
SELECT op, key, length(new ->> 'card') FROM tools.news();
-- The relay's role: the calls of docs/outbox.md, section 6, and nothing else.
SELECT paysync.grant_relay('regress_relay');
SELECT p.proname, p.prokind FROM pg_proc AS p WHERE p.pronamespace = 'paysync'::regnamespace AND has_function_privilege('regress_relay', p.oid, 'EXECUTE') ORDER BY 1;
SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace = 'paysync'::regnamespace AND c.relkind IN ('r', 'v', 'S')
    AND has_table_privilege('regress_relay', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
CREATE FUNCTION tools.attempts() RETURNS TABLE (name text, result text) LANGUAGE sql AS $$
    SELECT name, tools.attempt(command) FROM (VALUES ('user table', 'TABLE shop.t'), ('closing records', 'TABLE paysync.closing_0'), ('chunks', 'TABLE paysync.chunk_0'), ('ticks', 'TABLE paysync.all_ticks'), ('peek', 'SELECT * FROM paysync.peek()'),
        ('create', 'SELECT paysync.create_subscriber(''w'')'), ('register', 'SELECT paysync.register(''shop.t'')'), ('replay', 'SELECT paysync.replay(''reader'', now())'), ('skip', 'SELECT paysync.skip(''reader'', ''x'', ''y'')'), ('parked changes', 'SELECT paysync.parked_changes(''reader'', ''x'')'), ('emit', 'SELECT paysync.emit(''default'', ''t'', ''1'')'), ('status', 'TABLE paysync.status')) AS c (name, command)
$$;
SET ROLE regress_relay;
SELECT epoch, head FROM paysync.lead('relay');
CALL paysync.next_tick(2, 0, 0, 0);
SELECT number, part FROM paysync.read_transactions(1, -1, 1);
SELECT count(*) FROM paysync.read_shapes('{1,2}');
SELECT count(*) FROM paysync.read_manifest(1, 0);
SELECT count(*) FROM paysync.read_in_order(1);
SELECT count(*) FROM paysync.stale_sessions('{reader}', '{1}');
SELECT name FROM paysync.subscriber_states();
SELECT subscribers FROM paysync.health();
SELECT name, number FROM paysync.open_subscriber('reader', NULL, NULL, false);
SELECT paysync.close_subscriber('nobody');
SELECT paysync.acknowledge(2, '{reader}', '{1}', '{true}', '{1}', '{NULL}');
SELECT paysync.maintain();
SELECT * FROM tools.attempts();
RESET ROLE;
SELECT paysync.revoke_relay('regress_relay');
SET ROLE regress_relay;
CALL paysync.next_tick(2, 0, 0, 0);
RESET ROLE;
SELECT count(*) FROM pg_proc AS p WHERE p.pronamespace = 'paysync'::regnamespace AND has_function_privilege('regress_relay', p.oid, 'EXECUTE');
-- The monitor's role: the views.
SELECT paysync.grant_monitor('regress_monitor');
SET ROLE regress_monitor;
SELECT table_name, capturing FROM paysync.tables;
SELECT name, channels, lag_transactions FROM paysync.subscribers;
SELECT count(*) FROM paysync.segments;
SELECT subscribers, capture, outbox_limit, blocked_by FROM paysync.status;
SELECT role FROM paysync.relays;
SELECT event, subject FROM paysync.log;
TABLE paysync.parked;
SELECT * FROM tools.attempts();
RESET ROLE;
SELECT paysync.revoke_monitor('regress_monitor');
SELECT has_schema_privilege('regress_monitor', 'paysync', 'USAGE'), has_table_privilege('regress_monitor', 'paysync.status', 'SELECT');
-- Objects that a user puts in the way change nothing: our functions look where they must.
CREATE FUNCTION shop.count(anyelement) RETURNS bigint LANGUAGE sql AS 'SELECT 77';
CREATE OPERATOR shop.= (LEFTARG = text, RIGHTARG = text, FUNCTION = textne);
SET search_path = shop, pg_catalog, paysync;
SELECT paysync.create_subscriber('shadow') ~ '^2' AS made;
SELECT paysync.drop_subscriber('shadow');
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_writer, regress_owner, regress_relay, regress_monitor CASCADE;
DROP ROLE regress_writer, regress_owner, regress_relay, regress_monitor;
