"""What goes on beside the stream, under load: indexes rebuilt, a second session that cuts ticks."""

import threading

import psycopg
import pytest

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
