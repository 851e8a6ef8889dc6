"""Changes of rows by every statement that makes them: told as the table is registered, in the order in which they happened."""

import time

import psycopg
import pytest

from harness import wait_for
from harness.replica import Mirror, assert_equal, register

TABLE = "create table t (id int primary key, n int, v text)"


@pytest.fixture(name="mirror")
def fixture_mirror(database):
    """A database and its copy."""
    with Mirror(database) as made:
        yield made


def told(mirror) -> list:
    """What came since the last look: (op, key or old, new) of each change, short."""
    return [(change.op, change.key, change.new) for change in mirror.changes()]


def copy_in(session, statement: str, data: bytes) -> None:
    """COPY FROM STDIN."""
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(data)


def test_copy(database, mirror):
    """Rule: rows of COPY are inserts, whether text, binary, with FREEZE, or through a partitioned table."""
    database.execute(TABLE + "; create table p (id int primary key, n int) partition by hash (id);"
                     "create table p0 partition of p for values with (modulus 2, remainder 0);"
                     "create table p1 partition of p for values with (modulus 2, remainder 1)")
    register(database, "t", "p")
    with database.connect() as session:
        copy_in(session, "copy t from stdin", b"".join(b"%d\t1\tx\n" % row for row in range(3000)))
        with session.cursor() as cursor, cursor.copy("copy (select id + 10000, n, v from t limit 50) to stdout (format binary)") as out:
            binary = b"".join(bytes(part) for part in out)
        copy_in(session, "copy t from stdin (format binary)", binary)
        copy_in(session, "copy p from stdin", b"".join(b"%d\t1\n" % row for row in range(100)))
        session.execute("begin")
        session.execute("create table frozen (id int primary key, n int); select paysync.register('frozen')")
        session.execute("truncate frozen")
        copy_in(session, "copy frozen from stdin (freeze)", b"1\t1\n2\t2\n")
        session.execute("commit")
    mirror.assert_same(["t", "p", "frozen"])


STATEMENTS = {
    "insert": "insert into t values (10, 1, 'a'), (11, null, null)",
    "insert select": "insert into t select id + 100, n, v from t",
    "insert returning": "insert into t values (10, 1, 'a') returning *",
    "insert default values": "alter table t alter column id set default 77; insert into t default values",
    "update": "update t set n = n + 1, v = v || 'x'",
    "update the same": "update t set n = n",
    "update keys": "update t set id = id + 1000",
    "update from": "update t set n = o.id from other as o where o.id = t.id",
    "delete": "delete from t where id > 2",
    "delete using": "delete from t using other as o where o.id = t.id",
    "on conflict nothing": "insert into t values (1, 9, 'c'), (50, 9, 'c') on conflict do nothing",
    "on conflict update": "insert into t values (1, 9, 'c'), (50, 9, 'c') on conflict (id) do update set n = excluded.n, id = t.id + 500",
    "merge": """merge into t using (select g as id from generate_series(2, 6) as g) as s on t.id = s.id
        when matched and t.id = 2 then delete when matched and t.id = 3 then do nothing
        when matched then update set n = 99 when not matched then insert values (s.id, 5, 'm')""",
    "cte": """with gone as (delete from t where id < 3 returning *), here as (insert into other select id + 20, n from gone returning id),
        touched as (update t set n = 0 where id > 3 returning id) insert into t select id + 300, 1, 'cte' from gone""",
    "truncate": "truncate t",
    "truncate several": "truncate t, other; insert into t values (1, 1, '1')",
    "truncate restart": "truncate t restart identity",
    "rule": "create rule r as on insert to gate do instead insert into t values (new.id, 1, 'rule'); insert into gate values (70)",
    "view": """create view seen as select id, n from t where n > 0 with check option; insert into seen values (71, 1);
        update seen set n = n + 1; delete from seen where id = 71""",
    "function": """create function f() returns int language plpgsql as $$ begin update t set n = 1; insert into t values (80, 1, 'f'); return 1; end $$;
        select f()""",
    "procedure": """create procedure p() language plpgsql as $$ begin insert into t values (81, 1, 'p'); commit; insert into t values (82, 1, 'p'); rollback;
        insert into t values (83, 1, 'p'); end $$; call p()""",
    "prepared statement": "prepare s (int) as insert into t values ($1, 1, 's'); execute s(90); execute s(91)",
    "cursor": "do $$ declare c cursor for select * from t for update; r t; begin for r in c loop update t set n = 5 where current of c; end loop; end $$",
    "select into nothing": "create table new_table as select * from t",
    "two phase": None,
}


