"""A database made with an older version of the extension is brought up to this one, and the library serves both."""

import pytest
from psycopg import sql

OLD = ("0.1.0", "0.2.0")
# What a catalog looks like without its OIDs: one row an object, as text.
CATALOG = {
    "members": """select pg_describe_object(classid, objid, objsubid) from pg_depend
        where refclassid = 'pg_extension'::regclass and deptype = 'e' and refobjid = (select oid from pg_extension where extname = 'paysync')""",
    "functions": """select oid::regprocedure::text, pg_get_functiondef(oid), proacl::text, obj_description(oid, 'pg_proc'), proconfig
        from pg_proc where pronamespace = 'paysync'::regnamespace""",
    "relations": """select relname, relkind, relpersistence, relrowsecurity, relacl::text, reloptions, obj_description(oid, 'pg_class')
        from pg_class where relnamespace = 'paysync'::regnamespace""",
    "columns": """select attrelid::regclass::text, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attstorage,
        pg_get_expr(adbin, adrelid) from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
        join pg_class on pg_class.oid = attrelid where relnamespace = 'paysync'::regnamespace and relkind in ('r', 'v') and attnum > 0""",
    "constraints": "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'paysync'::regnamespace",
    "indexes": "select indexname, indexdef from pg_indexes where schemaname = 'paysync'",
    "views": "select viewname, definition from pg_views where schemaname = 'paysync'",
    "triggers": """select tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(pg_trigger.oid) from pg_trigger
        join pg_class on pg_class.oid = tgrelid where relnamespace = 'paysync'::regnamespace and not tgisinternal""",
    "event triggers": "select evtname, evtevent, evtfoid::regproc::text, evtenabled, evttags from pg_event_trigger",
    "dumped tables": """select config::regclass::text, condition from pg_extension, unnest(extconfig, extcondition) as c (config, condition)
        where extname = 'paysync'""",
    "initial rights": """select pg_describe_object(classoid, objoid, objsubid), initprivs::text from pg_init_privs
        where pg_describe_object(classoid, objoid, objsubid) like '%paysync%'""",
    "version": "select extversion from pg_extension where extname = 'paysync'",
}


@pytest.fixture(params=OLD)
def old_database(server, request):
    """A database with the extension as it was in an old version."""
    made = server.create_database("upgraded")
    made.execute(f"create extension paysync version '{request.param}'")
    made.version = request.param
    yield made
    server.drop_database(made.name)


def catalog(database) -> dict:
    """Everything the extension made, in an order that does not depend on how."""
    with database.connect() as connection:
        connection.execute("set search_path = pg_catalog")
        return {what: sorted(map(repr, connection.execute(query).fetchall())) for what, query in CATALOG.items()}


def news(connection) -> list:
    """What the stream holds: operation, table, key."""
    return connection.execute("select op, table_name, key from paysync.peek(null, null)").fetchall()


def test_an_upgrade_makes_what_a_new_installation_makes(database, old_database):
    """Rule: after ALTER EXTENSION UPDATE the catalogs are those of CREATE EXTENSION, object by object."""
    old_database.execute("alter extension paysync update")
    fresh, upgraded = catalog(database), catalog(old_database)
    for what, objects in fresh.items():
        assert objects, what
        assert upgraded[what] == objects, what


