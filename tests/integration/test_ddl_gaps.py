"""What alters a table or changes rows without a row trigger: told in the statement's own transaction, at exactly its place."""

import re

import psycopg
import pytest

from harness.ddl_cases import CASES, Case
from harness.replica import Mirror, assert_equal, rows_of

@pytest.fixture(scope="module")
def mirror(server):
    """A database for all cases, each in a schema of its own, and a copy made from its stream."""
    database = server.create_database("ddl_gaps", "paysync_template")
    with Mirror(database) as made:
        yield made
    server.drop_database("ddl_gaps")


class Run:
    """A case in a schema of its own, its table registered when it was empty, and a table `marker` beside it."""

    def __init__(self, mirror: Mirror, case: Case, schema: str, has_rows: bool = True):
        self.mirror, self.case, self.schema = mirror, case, schema
        self.session = mirror.database.connect()
        self.make_types(mirror.copy)
        self.execute(f"create schema {schema}; set search_path = {schema}, public; create schema {schema}_marker; create table {schema}_marker.marker (id int primary key)")
        self.execute(case.setup)
        self.execute(f"select paysync.register('t'{case.options}), paysync.register('{schema}_marker.marker')")
        if has_rows:
            self.execute(case.rows)
        mirror.catch_up()
        assert mirror.replica.in_doubt().get(f"{schema}.t") is None
        self.before = self.rows("t")

    def make_types(self, copy) -> None:
        """The copy has the types, also under the names that they may get."""
        types = "".join(re.findall(r"create (?:type|domain) .*?;\n", self.case.setup))
        copy.execute(f"""create schema {self.schema}; create schema {self.schema}_types; create schema {self.schema}_other;
            set search_path = {self.schema}_other; {types} set search_path = {self.schema}; {types}
            create type feeling as enum ('sad', 'fine'); create type couple as (x int, y text); create domain shorter as text;
            create type {self.schema}_types.mood as enum ('sad', 'fine')""")

    def execute(self, statements: str) -> None:
        """Run SQL in which {s} stands for the schema."""
        self.session.execute(statements.replace("{s}", self.schema).encode())

    def rows(self, table: str) -> list:
        """The source's rows of a table."""
        return sorted(row[0] for row in self.session.execute(f"select x::text from {table} as x"))

    def mark(self, number: int) -> None:
        """A row of `marker`."""
        self.execute(f"insert into {self.schema}_marker.marker values ({number})")

    def between(self, changes: list, first: int, last: int) -> list:
        """The changes between two rows of `marker`."""
        keys = [change.new["id"] if change.table == "marker" else None for change in changes]
        return changes[keys.index(first) + 1:keys.index(last)]

    @property
    def table(self) -> str:
        """The table's name behind the statement."""
        name = self.case.table.replace("{s}", self.schema)
        return name if "." in name else f"{self.schema}.{name}"

    def change_rows(self) -> None:
        """Change rows as can be done behind the statement."""
        if self.case.after:
            self.execute(self.case.after.replace("{}", self.table))

    def assert_told(self, records: list, has_rows: bool = True) -> None:
        """The records are those that are expected, and all of our table."""
        expected, found = self.case.expect_of(has_rows), sorted({change.op for change in records})
        assert all(change.table in ("t", self.table.split(".")[1]) for change in records), records
        if expected != "any":
            assert found == [word for word in expected.split("+") if word != "nothing"], f"{found}: {records}"

    def assert_copied(self, expects_gap: bool) -> None:
        """The copy is equal, or in doubt and as it was before the statement."""
        doubts = [name for name in self.mirror.replica.in_doubt() if name.startswith((f"{self.schema}.", f"{self.schema}_"))]
        assert doubts == ([self.table] if expects_gap else []), self.mirror.replica.in_doubt()
        if tuple(self.table.split(".")) not in self.mirror.replica.shapes:
            assert not self.rows(self.table)
        elif not expects_gap:
            assert_equal(self.mirror.database, self.mirror.copy, [self.table], self.case.statement)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_) -> None:
        self.session.close()


def named(cases: list) -> list:
    """The cases with a name each."""
    return [pytest.param(number, case, id=case.statement[:100]) for number, case in enumerate(cases)]


def run_refused(run: Run) -> None:
    """PostgreSQL itself refuses the statement."""
    with pytest.raises(psycopg.Error):
        run.execute(run.case.statement)


@pytest.mark.parametrize("has_rows", [True, False], ids=["rows", "empty"])
@pytest.mark.parametrize("number, case", named(CASES))
def test_it_is_told_at_its_place(mirror, number, case, has_rows):
    """Rule: what the statement did stands between what its transaction did before and after; the copy is equal or in doubt from there."""
    with Run(mirror, case, f"c{number}{'r' if has_rows else 'e'}", has_rows) as run:
        if case.expect == "refused":
            run_refused(run)
            return
        if not case.alone:
            run.execute("begin")
        run.mark(1)
        run.execute(case.statement)
        run.mark(2)
        if not case.alone:
            run.execute("commit")
        found = run.between(run.mirror.changes(), 1, 2)
        run.assert_told(found, has_rows)
        gaps = any(change.op == "gap" for change in found)
        if has_rows and {change.op for change in found} == {"gap"} and "masks" not in case.options:
            assert rows_of(mirror.copy, run.table) == run.before
        run.change_rows()
        mirror.catch_up()
        run.assert_copied(gaps)


