"""What goes on beside the stream, under load: indexes rebuilt, a second session that cuts ticks."""

import threading

import psycopg
import pytest

from harness import wait_for

SECONDS = 4.0


class Load:
    """Sessions that insert one row a transaction into `t` until the block ends; `count` rows in all."""

    def __init__(self, database, sessions: int = 3):
        self.count = 0
        self._database = database
        self._ends = threading.Event()
        self._errors = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(sessions)]

    def _write(self) -> None:
        try:
            with self._database.connect() as session:
                while not self._ends.is_set():
                    session.execute("insert into t default values")
                    with self._lock:
                        self.count += 1
        except psycopg.Error as error:
            self._errors.append(error)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(30)
        assert not self._errors, f"a writer failed: {self._errors[0]!r}"


@pytest.fixture(name="source")
def fixture_source(database):
    """A registered table `t` with a subscriber."""
    database.execute("create table t (id bigserial primary key)")
    database.execute("select paysync.register('t')")
    database.execute("select paysync.create_subscriber('reader')")
    return database


def lead(database) -> int:
    """Begin an epoch; the lease goes with its session."""
    return database.value("select epoch from paysync.lead('test')")


def cut_all(session, epoch: int) -> int:
    """Cut ticks until nothing is left; the head."""
    head, before = 0, -1
    while head != before:
        before = head
        head = session.execute("call paysync.next_tick(%s::bigint, 0, 0, %s::bigint)", (epoch, head)).fetchone()[0]
    return head


def test_no_transaction_is_lost_while_indexes_are_rebuilt(source):
    """Rule: a chunk is in every index of its table that is ready, also in one that is being built beside the other."""
    with source.connect() as session, Load(source) as load:
        for _ in range(8):
            for table in ("chunk_0", "tick_0", "shapes"):
                session.execute(f"reindex table concurrently paysync.{table}")
    with source.connect() as session:
        assert cut_all(session, lead(source)) == load.count == source.value("select count(*) from t")


def test_two_sessions_of_one_epoch_cut_each_transaction_once(source):
    """Rule: one session cuts ticks at a time, and one that looked before another had cut looks again."""
    epoch, ends, errors = lead(source), threading.Event(), []

    def cut() -> None:
        try:
            with source.connect() as session:
                while not ends.is_set():
                    session.execute("call paysync.next_tick(%s::bigint, 0, 0, 0::bigint)", (epoch,))
        except psycopg.Error as error:
            errors.append(error)

    tickers = [threading.Thread(target=cut, daemon=True) for _ in range(3)]
    with Load(source) as load:
        for ticker in tickers:
            ticker.start()
        ends.wait(SECONDS)
    ends.set()
    for ticker in tickers:
        ticker.join(30)
    assert not errors, f"a ticker failed: {errors[0]!r}"
    with source.connect() as session:
        assert cut_all(session, epoch) == load.count
    xids = [row[0] for row in source.execute("select unnest(xids) from paysync.all_ticks")]
    assert len(xids) == len(set(xids)) == load.count


DETACHED = """
create table parted (id int primary key, note text) partition by range (id);
create table low partition of parted for values from (0) to (10);
create table middle partition of parted for values from (10) to (20);
create table high partition of parted for values from (20) to (30);
select paysync.register('parted');
alter event trigger "!paysync_ddl" disable; alter event trigger "!paysync_drop" disable;
alter table parted detach partition low; alter table parted detach partition middle;
alter event trigger "!paysync_ddl" enable always; alter event trigger "!paysync_drop" enable always;
"""


def test_no_payment_waits_for_what_was_detached_unseen(source):
    """Rule: what left a registered table while event triggers were off may be in use: the upkeep leaves it for another time, and who writes
    to the registered table does not wait for that."""
    source.execute(DETACHED)
    with source.connect(autocommit=False) as long, source.connect() as upkeep, source.connect() as payment:
        long.execute("insert into middle values (10, 'no longer a part')")
        upkeep.execute("set statement_timeout = '10s'")
        upkeep.execute("select paysync.maintain()")
        payment.execute("set lock_timeout = '5s'")
        payment.execute("insert into parted values (20, 'paid')")
        assert source.value("select count(*) from paysync.peek() where op = 'gap'") == 0
        long.commit()
        upkeep.execute("select paysync.maintain()")
    assert source.value("select count(*) from paysync.peek() where op = 'gap' and table_name like '%parted'") > 0


def test_no_payment_waits_while_the_upkeep_waits_for_a_tick(source):
    """Rule: the upkeep holds no lock on a registered table while it waits for the fence, which a large tick may hold for long."""
    source.execute(f"alter database {source.name} set paysync.segment_size = '64kB'")
    source.execute("create table large (id int primary key, note text); select paysync.register('large')")
    source.execute("insert into large select n, repeat('x', 7000) from generate_series(1, 20) as n")
    source.execute('alter event trigger "!paysync_ddl" disable; alter table large add column more int; alter event trigger "!paysync_ddl" enable always')
    with source.connect(autocommit=False) as tick, source.connect() as upkeep, source.connect() as payment:
        tick.execute("select from paysync.fence for no key update")
        thread = threading.Thread(target=upkeep.execute, args=("select paysync.maintain()",))
        thread.start()
        wait_for(lambda: source.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%maintain%'"), 20,
                 "the upkeep waits for the fence")
        payment.execute("set lock_timeout = '5s'")
        payment.execute("insert into large values (100, 'paid')")
        tick.commit()
        thread.join(30)
        assert not thread.is_alive()
    assert source.value("select count(*) from paysync.peek() where op = 'gap' and table_name like '%large'") == 1


def test_no_commit_waits_for_a_segment_that_is_being_emptied(source):
    """Rule: a transaction that was idle while the segment was switched writes into the new one, and does not wait for who empties the old."""
    source.execute(f"alter database {source.name} set paysync.segment_size = '64kB'")
    source.execute("create table large (id int primary key, note text); select paysync.register('large')")
    with source.connect(autocommit=False) as upkeep, source.connect() as payment:
        payment.execute("begin; insert into t default values")
        source.execute("insert into large select n, repeat('x', 9000) from generate_series(1, 20) as n")
        source.execute("select paysync.maintain()")
        epoch = source.value("select epoch from paysync.fence")
        head = source.execute(f"call paysync.next_tick({epoch}, 0, 0, 0)")[0][0]
        source.execute(f"select paysync.acknowledge({epoch}, '{{reader}}', '{{{head}}}', '{{false}}', array(select revision from paysync.subscriber), '{{null}}')")
        upkeep.execute("select paysync.maintain()")
        assert upkeep.execute("select count(*) from pg_locks where pid = pg_backend_pid() and mode = 'AccessExclusiveLock'").fetchone()[0] > 0
        payment.execute("set lock_timeout = '5s'")
        payment.execute("commit")
        upkeep.commit()
    assert source.value("select count(*) from paysync.closing_1") == 1
