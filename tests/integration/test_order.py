"""The stream's order: between transactions what one saw stands before it, inside a transaction changes stand as the rows changed."""

import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.disorder import SOURCE, TABLES, TARGET, Disorder
from harness.replica import mark_end, mirrored, read_until_end
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


@pytest.mark.deadline(int(DISORDER_SECONDS * 6) + 120)
def test_changes_stand_in_the_order_in_which_the_rows_changed(database, relay):
    """Rule: the stream applied in its order, under all constraints and without triggers, gives the source, whatever triggers did there."""
    seed = choose_seed()
    database.execute(SOURCE)
    disorder = Disorder(database, seed)
    with mirrored(database, relay, TARGET, TABLES, f"seed {seed}") as applied:
        ends = time.monotonic() + DISORDER_SECONDS
        while time.monotonic() < ends:
            disorder.transaction()
        disorder.close()

    # Else the test would have shown nothing.
    assert sum(len(transaction.changes) for transaction in applied) > 5 * len(applied) > 100


PARENTS = "create table parent (id int primary key, n int not null default 0)"
CHILDREN = "create table child (id int primary key, parent int references parent{action}, n int not null default 0)"

# What a trigger or a function does to rows of the statement that it serves, and the statement.
CASES = {
    "a trigger on an earlier row updates a later one": (
        """create function other() returns trigger language plpgsql as $$ begin
               update child set n = n + 10 where id = new.id + 1; return null; end $$;
           create trigger a after update on child for each row when (pg_trigger_depth() = 0) execute function other()""",
        "update child set n = n + 1"),
    "a BEFORE trigger brings the parent": (
        """create function bring() returns trigger language plpgsql as $$ begin
               insert into parent values (new.parent) on conflict do nothing; return new; end $$;
           create trigger a before insert on child for each row execute function bring()""",
        "insert into child select i, i from generate_series(11, 13) as i"),
    "a BEFORE trigger updates a row that the statement had updated": (
        """create function other() returns trigger language plpgsql as $$ begin
               update child set n = n + 10 where id = new.id - 1; return new; end $$;
           create trigger a before update on child for each row when (pg_trigger_depth() = 0) execute function other()""",
        "update child set n = n + 1"),
    "a function in the statement updates a row that the statement had updated": (
        """create function other(i int) returns int language plpgsql as $$ begin
               update child set n = n + 10 where id = i - 1; return 1; end $$""",
        "update child set n = n + other(id)"),
    "a trigger updates what a cascade had updated": (
        """create function follow() returns trigger language plpgsql as $$ begin
               update child set n = n + 10 where parent = new.id; return null; end $$;
           create trigger z after update on parent for each row execute function follow()""",
        "update parent set id = id + 10"),
    "a trigger updates what a cascade is about to delete": (
        """create function follow() returns trigger language plpgsql as $$ begin
               update child set n = n + 10; return null; end $$;
           create trigger "A" after delete on parent for each row execute function follow()""",
        "delete from parent where id = 2"),
    "a trigger inserts again what a cascade had deleted": (
        """create function again() returns trigger language plpgsql as $$ begin
               insert into child values (old.id - 1, 1, 50); return null; end $$;
           create trigger z after delete on parent for each row execute function again()""",
        "delete from parent where id = 3"),
    "a trigger deletes the row that was inserted": (
        """create function undo() returns trigger language plpgsql as $$ begin
               delete from child where id in (new.id, new.id + 1); return null; end $$;
           create trigger a after insert on child for each row when (new.id % 3 = 0) execute function undo()""",
        "insert into child select i, 1 from generate_series(11, 20) as i"),
    "a trigger inserts between two truncated tables": (
        """create function again() returns trigger language plpgsql as $$ begin
               insert into parent values (1); return null; end $$;
           create trigger a after truncate on child for each statement execute function again()""",
        "truncate child, parent"),
    "keys move up by one": ("", "update child set id = id - 1, n = n + 1"),
}


@pytest.mark.parametrize("name", CASES)
def test_one_statement_and_what_it_sets_off(database, relay, name):
    """Rule: each way in which one statement makes others change rows has its order in the stream."""
    setup, statement = CASES[name]
    database.execute(f"{PARENTS}; {CHILDREN.format(action=' on update cascade on delete cascade')}; {setup}")
    database.execute("select paysync.register('parent'), paysync.register('child')")
    # A parent that is missing is noticed at once where no cascade breaks the key for a moment.
    action = " deferrable initially deferred" if "cascade" in name else ""
    with mirrored(database, relay, f"{PARENTS}; {CHILDREN.format(action=action)}", ["parent", "child"], name):
        database.execute("insert into parent select i from generate_series(1, 3) as i; "
                         "insert into child select i, 1 + i % 3 from generate_series(1, 6) as i")
        database.execute(statement)