@pytest.mark.parametrize("options", ["{}", '{"skip_unchanged": true}'])
@pytest.mark.parametrize("old_values", ["none", "key", "changed", "full"])
def test_statements(database, mirror, old_values, options):
    """Rule: whatever statement changes rows, the copy that is made from what is told is the source."""
    database.execute(TABLE + "; create table other (id int primary key, n int); create table gate (id int)")
    register(database, "t", "other", old_values=old_values, options=options)
    fresh = "truncate t, other; insert into t select i, i, 'v' || i from generate_series(1, 4) as i; insert into other values (2, 2), (4, 4)"
    for name, statement in STATEMENTS.items():
        with database.connect() as session:
            session.execute(fresh)
            if statement is None:
                session.execute("begin; update t set n = -1; savepoint a; delete from t; rollback to a; delete from t where id = 1")
                session.execute("prepare transaction 'changes'")
                mirror.catch_up()
                session.execute("commit prepared 'changes'")
            elif name in ("procedure",):
                create, call = statement.rsplit(";", 1)
                session.execute(create)
                session.execute(call)
            else:
                session.execute(statement)
        mirror.assert_same(["t", "other"], name)


OLD_VALUES = {
    # update of n; update of the key; update of nothing; delete
    "none": [None, {"id": 1}, None, {"id": 2}],
    "key": [None, {"id": 1}, None, {"id": 2}],
    "changed": [{"n": 1}, {"id": 1}, None, {"id": 2, "n": 5, "v": "a"}],
    "full": [{"id": 1, "n": 1, "v": "a"}, {"id": 1, "n": 5, "v": "a"}, {"id": 2, "n": 5, "v": "a"}, {"id": 2, "n": 5, "v": "a"}],
}


@pytest.mark.parametrize("old_values", OLD_VALUES)
def test_what_is_told_of_the_row_as_it_was(database, mirror, old_values):
    """Rule: old values are those that the registration asks for, no more and no less, for updates, changes of keys and deletes."""
    database.execute(TABLE)
    register(database, "t", old_values=old_values)
    database.execute("insert into t values (1, 1, 'a')")
    mirror.catch_up()
    for statement in ("update t set n = 5", "update t set id = 2", "update t set n = n", "delete from t"):
        database.execute(statement)
    assert [change.old or None for change in mirror.changes()] == OLD_VALUES[old_values]
    mirror.assert_same(["t"])


def test_equal_is_not_the_same(database, mirror):
    """Rule: whether a value changed is decided by its image: 1.0 and 1.00, -0 and 0, two spellings of a citext are different."""
    database.execute("create extension citext; create table t (id int primary key, a numeric, b float8, c json, k numeric unique not null)")
    database.execute("create table by_numeric (k numeric primary key, v int)")
    register(database, "t", "by_numeric", old_values="changed", options='{"skip_unchanged": true}')
    database.execute("insert into t values (1, 1.0, 0, '{}', 1); insert into by_numeric values (1.0, 1)")
    mirror.catch_up()
    for statement in ("update t set a = 1.00", "update t set b = '-0'", "update t set c = '{ }'", "update t set a = a, b = b", "update by_numeric set k = 1.00"):
        database.execute(statement)
    assert [set(change.old) for change in mirror.changes()] == [{"a"}, {"b"}, {"c"}, {"k"}]
    mirror.assert_same(["t", "by_numeric"])


