"""Writers and backlogs of benchmarks."""

import random
import threading
import time

TABLE = "create table payments (id bigint primary key, amount numeric(12,2) not null, status text not null, note text)"
RATE = 200
# The table of the benchmarks that stand beside peers: a primary key, and an index by which those are found that are to be settled.
PAYMENTS = """create table payments (
    id bigint primary key, account bigint not null, amount numeric(12,2) not null, currency char(3) not null,
    status text not null, created_at timestamptz not null, updated_at timestamptz not null, reference varchar(40),
    details jsonb, trace uuid);
create index payments_by_status on payments (status, created_at)"""
# The rest of a row behind id and account, as it is inserted; 270 bytes a row as text.
PAYMENT = """12.50, 'EUR', 'pending', now(), now(), 'order-2026-11-23-000000000001-web',
 '{"channel": "web", "attempt": 1, "device": "android", "address": "192.0.2.17", "session": "8f14e45fceea167a"}',
 '00000000-0000-0000-0000-000000000001'"""


def insert_payments(first, last) -> str:
    """One statement that inserts payments; first and last id may be expressions."""
    return f"insert into payments select n, n * 7, {PAYMENT} from generate_series({first}, {last}) as n"


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
