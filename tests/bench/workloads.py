"""Writers and backlogs of benchmarks."""

import random
import threading
import time

TABLE = "create table payments (id bigint primary key, amount numeric(12,2) not null, status text not null, note text)"
RATE = 200


def prepare(database, readers: list) -> None:
    """The extension, a registered table, subscribers."""
    for statement in ("create extension paysync", TABLE, "select paysync.register('payments')"):
        database.execute(statement)
    for name in readers:
        database.execute("select paysync.create_subscriber(%s)", (name,))


class Writer:
    """Commits one insert after another at a mean of RATE a second, at random distances, so that no period of a poller is met."""

    def __init__(self, database, seed: int = 1):
        self.session = database.connect()
        self.chance = random.Random(seed)
        self.next_id = 1_000_000_000_000

    def write(self, seconds: float, rate: float = RATE) -> dict:
        """One slice; row id to the moment at which its COMMIT came back."""
        committed = {}
        due = time.monotonic()
        ends = due + seconds
        while due < ends:
            due += self.chance.expovariate(rate)
            if (left := due - time.monotonic()) > 0:
                threading.Event().wait(left)
            self.session.execute("insert into payments values (%s, 12.50, 'pending')", (self.next_id,), prepare=True)
            committed[self.next_id] = time.monotonic()
            self.next_id += 1
        return committed


def write_backlog(database, changes: int, first: int = 1, each: int = 100) -> None:
    """So many changes, in transactions of `each`, as fast as one session can."""
    with database.connect() as session:
        session.execute("set synchronous_commit = off")
        session.execute("""create or replace procedure fill(first bigint, changes bigint, size bigint) language plpgsql as $$ begin
            for id in 0 .. changes / size - 1 loop
                insert into payments select first + id * size + n, 1, 'backlog', repeat('x', 60) from generate_series(0, size - 1) as n;
                commit;
            end loop; end $$""")
        session.execute("call fill(%s, %s, %s)", (first, changes, each))


def delays(committed: dict, seen: dict) -> list:
    """Milliseconds from COMMIT's answer to each reader; below zero where the reader was sooner."""
    return [1000 * (at - committed[id]) for id in committed for at in seen.get(id, ())]