def test_registrations_live_through_an_upgrade(old_database):
    """Rule: what was registered is captured as before, its stream goes on, and who could register still can."""
    role = "registrar_of_old"
    with old_database.connect() as connection:
        connection.execute(f"create role {role}")
        connection.execute(f"grant usage on schema paysync to {role}; grant execute on function paysync.register to {role}")
        connection.execute("create table t (id int primary key, v text); create table gone (id int primary key)")
        connection.execute("select paysync.create_subscriber('s'), paysync.register('t'), paysync.register('gone')")
        connection.execute("insert into t values (1, 'before'); drop table gone")
        connection.execute("create table child (extra int) inherits (t); insert into child values (2, 'never seen', 1)")
        position = connection.execute("select position from paysync.subscribers").fetchone()[0]
        connection.execute("alter extension paysync update")
        connection.execute("insert into t values (3, 'after'); insert into child values (4, 'seen', 1)")
        connection.execute("alter table t add column w int default 5; update t set v = 'changed' where id = 1")
        seen = news(connection)
        # 0.1 notices neither that a table is dropped nor that a child comes.
        before = {"0.1.0": [("gap", "public.t", None)], "0.2.0": [("gap", "public.gone", None), ("insert", "public.t", {"id": 2})]}
        assert seen == [
            ("insert", "public.t", {"id": 1}), *before[old_database.version], ("insert", "public.t", {"id": 3}),
            ("insert", "public.t", {"id": 4}), ("alter", "public.t", None), ("update", "public.t", {"id": 1})]
        assert connection.execute("select table_name, channel, capturing from paysync.tables").fetchall() == [("public.t", "default", True)]
        assert connection.execute("select position from paysync.subscribers").fetchone()[0] == position
        assert connection.execute("select has_function_privilege(%s, 'paysync.register'::regproc::oid, 'execute')", (role,)).fetchone()[0]
        connection.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(role)))


def test_the_new_library_serves_the_old_functions(old_database):
    """Rule: with the new library and the functions of the old version, as after a package was installed, everything goes on."""
    with old_database.connect() as connection:
        connection.execute("create table t (id int primary key, v text); create table u (id int, v text)")
        connection.execute("select paysync.create_subscriber('s'), paysync.register('t', 'money', '{insert,update,delete,truncate}')")
        connection.execute("""select paysync.register('u', options => '{"insert_only": true}')""")
        connection.execute("insert into t values (1, 'one'), (2, 'two'); update t set id = 3 where id = 1; delete from t where id = 2")
        connection.execute("insert into u values (1, 'one')")
        epoch = connection.execute("select epoch from paysync.lead('test')").fetchone()[0]
        assert connection.execute("call paysync.next_tick(%s, 0, 0, 0)", (epoch,)).fetchone()[0] == 2
        connection.execute("alter table t add column w int; insert into t values (4, 'four', 4); truncate t")
        connection.execute("select paysync.maintain()")
        assert [change for change in news(connection) if change[0] != "alter"] == [
            ("insert", "public.t", {"id": 1}), ("insert", "public.t", {"id": 2}), ("update", "public.t", {"id": 1}), ("delete", "public.t", {"id": 2}),
            ("insert", "public.u", None), ("insert", "public.t", {"id": 4}), ("truncate", "public.t", None)]
        connection.execute("select paysync.unregister('t')")
        assert connection.execute("select table_name, capturing from paysync.tables").fetchall() == [("public.u", True)]


def positions(connection) -> dict:
    """Where the subscribers stand."""
    return dict(connection.execute("select name, position from paysync.subscribers").fetchall())