def test_skip_unchanged(database, mirror):
    """Rule: with skip_unchanged an update in which nothing that is sent changed is not told; without it, it is."""
    database.execute("create table t (id int primary key, n int, hidden int); create table u (id int primary key, n int, hidden int)")
    register(database, "t", columns="{id,n}", options='{"skip_unchanged": true}')
    register(database, "u", columns="{id,n}")
    database.execute("insert into t values (1, 1, 1); insert into u values (1, 1, 1)")
    mirror.catch_up()
    database.execute("update t set hidden = 2, n = 1; update u set hidden = 2, n = 1")
    assert [change.table for change in mirror.changes()] == ["u"]
    database.execute("update t set n = 2, hidden = 3")
    assert [(change.op, change.new) for change in mirror.changes()] == [("update", {"id": 1, "n": 2})]


def test_large_unchanged_values(database, mirror):
    """Rule: a value kept out of line that an update did not touch is told whole in the new row, and is not taken for changed."""
    database.execute(TABLE)
    register(database, "t", old_values="changed")
    database.execute("alter table t alter column v set storage external; insert into t values (1, 1, repeat('long', 100000))")
    mirror.catch_up()
    database.execute("update t set n = 2")
    [change] = mirror.changes()
    assert change.old == {"n": 1} and len(change.new["v"]) == 400_000
    mirror.assert_same(["t"])


def test_row_filter(database, mirror):
    """Rule: a row that enters the filter is inserted, one that leaves it deleted, one outside is nothing; null counts as false."""
    database.execute("create table t (id int primary key, kind text, n int)")
    register(database, "t", columns="{id,n}", row_filter="kind = 'a'", old_values="full")
    mirror.catch_up()
    steps = [("insert into t values (1, 'a', 1), (2, 'b', 2), (3, null, 3)", ["insert"]), ("update t set n = n + 1", ["update"]),
             ("update t set kind = 'a' where id = 2", ["insert"]), ("update t set kind = null, n = 7 where id = 1", ["delete"]),
             ("update t set kind = 'c' where id = 1", []), ("update t set id = 20 where id = 2", ["update"]), ("delete from t where id = 1", []),
             ("delete from t where id = 20", ["delete"]), ("update t set kind = 'a', id = 30 where id = 3", ["insert"]),
             ("update t set kind = 'b', id = 31 where id = 30", ["delete"])]
    for statement, expected in steps:
        database.execute(statement)
        found = mirror.changes()
        assert [change.op for change in found] == expected, statement
        assert all(set(change.new or {}) <= {"id", "n"} and set(change.old or {}) <= {"id", "n"} for change in found)
        assert rows_in(mirror.copy) == database.execute("select id, n from t where kind = 'a' order by id")


def rows_in(copy) -> list:
    """The copy's rows of `t`."""
    return copy.execute("select id, n from t order by id") if copy.value("select to_regclass('t') is not null") else []


@pytest.mark.parametrize("operations, expected", [
    ("{insert}", ["insert"]), ("{update}", ["update"]), ("{delete}", ["delete"]), ("{truncate}", ["truncate"]),
    ("{insert,delete}", ["insert", "delete"]), ("{insert,update,delete,truncate}", ["insert", "update", "delete", "truncate"])])
def test_operations(database, operations, expected):
    """Rule: only the operations that were asked for are told."""
    database.execute(TABLE)
    register(database, "t", operations=operations)
    with Mirror(database) as mirror:
        with database.connect() as session:
            for statement in ("insert into t values (1, 1, 'a')", "update t set n = 2", "delete from t", "truncate t"):
                session.execute(statement)
        found = [change.op for transaction in mirror.outbox.read() for change in transaction.changes]
        assert found == expected


def test_other_keys(database, mirror):
    """Rule: key columns may be those of any unique index; updates and deletes name the row by them."""
    database.execute("create table t (id int primary key, a int not null, b text not null, n int, unique (b, a)); create table no_key (a int, n int)")
    register(database, "t", key_columns="{a,b}")
    register(database, "no_key", old_values="none")
    database.execute("insert into t values (1, 1, 'x', 1), (2, 1, 'y', 1)")
    database.execute("update t set n = 2; update t set b = 'z' where id = 2; delete from t where id = 1")
    [*_, update, delete] = [change for change in mirror.changes() if change.table == "t"]
    assert (update.old, delete.key) == ({"a": 1, "b": "y"}, {"a": 1, "b": "x"}) or update.old == {"b": "y"}
    mirror.assert_same(["t"])
    database.execute("insert into no_key values (1, 1); update no_key set n = 2; delete from no_key")
    found = [change for transaction in mirror.outbox.read() for change in transaction.changes]
    assert [(change.op, change.old or {}) for change in found] == [("insert", {}), ("update", {}), ("delete", {})]


