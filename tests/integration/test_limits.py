"""The outbox's limit under load, and what the views say while somebody is in the way or a relay stands still."""

import random
import threading
import time

import psycopg
import pytest

from harness import wait_for
from harness.outbox import Outbox

SECONDS = 8.0


@pytest.fixture(name="source")
def fixture_source(database):
    """A registered table with a subscriber."""
    database.execute("create table t (id bigint primary key, v text)")
    database.execute("select paysync.register('t')")
    return database


def set_limit(database, value: str) -> None:
    """The outbox's limit."""
    database.execute(psycopg.sql.SQL("alter database {} set paysync.outbox_limit = {}").format(psycopg.sql.Identifier(database.name), value))


class Writer(threading.Thread):
    """Writes transactions of any size and kind until it is told to stop; ids do not meet those of others."""

    def __init__(self, database, number: int, seed: int):
        super().__init__(daemon=True)
        self.database, self.number, self.random = database, number, random.Random(seed * 100 + number)
        self.ends, self.error, self.done = threading.Event(), None, 0

    def transaction(self, session) -> None:
        """One transaction of a few statements."""
        for _ in range(self.random.randint(1, 3)):
            key = self.number * 1000 + self.random.randrange(40)
            size = self.random.choice((10, 10, 2000, 30000))
            if self.random.random() < 0.2:
                session.execute("savepoint a")
                session.execute("delete from t where id = %s", (key,))
                session.execute("rollback to a" if self.random.random() < 0.5 else "release a")
            session.execute("insert into t values (%s, %s) on conflict (id) do update set v = excluded.v", (key, str(self.random.random()) + "x" * size))
            if self.random.random() < 0.3:
                session.execute("select pg_sleep(%s)", (self.random.random() / 50,))  # open for a while

    def run(self) -> None:
        try:
            with self.database.connect(autocommit=False) as session:
                while not self.ends.is_set():
                    self.transaction(session)
                    ending = self.random.random()
                    if ending < 0.1:
                        session.rollback()
                    elif ending < 0.2:
                        name = f"w{self.number}"
                        session.execute(f"prepare transaction '{name}'")
                        session.commit()
                        session.autocommit = True
                        session.execute(f"commit prepared '{name}'")
                        session.autocommit = False
                    else:
                        session.commit()
                    self.done += 1
        except psycopg.Error as error:
            self.error = error


class Load:
    """Writers beside each other, until the block ends."""

    def __init__(self, database, seed: int, count: int = 4):
        self.writers = [Writer(database, number, seed) for number in range(count)]

    def go_on(self, transactions: int) -> None:
        """Wait until they have ended so many transactions more."""
        goal = sum(writer.done for writer in self.writers) + transactions
        wait_for(lambda: sum(writer.done for writer in self.writers) >= goal or any(writer.error for writer in self.writers), 20, "they write")

    def __enter__(self) -> "Load":
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *_) -> None:
        for writer in self.writers:
            writer.ends.set()
        for writer in self.writers:
            writer.join(30)
            assert writer.error is None, writer.error


