"""From commit to subscriber: a writer commits at a fixed rate and notes when each COMMIT came back; a subscriber notes when it
holds the transaction. LISTEN/NOTIFY with a SELECT by the listener stands beside it, in alternating slices of the same run."""

import os
import random
import statistics
import threading
import time

import psycopg

import workspace
from harness import Postgres, Relay, wait_for
from paysync import Subscriber

RATE = 200
SLICE_SECONDS = float(os.environ.get("SLICE_SECONDS", "5"))
SLICES = int(os.environ.get("SLICES", "6"))
TABLE = "create table payments (id bigint primary key, amount numeric(12,2) not null, status text not null)"


class Writer:
    """Commits one insert after another at a mean of RATE a second, and keeps when each was committed."""

    def __init__(self, conninfo: str, seed: int):
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.random = random.Random(seed)
        self.next_id = 1
        self.committed = {}

    def write_slice(self) -> None:
        """One slice of transactions, at random distances, so that no period of a poller is met."""
        end = time.monotonic() + SLICE_SECONDS
        due = time.monotonic()
        while due < end:
            due += self.random.expovariate(RATE)
            while (left := due - time.monotonic()) > 0:
                threading.Event().wait(left)
            self.connection.execute("insert into payments values (%s, 12.50, 'pending')", (self.next_id,), prepare=True)
            self.committed[self.next_id] = time.monotonic()
            self.next_id += 1


class Listener(threading.Thread):
    """The peer: a NOTIFY in the writer's trigger, and a SELECT of what is new by whoever listens."""

    def __init__(self, conninfo: str):
        super().__init__(daemon=True)
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.connection.execute("listen payments")
        self.seen = {}
        self.running = True

    def run(self) -> None:
        last = 0
        while self.running:
            for _ in self.connection.notifies():
                for (number,) in self.connection.execute("select id from payments where id > %s order by id", (last,), prepare=True):
                    self.seen[number] = time.monotonic()
                    last = number
                if not self.running:
                    return


class Reader(threading.Thread):
    """A paysync subscriber."""

    def __init__(self, relay: str, name: str):
        super().__init__(daemon=True)
        self.subscriber = Subscriber(relay, name)
        self.seen = {}
        self.running = True

    def run(self) -> None:
        while self.running:
            transaction = self.subscriber.receive(0.2)
            if transaction is None:
                continue
            now = time.monotonic()
            for change in transaction.changes:
                self.seen[change.new["id"]] = now
            self.subscriber.acknowledge(transaction.position)
        self.subscriber.close()


def percentiles(writer: Writer, seen: dict) -> tuple:
    """p50 and p99 of a slice's delays in milliseconds; a delay below zero (seen before COMMIT came back) counts as it is."""
    delays = sorted(1000 * (seen[number] - at) for number, at in writer.committed.items())
    return statistics.median(delays), delays[int(len(delays) * 0.99)]


def run_slice(writer: Writer, reader) -> tuple:
    """One slice; waits until the reader has all of it."""
    writer.committed.clear()
    writer.write_slice()
    wait_for(lambda: writer.committed.keys() <= reader.seen.keys(), 30, "the reader has the slice")
    return percentiles(writer, reader.seen)


def interval(values: list) -> str:
    """Median, and the range that holds the inner nine tenths of the slices."""
    ordered = sorted(values)
    cut = len(ordered) // 20
    inner = ordered[cut:len(ordered) - cut]
    return f"{statistics.median(values):.2f} ({inner[0]:.2f}-{inner[-1]:.2f})"


def measure() -> str:
    """The table of p50 and p99, with synchronous_commit on and durable ticks."""
    seed = int(os.environ.get("SEED", "1"))
    server = Postgres(workspace.base() / "latency", settings={"fsync": "on"})
    with server:
        ours, theirs = server.create_database("ours"), server.create_database("theirs")
        for statement in ("create extension paysync", TABLE, "select paysync.register('payments')", "select paysync.create_subscriber('bench')"):
            ours.execute(statement)
        for statement in (TABLE, "create function tell() returns trigger language plpgsql as $$ begin notify payments; return null; end $$",
                          "create trigger tell after insert on payments for each statement execute function tell()"):
            theirs.execute(statement)
        with Relay(ours, workspace.base()) as relay:
            reader = Reader(relay.endpoint, "bench")
            listener = Listener(theirs.conninfo())
            reader.start()
            listener.start()
            writers = {"paysync": (Writer(ours.conninfo(), seed), reader), "LISTEN/NOTIFY + SELECT": (Writer(theirs.conninfo(), seed), listener)}
            results = {name: [] for name in writers}
            for _ in range(SLICES):
                for name, (writer, follower) in writers.items():
                    results[name].append(run_slice(writer, follower))
            reader.running = listener.running = False
            reader.join(10)
            theirs.execute("notify payments")
            listener.join(10)
    rows = "".join(f"| {name} | {interval([p50 for p50, _ in slices])} | {interval([p99 for _, p99 in slices])} |\n"
                   for name, slices in results.items())
    return (f"## Commit to subscriber, {RATE} transactions/s\n\n{SLICES} slices of {SLICE_SECONDS:g} s each, alternating; fsync and "
            f"synchronous_commit on; both readers are Python; milliseconds, median of the slices and their range; seed {seed}.\n\n"
            f"| system | p50 | p99 |\n| --- | --- | --- |\n{rows}")