ACTIONS = ["cascade", "set null", "set default", "restrict", "no action"]


@pytest.mark.parametrize("deferred", ["", "deferrable initially deferred"])
@pytest.mark.parametrize("action", ACTIONS)
def test_foreign_keys(database, mirror, action, deferred):
    """Rule: what a foreign key's action does to other rows is told, behind what set it off."""
    database.execute(f"""create table parent (id int primary key, v text); create table child (id int primary key,
        parent int default 0 references parent on delete {action} on update {action} {deferred}); create table grandchild (id int primary key,
        child int references child on delete cascade on update cascade)""")
    register(database, "parent", "child", "grandchild", old_values="changed")
    with database.connect() as session:
        session.execute("insert into parent values (0, 'd'), (1, 'a'), (2, 'b'), (3, 'c'); insert into child values (1, 1), (2, 1), (3, 2); "
                        "insert into grandchild values (1, 1), (2, 3)")
        for statement in ("update parent set id = 10 where id = 1", "delete from parent where id in (1, 10)", "delete from parent where id = 3"):
            try:
                session.execute(statement)
            except psycopg.errors.ForeignKeyViolation:
                assert action in ("restrict", "no action")
        session.execute("truncate parent cascade")
        session.execute("insert into parent values (5, 'again')")
    mirror.assert_same(["parent", "child", "grandchild"])


def test_deferred_constraints(database, mirror):
    """Rule: rows changed by a trigger that waits for the commit are told at their place, also when the commit then fails."""
    database.execute("""create table t (id int primary key, n int, v text); create table u (id int primary key deferrable initially deferred, n int unique not null);
        create function late() returns trigger language plpgsql as $$ begin update t set n = n + 1 where id = new.id and n < 3; return null; end $$;
        create constraint trigger late after insert or update on t deferrable initially deferred for each row execute function late()""")
    register(database, "t")
    register(database, "u", key_columns="{n}")
    with database.connect() as session:
        session.execute("begin; insert into t values (1, 0, 'a'); update t set v = 'b'; commit")
        session.execute("insert into u values (1, 1), (2, 2); update u set id = 3 - id")
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("begin; insert into t values (5, 0, 'x'); insert into u values (1, 9); commit")
    mirror.assert_same(["t", "u"])


def test_triggers_of_users(database, mirror):
    """Rule: triggers before and after ours, also a BEFORE trigger that sorts first by name, change rows that are told as they end up."""
    database.execute(TABLE + """; create table log (id serial primary key, what text);
        create function before() returns trigger language plpgsql as $$ begin
            if new.id = 13 then return null; end if; new.v := new.v || '+'; return new; end $$;
        create function after() returns trigger language plpgsql as $$ begin
            insert into log (what) values (tg_op || coalesce(new.id, old.id));
            if pg_trigger_depth() < 2 then update t set n = n + 1 where id = new.id + 1; end if; return null; end $$;
        create trigger "!!first" before insert or update on t for each row execute function before();
        create trigger a before insert or update on t for each row execute function before();
        create trigger b after insert or update or delete on t for each row execute function after();
        create trigger zz after update on t for each row execute function after();
        create trigger "!!s" after update on t for each statement execute function after()""")
    register(database, "t", "log", old_values="full")
    with database.connect() as session:
        session.execute("insert into t select i, i, 'v' from generate_series(10, 15) as i")
        session.execute("update t set v = 'w' where id > 11")
        session.execute("delete from t where id = 12")
    mirror.assert_same(["t", "log"])


PUTS_BACK = "; create function back() returns trigger language plpgsql as $$ begin insert into t values (old.id, 99, 'back'); return null; end $$"


