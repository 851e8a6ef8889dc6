"""What writers notice when a relay or a subscriber stands still, when segments are switched and emptied, and when the outbox reaches
its limit: pgbench in slices, each between two in which nothing was done."""

import os
import random
import signal
import statistics
import subprocess
import threading
from pathlib import Path

import workspace
from harness import Postgres, Relay, wait_for
from harness.bank import initialize
from measure import SLICE_SECONDS, SLICES, Readers, interval, percentile

CLIENTS = 4
DATABASE = "disturbed"


def bench(database, folder: Path, seed: int) -> tuple:
    """One slice of pgbench: (transactions a second, p99 in milliseconds)."""
    for old in folder.glob("pgbench_log*"):
        old.unlink()
    done = subprocess.run([workspace.server_program("pgbench"), "--no-vacuum", f"--client={CLIENTS}", "--jobs=2", f"--time={SLICE_SECONDS:g}",
                           "--builtin=simple-update", "--protocol=prepared", "--log", f"--random-seed={seed}", database.conninfo()],
                          check=True, capture_output=True, text=True, cwd=folder)
    times = [int(line.split()[2]) / 1000 for log in folder.glob("pgbench_log*") for line in log.read_text().splitlines()]
    assert "number of failed transactions: 0" in done.stdout, done.stdout
    return len(times) / SLICE_SECONDS, percentile(times, 0.99)


class Nothing:
    """The condition that is none: what two slices without any differ by."""

    name = "nothing was done"

    def __init__(self, database, relay: Relay, readers: Readers):
        self.database, self.relay, self.readers = database, relay, readers

    def begin(self) -> None:
        """Before the slice."""

    def halfway(self) -> None:
        """In the middle of it."""

    def end(self) -> None:
        """After it."""

    def configure(self, setting: str) -> None:
        """A setting of the database, in effect at once."""
        self.database.execute(f"alter database {DATABASE} set {setting}")


class RelayStopped(Nothing):
    """SIGSTOP to the relay."""

    name = "the relay was stopped"

    def begin(self) -> None:
        os.kill(self.relay.process.pid, signal.SIGSTOP)

    def end(self) -> None:
        os.kill(self.relay.process.pid, signal.SIGCONT)


class SubscriberStopped(Nothing):
    """SIGSTOP to the only subscriber."""

    name = "the subscriber was stopped"

    def begin(self) -> None:
        os.kill(self.readers.process.pid, signal.SIGSTOP)

    def end(self) -> None:
        os.kill(self.readers.process.pid, signal.SIGCONT)


class Switching(Nothing):
    """Segments so small that each look finds one full, and empties those before it."""

    name = "segments were switched and emptied"
    switches = 0

    def begin(self) -> None:
        self.before = self.database.value("select max(generation) from paysync.ring")
        self.configure("paysync.segment_size = '64kB'")

    def end(self) -> None:
        self.configure("paysync.segment_size = '256MB'")
        Switching.switches += self.database.value("select max(generation) from paysync.ring") - self.before


class LimitReached(Nothing):
    """The outbox holds more than its limit from the middle of the slice on: capture is suspended, under way."""

    name = "the outbox reached its limit"

    def begin(self) -> None:
        os.kill(self.readers.process.pid, signal.SIGSTOP)

    def halfway(self) -> None:
        self.configure("paysync.outbox_limit = '1MB'")
        self.database.execute("select paysync.maintain()")
        assert self.database.value("select capture from paysync.status") == "suspended"

    def end(self) -> None:
        os.kill(self.readers.process.pid, signal.SIGCONT)
        self.configure("paysync.outbox_limit = '10GB'")

        def is_on() -> bool:
            self.database.execute("select paysync.maintain()")
            return self.database.value("select capture from paysync.status") == "on"

        wait_for(is_on, 60, "capture is on again")


def run_slice(condition: Nothing, folder: Path, seed: int) -> tuple:
    """One slice under a condition."""
    condition.begin()
    timer = threading.Timer(SLICE_SECONDS / 2, condition.halfway)
    timer.start()
    try:
        return bench(condition.database, folder, seed)
    finally:
        timer.join()
        condition.end()
        settle(condition)


def settle(condition: Nothing) -> None:
    """The subscriber has everything before the next slice begins."""
    head = condition.database.value("select paysync.head_number()")
    wait_for(lambda: condition.database.value("select min(number) from paysync.acknowledged()") >= head, 300, "the subscriber has everything")


def measure() -> str:
    """The table: ratios to the slice before, of each condition and of nothing."""
    folder = workspace.base() / "disturbance"
    chance = random.Random(1)
    with Postgres(folder, settings={"fsync": "on", "max_wal_size": "4GB"}) as server:
        database = server.create_database(DATABASE)
        database.execute("create extension paysync")
        initialize(database, 10)
        database.execute("select paysync.create_subscriber('reader0')")
        logs = folder / "pgbench"
        logs.mkdir()
        has_limit = database.value("select to_regclass('paysync.capture_state') is not null")
        with Relay(database, folder) as relay, Readers(folder, relay.endpoint, "reader", 1) as readers:
            kinds = [Nothing, RelayStopped, SubscriberStopped, Switching, *([LimitReached] if has_limit else [])]
            conditions = [kind(database, relay, readers) for kind in kinds]
            nothing = conditions[0]
            ratios = {condition.name: [] for condition in conditions}
            run_slice(nothing, logs, 0)
            for turn in range(SLICES):
                chance.shuffle(conditions)
                for condition in conditions:
                    base = run_slice(nothing, logs, turn)
                    found = run_slice(condition, logs, turn)
                    ratios[condition.name].append((found[0] / base[0], found[1] / base[1]))
    rows = "".join(f"| {name} | {interval([tps for tps, _ in found])} | {interval([p99 for _, p99 in found])} |\n" for name, found in ratios.items())
    noise = statistics.median(abs(tps - 1) for tps, _ in ratios[Nothing.name])
    return (f"## What writers notice\n\npgbench, simple-update, {CLIENTS} clients, fsync and synchronous_commit on; {SLICES} slices of {SLICE_SECONDS:g} s "
            f"of each kind in random order, each behind one in which nothing was done; ratios to that one. {Switching.switches} segments were "
            f"switched. Two slices of nothing differ by {100 * noise:.1f} % of throughput (median).\n\n"
            f"| condition | throughput | p99 |\n| --- | --- | --- |\n{rows}")
