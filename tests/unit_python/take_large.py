"""A process that takes one large transaction and a small one; prints the growth of its memory in bytes, and what it took.

Usage: take_large.py sink|run ENDPOINT [DSN]
"""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))

import paysync  # noqa: E402


def greatest():
    """The most memory that this process ever held, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM")


class Counter(paysync.TransactionSink):
    """Counts changes."""

    def __init__(self):
        self.count = self.committed = 0

    def begin(self, head):
        self.count = 0

    def changes(self, changes):
        self.count += len(changes)

    def commit(self):
        self.committed += self.count

    def abort(self):
        pass


def take_into_sink(endpoint):
    counter, before = Counter(), greatest()
    with paysync.Subscriber(endpoint, "mirror") as subscriber:
        for number in (1, 2):
            while not subscriber.receive_into(counter, 1.0):
                pass
            subscriber.acknowledge(subscriber.position)
    return greatest() - before, counter.committed


def take_with_run(endpoint, dsn):
    import psycopg

    stop, before, found = threading.Event(), greatest(), []

    def apply(cursor, transaction):
        found.append(sum(1 for _ in transaction.changes))
        if transaction.number == 2:
            stop.set()

    with psycopg.connect(dsn) as connection:
        paysync.run(connection, relay=endpoint, subscriber="mirror", apply=apply, stop=stop)
    return greatest() - before, sum(found)


print(*(take_into_sink if sys.argv[1] == "sink" else take_with_run)(*sys.argv[2:]))