def test_the_stream_lives_through_an_upgrade(old_database):
    """Rule: numbers, chunks, acknowledgements, segments and subscribers are after an upgrade what they were, and go on from there."""
    with old_database.connect() as connection:
        connection.execute("set paysync.segment_size = '64kB'")
        connection.execute("create table t (id int primary key, v text)")
        connection.execute("select paysync.create_subscriber('behind'), paysync.create_subscriber('ahead'), paysync.register('t')")
        epoch = connection.execute("select epoch from paysync.lead('old')").fetchone()[0]
        for number in range(1, 7):
            connection.execute("insert into t select %s, string_agg(md5(n::text), '') from generate_series(1, 3000) as n", (number,))
            connection.execute("call paysync.next_tick(%s, 0, 0, %s)", (epoch, number - 1))
            connection.execute("select paysync.acknowledge(%s, '{behind,ahead}', %s, '{true,true}')", (epoch, [min(number, 2), number]))
            connection.execute("select paysync.maintain()")
        connection.execute("insert into t values (7, 'has no number yet')")
        stood, segments = positions(connection), connection.execute("select slot, generation, current, opened_at from paysync.ring order by 1").fetchall()
        emptied = connection.execute("select max(emptied_to) from paysync.ring").fetchone()
        assert emptied > (0,) and sum(row[1] > 0 for row in segments) > 2, "several segments, and some were emptied"
        kept = connection.execute("select number, part, payload from paysync.read_transactions(3, -1, 100000000)").fetchall()
        connection.execute("alter extension paysync update")
        assert positions(connection) == stood
        assert connection.execute("select slot, generation, current, opened_at from paysync.ring order by 1").fetchall() == segments
        assert connection.execute("select max(emptied_to) from paysync.ring").fetchone() == emptied
        assert connection.execute("select number, part, payload from paysync.read_transactions(3, -1, 100000000)").fetchall() == kept
        assert connection.execute("call paysync.next_tick(%s, 0, 0, 6::bigint)", (epoch,)).fetchone() == (7,)
        revisions = dict(connection.execute("select name, revision from paysync.subscriber").fetchall())
        sums = "select last_number, total_bytes = sum(bytes) over (order by last_number) from paysync.all_ticks where first_number <= last_number"
        assert all(right for _, right in connection.execute(sums).fetchall()), "ticks bear the sums of those before them"
        lags = dict(connection.execute("select name, lag_bytes from paysync.subscribers").fetchall())
        assert lags["behind"] > lags["ahead"] > 0
        connection.execute("select paysync.acknowledge(%s, '{behind,ahead}', '{7,7}', '{true,true}', %s, '{null,null}')",
                           (epoch, [revisions["behind"], revisions["ahead"]]))
        connection.execute("select paysync.maintain()")
        assert [row[0] for row in connection.execute("select slot from paysync.ring where generation > 0").fetchall()] == \
            [row[0] for row in connection.execute("select slot from paysync.ring where current").fetchall()], "what all have is emptied"
        assert connection.execute("select number from paysync.open_subscriber('behind', null, null, false)").fetchone() == (7,)


def test_rights_live_through_an_upgrade(old_database):
    """Rule: the relay's role and the monitor's can do after an upgrade what they are there for, and a dump still says who was granted what."""
    with old_database.connect() as connection:
        for role in ("relay_of_old", "monitor_of_old", "maker_of_old"):
            connection.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
        try:
            connection.execute("select paysync.grant_relay('relay_of_old'), paysync.grant_monitor('monitor_of_old')")
            connection.execute("grant usage on schema paysync to maker_of_old; grant execute on function paysync.create_subscriber to maker_of_old")
            connection.execute("alter extension paysync update")
            connection.execute("set role relay_of_old")
            epoch = connection.execute("select epoch from paysync.lead('new')").fetchone()[0]
            connection.execute("select paysync.acknowledge(%s, '{}', '{}', '{}', '{}', '{}'), paysync.maintain()", (epoch,))
            connection.execute("select * from paysync.stale_sessions('{}', '{}')")
            connection.execute("set role monitor_of_old")
            for view in ("status", "subscribers", "segments", "relays", "log", "parked", "tables"):
                connection.execute(f"select * from paysync.{view}")
            connection.execute("set role maker_of_old")
            connection.execute("select paysync.create_subscriber('s')")
            connection.execute("reset role")
            granted_by_us = connection.execute("""select count(*) from pg_init_privs, unnest(initprivs) as item, aclexplode(array[item]) as a
                where grantee in (select oid from pg_roles where rolname like '%_of_old')""").fetchone()[0]
            assert granted_by_us == 0, "a dump leaves out what an extension's script granted"
        finally:
            connection.execute("reset role")
            connection.execute("drop owned by relay_of_old, monitor_of_old, maker_of_old; drop role relay_of_old, monitor_of_old, maker_of_old")
