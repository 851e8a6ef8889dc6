"""Savepoints: what was rolled back is not in the stream, everything else is, in its order, however it was buffered."""

import contextlib

import pytest

from harness.replica import mirrored

TABLE = "create table entry (id int primary key, note text)"
# A change of this size fills several chunks.
BIG = 30_000


@pytest.fixture
def applied(database, relay):
    """The table `entry`, registered; a function that applies the stream to a copy, compares, and returns the keys of each transaction."""
    database.execute(TABLE)
    database.execute("select paysync.register('entry')")
    with contextlib.ExitStack() as stack:
        transactions = stack.enter_context(mirrored(database, relay, TABLE, ["entry"]))

        def compare() -> list:
            stack.pop_all().close()
            return [[change.key["id"] for change in transaction.changes] for transaction in transactions]

        yield compare


def insert(session, row: int, size: int = 10) -> None:
    """A row, its note of the given length."""
    session.execute("insert into entry values (%s, repeat(%s, %s))", (row, chr(ord("a") + row % 26), size))


@pytest.mark.parametrize("size", [10, 5000, BIG])
def test_a_rolled_back_savepoint_leaves_nothing(database, applied, size):
    """Rule: after ROLLBACK TO the transaction goes on as if the savepoint had never been, also where its chunks were written early."""
    with database.connect(autocommit=False) as session:
        insert(session, 1, size)
        session.execute("savepoint a")
        for row in range(2, 6):
            insert(session, row, BIG)
        session.execute("rollback to a")
        insert(session, 6, size)
        session.execute("savepoint b")
        insert(session, 7, BIG)
        session.execute("savepoint c")
        insert(session, 8, size)
        session.execute("rollback to c")
        insert(session, 9, size)
        session.execute("release b")
        insert(session, 10, size)
    assert applied() == [[1, 6, 7, 9, 10]]


def test_nothing_but_rolled_back_savepoints(database, applied):
    """Rule: a transaction of which nothing is left is not delivered, and the next one is."""
    with database.connect(autocommit=False) as session:
        session.execute("savepoint a")
        insert(session, 1, BIG)
        session.execute("rollback to a")
    with database.connect() as session:
        insert(session, 2)
    assert applied() == [[2]]


@pytest.mark.parametrize("size", [10, 3000])
def test_exception_blocks_in_a_loop(database, applied, size):
    """Rule: of PL/pgSQL blocks, half of which fail after they wrote, the others' changes come, in order."""
    database.execute(f"""do $$ begin
        for i in 1 .. 400 loop
            begin
                insert into entry values (i, repeat('x', {size}));
                begin
                    update entry set note = note || i where id = i;
                    if i % 3 = 0 then raise exception 'inner'; end if;
                exception when raise_exception then insert into entry values (i + 1000, 'inner');
                end;
                if i % 2 = 0 then raise exception 'outer'; end if;
            exception when raise_exception then insert into entry values (i + 2000, 'outer');
            end;
        end loop;
    end $$""")
    [keys] = applied()
    assert [key for key in keys if key > 2000] == list(range(2002, 2401, 2))
    assert [key for key in keys if 1000 < key <= 2000] == [i + 1000 for i in range(3, 401, 6)]


def test_thousands_of_savepoints(database, applied):
    """Rule: 5,000 released and 5,000 rolled-back savepoints in one transaction lose nothing and bring nothing back."""
    with database.connect(autocommit=False) as session, session.pipeline():
        for row in range(5000):
            session.execute("savepoint here")
            insert(session, row)
            session.execute("release here")
            session.execute("savepoint there")
            insert(session, row + 10_000, 100)
            session.execute("rollback to there")
            session.execute("release there")
        session.commit()
    assert applied() == [list(range(5000))]


def test_thousands_of_nested_savepoints(database, applied):
    """Rule: savepoints inside savepoints, a thousand deep, are kept down to the one that is rolled back to."""
    with database.connect(autocommit=False) as session, session.pipeline():
        for row in range(1000):
            session.execute(f"savepoint s{row}")
            insert(session, row)
        session.execute("rollback to s500")
        insert(session, 5000)
        session.commit()
    assert applied() == [[*range(500), 5000]]


@pytest.mark.parametrize("rolled_back", ["a", "b", "c", None])
def test_first_loaded_inside_savepoints(database, applied, rolled_back):
    """Rule: a session that loads the library at nesting level 3 captures as any other, whichever level is rolled back then."""
    with database.connect(autocommit=False) as session:
        for name in "abc":
            session.execute(f"savepoint {name}")
        insert(session, 1)
        if rolled_back:
            session.execute(f"rollback to {rolled_back}")
        else:
            session.execute("release a")
        insert(session, 2, BIG)
        session.execute("savepoint d")
        insert(session, 3)
    assert applied() == [[2, 3] if rolled_back else [1, 2, 3]]
