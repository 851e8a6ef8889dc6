"""Transactions of more than 4 MiB from the database to `paysync tail` and the Python package, through a real relay."""

import json
import threading

import pytest

from harness.waiting import wait_for

from paysync import Subscriber, TransactionSink, run

ROWS = 60_000


@pytest.fixture
def mirror(database):
    """A table with a large transaction, a row larger than a part, and a small transaction behind it."""
    database.execute("create table notes (id bigint primary key, note text)")
    database.execute("select paysync.register('notes')")
    database.execute("select paysync.create_subscriber('mirror')")
    database.execute("select paysync.create_subscriber('other')")
    with database.connect(autocommit=False) as connection:
        connection.execute("insert into notes values (-1, repeat('x', 3000000))")
        connection.execute(f"insert into notes select id, repeat('y', 200) from generate_series(1, {ROWS}) as id")
        connection.execute("update notes set note = 'changed' where id between 1 and 10")
        connection.commit()
    database.execute("insert into notes values (0, 'behind')")
    return database


class Count(TransactionSink):
    """Counts what is committed."""

    def __init__(self):
        self.committed = []
        self.now = None
        self.head = None

    def begin(self, head):
        self.head, self.now = head, []

    def changes(self, changes):
        self.now += [(change.op, change.key["id"]) for change in changes]

    def commit(self):
        self.committed.append(self.now)

    def abort(self):
        self.now = None


WANTED = [("insert", -1)] + [("insert", number) for number in range(1, ROWS + 1)]


def test_tail_prints_it_as_one_line(mirror, start_relay, start_tail):
    """Rule: one line, every change once, in order; acknowledged as one, also where the relay is killed in mid-line."""
    relay = start_relay(mirror)
    tail = start_tail(relay.endpoint, subscriber="mirror", arguments=["--count", "2"])
    tail.wait_for_out(lambda text: len(text) > 4_000_000, 30, "it is in mid-line")
    relay.kill()
    relay.start()
    assert tail.wait_for_exit(60) == 0
    large, small, end = tail.out().split("\n")
    found = [(change["op"], int(change["key"]["id"])) for change in json.loads(large)["changes"]]
    assert found[: len(WANTED)] == WANTED
    assert sorted(found[len(WANTED):]) == [("update", number) for number in range(1, 11)]
    assert [change["new"]["note"] for change in json.loads(small)["changes"]] == ["behind"] and end == ""
    wait_for(lambda: mirror.value("select lag_transactions = 0 from paysync.subscribers where name = 'mirror'"), 20, "acknowledged")


def test_python_takes_it_in_pieces(mirror, relay):
    """Rule: the package's sink gets it in pieces and commits it once; receive() refuses what is too large for it."""
    sink = Count()
    with Subscriber(relay.endpoint, "mirror") as subscriber:
        while len(sink.committed) < 2:
            if subscriber.receive_into(sink, 10.0):
                subscriber.acknowledge(sink.head.position)
    assert sink.committed[0][: len(WANTED)] == WANTED and len(sink.committed[0]) == len(WANTED) + 10
    assert sink.committed[1] == [("insert", 0)]
    with Subscriber(relay.endpoint, "other") as subscriber:
        assert len(subscriber.receive(30.0).changes) == len(WANTED) + 10


def test_exactly_once_in_one_transaction(mirror, server, relay):
    """Rule: run() applies it in one transaction of the target, with its position."""
    target = server.create_database(f"target_{mirror.name}")
    try:
        target.execute("create table notes (id bigint, xid text default pg_current_xact_id()::text)")
        stop = threading.Event()

        def apply(cursor, transaction):
            with cursor.copy("copy notes (id) from stdin") as copy:
                for change in transaction.changes:
                    copy.write_row((change.key["id"],))
            if transaction.number > 1:
                stop.set()

        with target.connect(autocommit=False) as connection:
            assert run(connection, relay=relay.endpoint, subscriber="mirror", apply=apply, stop=stop) == 2
        counts = target.execute("select count(*) from notes group by xid order by 1")
        assert [row[0] for row in counts] == [1, len(WANTED) + 10]
    finally:
        server.drop_database(target.name)