def test_copies_made_after_a_gap_lose_nothing(source):
    """Rule: a copy that was begun after capture was resumed, and what the stream brings behind that gap, are the table as it is."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with Outbox(source) as outbox, source.connect() as upkeep:
        def is_resumed() -> bool:
            upkeep.execute("select paysync.maintain()")
            return source.value("select mode from paysync.capture_state") == "on"

        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            with Load(source, chance.randrange(1 << 30)) as load:
                load.go_on(chance.randint(1, 30))
                set_limit(source, "64kB")
                upkeep.execute("select paysync.maintain()")
                assert source.value("select mode from paysync.capture_state") == "suspended"
                load.go_on(chance.randint(1, 60))
                set_limit(source, "0")
                wait_for(is_resumed, 30, "capture is resumed under load")
                replica = dict(source.execute("select id, v from t"))
                load.go_on(chance.randint(1, 60))
            changes = [change for transaction in outbox.read() for change in transaction.changes]
            [gap] = [index for index, change in enumerate(changes) if change.op == "gap" and "resumed" in change.reason]
            for change in changes[gap + 1:]:
                if change.op == "delete":
                    replica.pop(int(change.key["id"]), None)
                else:
                    replica[int(change.new["id"])] = change.new["v"]
            assert replica == dict(source.execute("select id, v from t"))


def test_the_upkeep_is_not_refused(source):
    """Rule: where writes are refused the upkeep goes on, also with something of its own to tell."""
    source.execute("select paysync.create_subscriber('reader')")
    source.execute("insert into t values (1, 'one')")
    source.execute(psycopg.sql.SQL("alter database {} set paysync.outbox_full = 'refuse'").format(psycopg.sql.Identifier(source.name)))
    set_limit(source, "64kB")
    with source.connect() as session:
        session.execute("select paysync.maintain()")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
            session.execute("insert into t values (2, 'two')")
        session.execute("""alter event trigger "!paysync_ddl" disable""")
        session.execute("alter table t add column w int")
        session.execute("select paysync.maintain()")
        assert ("gap", "public.t") in session.execute("select op, table_name from paysync.peek()").fetchall()
        set_limit(source, "0")
        session.execute("select paysync.maintain()")
        session.execute("insert into t values (2, 'two')")


def blockers(database) -> list:
    """Who is in the way: whether it is a session or a prepared transaction, and of what."""
    return [(entry["gid"] or "session", entry["what"]) for entry in database.value("select blocked_by from paysync.status")]


def test_who_is_in_the_way_is_named(source):
    """Rule: blocked_by names sessions and prepared transactions that were begun more than ten seconds ago, and what they keep from being done."""
    emptied = "keeps a segment of the outbox from being emptied"
    makes = "makes or rewinds a subscriber: until it ends no segment is emptied"
    source.execute("select paysync.create_subscriber('reader')")
    source.execute(psycopg.sql.SQL("alter database {} set paysync.segment_size = '64kB'").format(psycopg.sql.Identifier(source.name)))
    large = "insert into t select %s, string_agg(md5(n::text), '') from generate_series(1, 5000) as n"
    with source.connect(autocommit=False) as writer, source.connect(autocommit=False) as maker, source.connect() as upkeep:
        writer.execute(large, (1,))
        upkeep.execute(large, (2,))
        upkeep.execute("select paysync.maintain()")
        with source.connect(autocommit=False) as preparer:
            preparer.execute("select count(*) from paysync.chunk_0")
            preparer.execute("prepare transaction 'looks at it'")
        maker.execute("select paysync.create_subscriber('late')")
        assert blockers(source) == []
        try:
            # Who makes a subscriber has looked into the segments as well.
            wait_for(lambda: set(blockers(source)) == {("looks at it", emptied), ("session", emptied), ("session", makes)}, 20,
                     lambda: f"all are named; {blockers(source)}")
            entry = next(one for one in source.value("select blocked_by from paysync.status") if one["pid"] == writer.info.backend_pid)
            assert entry["table"].startswith(("paysync.closing_", "paysync.chunk_")) and entry["since"]
        finally:
            source.execute("rollback prepared 'looks at it'")
        writer.rollback()
        maker.rollback()
        assert blockers(source) == []


def test_who_keeps_capture_from_being_resumed_is_named(source):
    """Rule: blocked_by names who was not captured and is still open, while capture cannot be resumed for it."""
    source.execute("select paysync.create_subscriber('reader')")
    set_limit(source, "64kB")
    source.execute("select paysync.maintain()")
    with source.connect(autocommit=False) as writer:
        writer.execute("insert into t values (1, repeat('x', 30000))")
        set_limit(source, "0")
        source.execute("select paysync.maintain()")
        assert source.execute("select state, capture from paysync.status") == [("suspended", "suspended")]
        wait_for(lambda: blockers(source) == [("session", "was not captured: capture is resumed when it has ended")], 20, "it is named")
        writer.rollback()
    source.execute("select paysync.maintain()")
    assert source.value("select capture from paysync.status") == "on"


def test_a_relay_that_stands_still_looks_like_one(source):
    """Rule: a leader that asks for no tick for a second is shown as silent, one that is gone as gone, and the lag grows."""
    source.execute("select paysync.create_subscriber('reader')")
    state = "select state from paysync.status"
    assert source.value(state) == "no_relay"
    with source.connect() as leader:
        leader.execute("set application_name = 'paysync-relay leader'")
        epoch = leader.execute("select epoch from paysync.lead('a relay')").fetchone()[0]

        def responds() -> bool:
            leader.execute("call paysync.next_tick(%s, 0, 0, 0)", (epoch,))
            return source.value(state) == "ok"

        wait_for(responds, 10, "it leads")
        assert source.execute("select role, pid, software from paysync.relays") == [("leader", leader.info.backend_pid, "a relay")]
        with source.connect() as standby:
            standby.execute("set application_name = 'paysync-relay leader'")
            assert source.execute("select role from paysync.relays order by 1") == [("leader",), ("standby",)]
        source.execute("insert into t values (1, 'one')")
        wait_for(lambda: source.value(state) == "relay_silent", 5, "it is silent")
        assert source.value("select silent_seconds from paysync.relays where role = 'leader'") >= 1
        assert "does not respond" in source.value("select hint from paysync.subscribers")
        lag = source.value("select lag_seconds from paysync.subscribers")
        wait_for(lambda: source.value("select lag_seconds from paysync.subscribers") > lag, 5, "the lag grows")
    wait_for(lambda: source.value(state) == "no_relay", 5, "it is gone")
    assert source.execute("select * from paysync.relays") == []


def test_a_relay_that_waits_for_a_lock_looks_silent(source, start_relay):
    """Rule: a leader whose tick somebody keeps waiting gets nothing done, and is shown so; let go, it goes on."""
    source.execute("select paysync.create_subscriber('reader')")
    start_relay(source)
    state = "select state from paysync.status"
    wait_for(lambda: source.value(state) == "ok", 20, "it leads")
    with source.connect() as holder, holder.transaction():
        holder.execute("select from paysync.fence for update")
        source.execute("insert into t values (1, 'one')")
        wait_for(lambda: source.value(state) == "relay_silent", 10, "it is shown")
    wait_for(lambda: source.value(state) == "ok", 10, "it goes on")