@pytest.mark.parametrize("number, case", named([case for case in CASES if not case.alone and case.expect != "refused"]))
def test_rolled_back_it_is_not_told(mirror, number, case):
    """Rule: a statement inside a savepoint that is rolled back is not told, and rows that follow have the shape they had."""
    with Run(mirror, case, f"b{number}") as run:
        run.execute("begin")
        run.mark(1)
        run.execute("update t set id = id")
        run.execute("savepoint here")
        run.execute(case.statement)
        run.execute("rollback to here")
        run.execute("update t set v = v || '!'")
        run.mark(2)
        run.execute("commit")
        found = run.between(run.mirror.changes(), 1, 2)
        assert {change.op for change in found} == {"update"} and len(found) == 2 * len(run.before), found
        assert run.mirror.replica.in_doubt().get(f"{run.schema}.t") is None
        if "masks" not in case.options:
            assert_equal(mirror.database, mirror.copy, [f"{run.schema}.t"], case.statement)


@pytest.mark.parametrize("number, case", named([case for case in CASES if not case.alone and case.after and case.expect != "refused"]))
def test_among_changes_of_rows(mirror, number, case):
    """Rule: rows changed before the statement in its transaction have the old shape and stand before it, those after it the new one."""
    with Run(mirror, case, f"m{number}") as run:
        run.execute("begin")
        run.mark(1)
        run.execute("update t set v = v || '?'; delete from t where id in (2, 9)")
        run.mark(2)
        run.execute(case.statement)
        run.mark(3)
        run.change_rows()
        run.mark(4)
        run.execute("commit")
        changes = run.mirror.changes()
        assert {change.op for change in run.between(changes, 1, 2)} <= {"update", "delete"}
        found = run.between(changes, 2, 3)
        run.assert_told(found)
        assert all(change.op in ("insert", "update", "delete") for change in run.between(changes, 3, 4))
        run.assert_copied(any(change.op == "gap" for change in found))


def test_what_event_triggers_cannot_see(database):
    """Rule: what happened while a superuser had disabled our event triggers is shown by paysync.tables."""
    database.execute("create table t (id int primary key, v text); select paysync.register('t')")
    names = [row[0] for row in database.execute("select evtname from pg_event_trigger where evtname like '%paysync%'")]
    assert len(names) >= 3
    for name in names:
        assert database.value("select evtenabled from pg_event_trigger where evtname = %s", (name,)) == "A"
        database.execute(f'alter event trigger "{name}" disable')
    assert database.execute("select capturing, reason is not null from paysync.tables") == [(False, True)]
    for name in names:
        database.execute(f'alter event trigger "{name}" enable always')
    assert database.execute("select capturing, reason is not null from paysync.tables") == [(True, False)]
    for name in names:
        database.execute(f'alter event trigger "{name}" disable')
    database.execute("alter table t disable trigger all; insert into t values (1, 'a')")
    for name in names:
        database.execute(f'alter event trigger "{name}" enable always')
    assert database.execute("select capturing, reason is not null from paysync.tables") == [(False, True)]


def test_a_table_without_its_key(database):
    """Rule: without its primary key a table's updates and deletes are refused until it has one again; inserts go on."""
    database.execute("create table t (id int primary key, v text); select paysync.register('t')")
    with Mirror(database) as mirror:
        database.execute("insert into t values (1, 'a'); alter table t drop constraint t_pkey")
        for statement in ("update t set v = 'b'", "delete from t"):
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                database.execute(statement)
        database.execute("insert into t values (2, 'b')")
        database.execute("alter table t add primary key (id); update t set v = 'c'; delete from t where id = 1")
        mirror.assert_same(["t"])


def test_registering_a_table_that_has_rows(database):
    """Rule: a table that has rows when it is registered is in doubt from there on, an empty one is not."""
    with Mirror(database) as mirror:
        database.execute("create table full_one (id int primary key); insert into full_one values (1); create table empty_one (id int primary key)")
        database.execute("select paysync.register('full_one'), paysync.register('empty_one')")
        database.execute("insert into full_one values (2); insert into empty_one values (1)")
        mirror.assert_same(["empty_one", "full_one"], doubts=("full_one",))


def test_partitions_told_otherwise(database):
    """Rule: with another way of reporting partitions, the tables that were reported and those that are now are in doubt."""
    with Mirror(database) as mirror:
        database.execute("create table t (id int primary key) partition by range (id); create table t_1 partition of t for values from (0) to (10);"
                         "create table t_2 partition of t for values from (10) to (20); select paysync.register('t'); insert into t values (1), (11)")
        database.execute("""select paysync.alter_registration('t', options => '{"partitions": "leaf"}'); insert into t values (2)""")
        mirror.assert_same(["t"], doubts=("t", "t_1", "t_2"))
        assert mirror.transactions[-1].changes[-1].table == "t_1"