@pytest.mark.parametrize("name", ["!paysync_rox", "m"])
def test_a_trigger_that_puts_a_row_back(database, mirror, name):
    """Rule: what a trigger does after a row changed stands behind that change, also where its name is the next behind ours."""
    database.execute(TABLE + PUTS_BACK + f"""; create trigger "{name}" after delete on t for each row execute function back()""")
    register(database, "t")
    database.execute("insert into t values (1, 1, 'a'), (2, 2, 'b')")
    database.execute("delete from t where id = 1")
    database.execute("delete from t")
    mirror.assert_same(["t"])


@pytest.mark.parametrize("name", ["!a", " ", "!paysync_ro"])
def test_a_trigger_that_sorts_before_ours(database, mirror, name):
    """Rule: an AFTER ROW trigger that sorts before ours is refused; made or renamed later, it leaves a gap, and the table is not
    captured until it is gone."""
    made = f"""create trigger "{name}" after delete on t for each row execute function back()"""
    database.execute(TABLE + PUTS_BACK + "; " + made)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="sorts before"):
        register(database, "t")
    database.execute("drop trigger \"" + name + "\" on t")
    register(database, "t")
    database.execute("insert into t values (1, 1, 'a'), (2, 2, 'b')")
    capturing = "select capturing from paysync.tables where table_name = 'public.t'"
    for command, captured in ((made, False), (f"""alter trigger "{name}" on t rename to m""", True), (f"""alter trigger m on t rename to "{name}" """, False)):
        mirror.changes()
        database.execute(command)
        assert database.execute(capturing) == [(captured,)]
        assert [op for op, _, _ in told(mirror)] == ["gap"]
    database.execute("drop trigger \"" + name + "\" on t")
    assert database.execute(capturing) == [(True,)]


@pytest.mark.parametrize("replica", [True, False])
def test_rows_that_replication_writes(server, database, replica):
    """Rule: rows that a logical-replication worker writes, its first copy included, are captured like others; with `replica: false`
    they are not."""
    publisher = server.create_database(f"{database.name}_publisher")
    try:
        publisher.execute(TABLE + "; create publication pub for table t; insert into t values (1, 1, 'copied')")
        database.execute(TABLE)
        register(database, "t", options=f'{{"replica": {str(replica).lower()}}}')
        with Mirror(database) as mirror:
            # A slot made by CREATE SUBSCRIPTION on the same server would wait for its own transaction.
            slot = f"{database.name}_slot"
            publisher.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
            database.execute(f"create subscription sub connection '{publisher.conninfo()}' publication pub with (create_slot = false, slot_name = '{slot}')")
            publisher.execute("insert into t values (2, 2, 'streamed'), (3, 3, 'streamed'); update t set n = n + 10; delete from t where id = 3")
            publisher.execute("update t set id = 20 where id = 2")
            wait_for(lambda: database.execute("select id from t order by id") == [(1,), (20,)], 30, "the worker has applied")
            database.execute("insert into t values (100, 1, 'local')")
            if replica:
                mirror.assert_same(["t"])
            else:
                assert [key["id"] for _, key, _ in told(mirror)] == [100]
            database.execute("alter subscription sub disable; alter subscription sub set (slot_name = none); drop subscription sub")
    finally:
        with server.connect() as session:
            ends = time.monotonic() + 20
            while session.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s and not active",
                                  (f"{database.name}_slot",)).rowcount == 0 and time.monotonic() < ends:
                pass
        server.drop_database(publisher.name)


def test_truncate_cascade(database, mirror):
    """Rule: a table that TRUNCATE … CASCADE empties is told as truncated, like those that it names."""
    database.execute("create table a (id int primary key); create table b (id int primary key references a); create table c (id int primary key references b)")
    register(database, "a", "b", "c")
    database.execute("insert into a values (1); insert into b values (1); insert into c values (1)")
    mirror.catch_up()
    database.execute("truncate a cascade")
    assert sorted(change.table for change in mirror.changes()) == ["a", "b", "c"]
    assert_equal(database, mirror.copy, ["a", "b", "c"], "")
