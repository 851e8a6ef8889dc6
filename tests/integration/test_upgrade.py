"""A database made with an older version of the extension is brought up to this one, and the library serves both."""

import pytest
from psycopg import sql

OLD = "0.1.0"
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
        join pg_class on pg_class.oid = tgrelid where relnamespace = 'paysync'::regnamespace""",
    "event triggers": "select evtname, evtevent, evtfoid::regproc::text, evtenabled, evttags from pg_event_trigger",
    "dumped tables": """select config::regclass::text, condition from pg_extension, unnest(extconfig, extcondition) as c (config, condition)
        where extname = 'paysync'""",
    "initial rights": """select pg_describe_object(classoid, objoid, objsubid), initprivs::text from pg_init_privs
        where pg_describe_object(classoid, objoid, objsubid) like '%paysync%'""",
    "version": "select extversion from pg_extension where extname = 'paysync'",
}


@pytest.fixture
def old_database(server, request):
    """A database with the extension as it was in the old version."""
    made = server.create_database("upgraded")
    made.execute(f"create extension paysync version '{OLD}'")
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
        assert news(connection) == [
            ("insert", "public.t", {"id": 1}), ("gap", "public.t", None), ("insert", "public.t", {"id": 3}),
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
        assert news(connection) == [
            ("insert", "public.t", {"id": 1}), ("insert", "public.t", {"id": 2}), ("update", "public.t", {"id": 1}), ("delete", "public.t", {"id": 2}),
            ("insert", "public.u", None), ("insert", "public.t", {"id": 4}), ("truncate", "public.t", None)]
        connection.execute("select paysync.unregister('t')")
        assert connection.execute("select table_name, capturing from paysync.tables").fetchall() == [("public.u", True)]
