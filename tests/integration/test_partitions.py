"""Partitioned tables and tables that others inherit from: their rows, told as one table's or as their own."""

import pytest

from harness.replica import Mirror, register


@pytest.fixture(name="mirror")
def fixture_mirror(database):
    """A database and its copy."""
    with Mirror(database) as made:
        yield made


PARTITIONED = """
create table p (id int, region text, n int, v text default 'd', primary key (id, region)) partition by list (region);
create table p_eu partition of p for values in ('eu');
create table p_us (gone int, v text, n int, region text not null, id int not null) partition by range (id);
alter table p_us drop column gone;
create table p_us_1 (n int, id int not null, x int, region text not null, v text); alter table p_us_1 drop column x;
alter table p attach partition p_us for values in ('us');
alter table p_us attach partition p_us_1 for values from (0) to (100);
create table p_us_2 partition of p_us default;
create table p_rest partition of p default;
"""
PARTITION_WORK = """
insert into p values (1, 'eu', 1), (2, 'us', 2), (200, 'us', 3), (4, 'asia', 4);
insert into p_us_1 (id, region, n, v) values (5, 'us', 5, 'leaf'); insert into p_us (id, region, n) values (6, 'us', 6);
update p set n = n + 10; update p set region = 'us' where id = 1; update p_us set id = id + 300 where id = 2; update p set id = id + 1000;
delete from p where region = 'asia'; delete from p_us where id > 1300; update p_us_2 set v = null;
insert into p values (5, 'eu', 1), (7, 'us', 2) on conflict (id, region) do update set n = 77;
"""
LEAVES = ["p_eu", "p_us_1", "p_us_2", "p_rest"]


@pytest.mark.parametrize("old_values", ["key", "changed", "full"])
@pytest.mark.parametrize("partitions", ["root", "leaf"])
def test_partitions(database, mirror, partitions, old_values):
    """Rule: rows of partitions are told as the root's or as their own, also where columns stand in another order; a row that moves is
    a delete and an insert."""
    database.execute(PARTITIONED)
    register(database, "p", old_values=old_values, options=f'{{"partitions": "{partitions}"}}')
    database.execute(PARTITION_WORK)
    mirror.catch_up()
    assert {change.table for transaction in mirror.transactions for change in transaction.changes} == ({"p"} if partitions == "root" else set(LEAVES))
    database.execute("""create table p_new partition of p for values in ('new'); insert into p values (50, 'new', 1); truncate p;
        insert into p values (1, 'us', 1), (2, 'new', 2)""")
    if partitions == "root":
        mirror.assert_same(["p"])
        return
    mirror.catch_up()
    assert not mirror.replica.in_doubt()
    for leaf in [*LEAVES, "p_new"]:
        columns = "id, region, n, v"
        source, copy = (side.execute(f"select {columns} from {leaf} order by id") for side in (database, mirror.copy))
        assert source == copy


@pytest.mark.parametrize("partitions", ["root", "leaf"])
def test_inheritance(database, mirror, partitions):
    """Rule: rows of inheriting tables are told as the parent's or as their own, whether they are changed through the parent or not."""
    database.execute("""create table a (id int primary key, n int); create table b (x text, primary key (id)) inherits (a);
        create table other (y int); create table c (z int, primary key (id)) inherits (b, other)""")
    register(database, "a", old_values="full", options=f'{{"partitions": "{partitions}"}}')
    database.execute("""insert into a values (1, 1); insert into b values (2, 2, 'b'); insert into c (id, n, x, y, z) values (3, 3, 'c', 3, 3);
        update a set n = n + 1; update only a set n = 100; update b set x = x || '!', n = n * 2; delete from a where id = 2;
        insert into b values (4, 4, 'b'); update a set id = id + 10; create table d (primary key (id)) inherits (a); insert into d values (20, 20)""")
    if partitions == "root":
        mirror.assert_same(["a"])
        database.execute("truncate a; insert into c (id, n) values (9, 9)")
        mirror.assert_same(["a"])
        return
    mirror.catch_up()
    assert not mirror.replica.in_doubt()
    for table in ("a", "b", "c", "d"):
        names = [row[0] for row in mirror.copy.execute("select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 order by 1", (table,))]
        source, copy = (side.execute(f"select {', '.join(names)} from only {table} order by id") for side in (database, mirror.copy))
        assert source == copy and (table == "a" or set(names) >= {"id", "n"})
