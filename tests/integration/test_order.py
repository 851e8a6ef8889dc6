"""The stream's order: between transactions what one saw stands before it, inside a transaction changes stand as the rows changed."""

import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.disorder import SOURCE, TABLES, TARGET_CASCADING, TARGET_EXACT, Disorder
from harness.replica import Replica, assert_equal, mark_end, read_until_end
from harness.witness import Judge, Workload

WITNESS_SECONDS = float(os.environ.get("SECONDS", 15))
DISORDER_SECONDS = float(os.environ.get("SECONDS", 10))


def choose_seed() -> int:
    """SEED, or a new one; shown with a failure, since pytest shows what a failed test printed."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SEED={seed}")
    return seed


@pytest.mark.deadline(int(WITNESS_SECONDS * 4) + 120)
def test_what_a_transaction_saw_stands_before_it(database, start_relay):
    """Rule: a row stands behind every row that its transaction saw; every committed row comes exactly once, none other ever."""
    workload = Workload(database, WITNESS_SECONDS, choose_seed())
    workload.prepare()
    database.execute("select paysync.create_subscriber('judge')")
    relay = start_relay(database)
    # Alive, it cuts small ticks as it goes; while it is away, one large one comes together.
    changes = [(WITNESS_SECONDS * 0.4, relay.kill), (WITNESS_SECONDS * 0.6, relay.start)]

    def kill_and_start(passed: float) -> None:
        while changes and passed >= changes[0][0]:
            changes.pop(0)[1]()

    workload.run(kill_and_start)
    for _, change in changes:
        change()
    mark_end(database)
    judge = Judge()
    for transaction in read_until_end(relay, "judge"):
        judge.take(transaction)

    judge.compare(workload)
    # Else the test would have shown nothing.
    assert judge.named > len(judge.place) / 2 and workload.undone


def test_subscribers_see_the_same_under_the_same_numbers(database, relay):
    """Rule: a number means the same transaction for everyone, whether it came as it was cut or was read later from the outbox."""
    workload = Workload(database, 2, choose_seed(), sessions=4)
    workload.prepare()
    for name in ("early", "late"):
        database.execute("select paysync.create_subscriber(%s)", (name,))

    def content(name: str) -> tuple:
        sums, count = hashlib.sha256(), 0
        for transaction in read_until_end(relay, name):
            changes = [(change.op, change.table, change.command, change.key, change.new) for change in transaction.changes]
            sums.update(repr((str(transaction.position), transaction.xid, transaction.time, changes)).encode())
            count += 1
        return count, sums.hexdigest()

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(content, "early")
        workload.run()
        mark_end(database)
        count, digest = early.result()

    assert count > 100
    assert content("late") == (count, digest)


@pytest.fixture
def targets(server):
    """Two databases with the tables of the disorder: one whose foreign keys do nothing by themselves, one where they cascade."""
    made = [server.create_database(f"target_{kind}") for kind in ("exact", "cascading")]
    for database, schema in zip(made, (TARGET_EXACT, TARGET_CASCADING)):
        database.execute(schema)
    yield made
    for database in made:
        server.drop_database(database.name)


def replay(database, relay, targets: list, tables: list, note: str) -> int:
    """Apply the stream of subscriber `replica` to both targets and compare; returns the number of changes."""
    mark_end(database)
    changes = 0
    with Replica(targets[0]) as exact, Replica(targets[1], exact=False) as cascading:
        for transaction in read_until_end(relay, "replica"):
            exact.apply(transaction)
            cascading.apply(transaction)
            changes += len(transaction.changes)
    for target in targets:
        assert_equal(database, target, tables, f"{target.name}, {note}")
    return changes


@pytest.mark.deadline(int(DISORDER_SECONDS * 8) + 120)
def test_changes_stand_in_the_order_in_which_the_rows_changed(database, relay, targets):
    """Rule: the stream applied in its order, under all constraints and without triggers, gives the source, whatever triggers did there."""
    seed = choose_seed()
    database.execute(SOURCE)
    database.execute("select paysync.create_subscriber('replica')")
    disorder = Disorder(database, seed)
    ends = time.monotonic() + DISORDER_SECONDS
    while time.monotonic() < ends:
        disorder.transaction()
    disorder.close()

    changes = replay(database, relay, targets, TABLES, f"seed {seed}, {disorder.counts}")

    # Else the test would have shown nothing.
    assert changes > 10 * disorder.counts["committed"] > 1000
