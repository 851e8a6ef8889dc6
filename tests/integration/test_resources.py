"""What capture and relay cost: a writer's memory however much it writes, and old row versions that nobody keeps from vacuum."""

import threading
import time

import pytest

from harness import wait_for
from harness.memory import private_bytes

MIB = 1024 * 1024
MEMORY_LIMIT = 64 * MIB
SAMPLES = 60
# A session of the relay may hold no snapshot older than this. It is at rest: longer would be one forgotten, not one at work.
OLDEST_SNAPSHOT = 1.5


def peak_while(session, work) -> int:
    """The most private memory that a session's backend takes while `work` runs, above what it had before; looked at every 20 ms."""
    pid = session.info.backend_pid
    before = most = private_bytes(pid)
    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        most = max(most, private_bytes(pid))
        worker.join(0.02)
    return most - before


@pytest.fixture
def session(database):
    """A session that has captured a row before, and table `entry`; its changes are kept for a subscriber."""
    database.execute("create table entry (id bigint primary key, amount numeric, note text)")
    database.execute("select paysync.register('entry')")
    database.execute("select paysync.create_subscriber('kept_for')")
    with database.connect() as connection:
        connection.execute("insert into entry values (0, 1.5, 'first')")
        yield connection


def kept_changes(database) -> int:
    """How many changes of the newest transaction are in the outbox, once it has a number."""
    with database.connect() as drain:
        [(epoch, _, _, head, _)] = drain.execute("select * from paysync.lead('test')").fetchall()
        drain.execute("call paysync.next_tick(%s, 0, 0, %s)", (epoch, head))
    return database.value("select changes from paysync.all_ticks order by last_number desc limit 1")


def test_a_million_rows_take_no_memory(database, session):
    """Rule: a writer's memory does not grow with its transaction: 1,000,000 rows in one statement stay below 64 MiB."""
    peak = peak_while(session, lambda: session.execute(
        "insert into entry select i, i / 7.0, 'row ' || i from generate_series(1, 1000000) as i"))
    assert peak < MEMORY_LIMIT, f"{peak / MIB:.0f} MiB"
    assert kept_changes(database) == 1_000_001


def test_a_hundred_thousand_savepoints_take_no_memory(database, session):
    """Rule: a writer's memory does not grow with its savepoints: an exception block a row, 100,000 times, stays below 64 MiB."""
    peak = peak_while(session, lambda: session.execute("""do $$ begin
        for i in 1 .. 100000 loop
            begin
                insert into entry values (i, 1, 'row');
                if i % 2 = 0 then raise exception 'undo'; end if;
            exception when raise_exception then null;
            end;
        end loop;
    end $$"""))
    assert peak < MEMORY_LIMIT, f"{peak / MIB:.0f} MiB"
    assert kept_changes(database) == 50_001


class Writer:
    """A session that writes to a table which is not registered: one short transaction after the other, until it is stopped."""

    def __init__(self, database):
        self.database = database
        self.rounds = 0
        self.error = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with self.database.connect() as session:
                while not self.stopping.wait(0.002):
                    session.execute("insert into busy values (%s) on conflict (id) do update set n = busy.n + 1", (self.rounds % 10,))
                    self.rounds += 1
        except Exception as error:  # pylint: disable=broad-except  # told at the end
            self.error = error

    def __enter__(self) -> "Writer":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopping.set()
        self.thread.join()
        assert self.error is None, f"the writer failed: {self.error!r}"


class Horizon:
    """Watches the relay's sessions. A snapshot's age is told by ids: one that holds back id X was taken when X was not given out
    yet or its transaction was running, so not before the moments at which the next id was below X."""

    def __init__(self, database):
        self.session = database.connect()
        self.history = []  # (moment, next id at that moment), rising
        self.seen = set()  # process ids of the relay's sessions

    def look(self) -> list:
        """Note the next id; returns a line for each of the relay's sessions whose snapshot is too old."""
        [(next_id,)] = self.session.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchall()
        self.history.append((time.monotonic(), next_id))
        rows = self.session.execute(
            """select pid, backend_xmin::text::bigint, query from pg_stat_activity
               where datname = current_database() and application_name like 'paysync-relay%'""").fetchall()
        now = time.monotonic()
        self.seen.update(pid for pid, _, _ in rows)
        old = [next_id for moment, next_id in self.history if moment < now - OLDEST_SNAPSHOT]
        return [f"session {pid} holds back id {xmin}, {OLDEST_SNAPSHOT} s ago the next was {old[-1]}: {query}"
                for pid, xmin, query in rows if xmin is not None and old and xmin < old[-1]]


def vacuums_at_once(session) -> bool:
    """Whether VACUUM removes rows that have just died: a table that had nothing else gives its pages back."""
    session.execute("truncate dead")
    session.execute("insert into dead select i from generate_series(1, 1000) as i")
    session.execute("delete from dead")

    def is_empty() -> bool:
        session.execute("vacuum dead")
        return session.execute("select pg_relation_size('dead') = 0").fetchone()[0]

    wait_for(is_empty, 2 * OLDEST_SNAPSHOT, "vacuum removes what died")
    return True


@pytest.mark.deadline(SAMPLES + 120)
def test_a_relay_at_rest_holds_nothing_back(database, relay):
    """Rule: a relay with nothing to do keeps no snapshot for longer than 1.5 s, so vacuum removes rows that died meanwhile."""
    database.execute("create table entry (id int primary key); create table busy (id int primary key, n int not null default 0);"
                     "create table dead (id int)")
    database.execute("select paysync.register('entry')")
    database.execute("select paysync.create_subscriber('mirror')")
    horizon = Horizon(database)
    with database.connect() as session, Writer(database) as writer:
        began = time.monotonic()
        for sample in range(SAMPLES):
            # Ten looks a second make the history; the one at the full second counts as the sample.
            faults = []
            wait_for(lambda: (faults.extend(horizon.look()), time.monotonic() >= began + sample)[1], 30, "the next second comes")
            assert not faults, faults
            if sample % 10 == 5:
                assert vacuums_at_once(session)
    assert relay.is_running() and horizon.seen and writer.rounds > 1000
