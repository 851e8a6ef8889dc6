"""Writers, replicas and blows for the tests of crashes, and luck that can be repeated."""

import itertools
import os
import random
import signal
import threading

import psycopg

from paysync import PaysyncError, Subscriber

from .waiting import child_pids, is_alive, wait_for


def luck() -> random.Random:
    """A source of randomness; its seed is printed, and SEED= repeats it."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**31))
    print(f"SEED={seed}")
    return random.Random(seed)


def rounds(default: int) -> int:
    """How many rounds a random test runs: ROUNDS= or the default, which fits into a check."""
    return int(os.environ.get("ROUNDS") or default)


def prepare_source(database) -> None:
    """Make and register the two tables that Writers fill; a total is always the sum of its writer's entries."""
    database.execute("create table entries (id bigint primary key, writer int not null, amount bigint not null)")
    database.execute("create table totals (writer int primary key, amount bigint not null)")
    database.execute("select paysync.register('entries'), paysync.register('totals')")


class Writers:
    """Threads that commit small transactions until they are stopped, and come back after each loss of their connection. Ids are
    never used twice, also not after a failure."""

    def __init__(self, database, count: int = 3, least_pause: float = 0.0):
        self.database = database
        self.pause = least_pause
        self.reported = []  # ids whose COMMIT was answered
        self.pids = {}
        self.ids = itertools.count(1)
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(count)]

    def _run(self, writer: int) -> None:
        while not self.stopping.is_set():
            try:
                with self.database.connect() as connection:
                    connection.execute("insert into totals values (%s, 0) on conflict do nothing", (writer,))
                    self.pids[writer] = connection.info.backend_pid
                    while not self.stopping.is_set():
                        self._write(connection, writer)
                        if self.pause:
                            self.stopping.wait(self.pause)
            except psycopg.Error:
                # The death of a server is told in many ways. Another error would show: nothing more comes.
                self.pids.pop(writer, None)
                self.stopping.wait(0.02)

    def _write(self, connection, writer: int) -> None:
        entries = [(next(self.ids), writer, 1 + number) for number in range(3)]
        with connection.transaction():
            connection.execute("insert into entries values (%s, %s, %s), (%s, %s, %s), (%s, %s, %s)", sum(entries, ()))
            connection.execute("update totals set amount = amount + 6 where writer = %s", (writer,))
        self.reported.extend(entry[0] for entry in entries)

    def stop(self) -> None:
        """End all threads; returns when they have."""
        self.stopping.set()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(60)
                assert not thread.is_alive(), "a writer does not end"

    def __enter__(self) -> "Writers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class Replica:
    """The tables rebuilt from transactions. Strict: whatever comes twice, torn, or out of order is an AssertionError."""

    def __init__(self):
        self.rows = {}
        self.number = 0
        self.history = {}  # number to (position, xid, inserted ids)

    def apply(self, transaction) -> None:
        """Apply one whole transaction."""
        assert transaction.number > self.number, f"{transaction.position} came after number {self.number}"
        assert transaction.total == len(transaction.changes), f"{transaction.position} is not whole"
        inserted = []
        for change in transaction.changes:
            table = self.rows.setdefault(change.table, {})
            row = change.new if change.op == "insert" else change.key or change.new
            key = row["writer" if change.table == "totals" else "id"]
            assert (key in table) == (change.op != "insert"), f"{transaction.position}: {change.op} of {change.table} {key}"
            if change.op == "delete":
                del table[key]
            else:
                table[key] = tuple(change.new.values())
            if change.op == "insert":
                inserted.append((change.table, key))
        self.number = transaction.number
        self.history[transaction.number] = (str(transaction.position), transaction.xid, tuple(inserted))

    def has(self, table: str, key) -> bool:
        """Whether a row is there."""
        return key in self.rows.get(table, {})


class Recorder:
    """A subscriber in a thread that keeps, in a Replica, all it ever sees. Positions are its own: nothing may come twice."""

    def __init__(self, endpoint: str, name: str, replica: Replica | None = None, **options):
        self.replica = replica or Replica()
        self.error = None
        self.subscriber = Subscriber(endpoint, name, **{"own_position": True, **options})
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            for transaction in self.subscriber:
                self.replica.apply(transaction)
                self.subscriber.acknowledge(transaction.position)
        except (PaysyncError, AssertionError) as error:
            self.error = error

    def check(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self.error is not None:
            raise self.error

    def wait_for(self, condition, deadline: float, message) -> None:
        """Wait until the condition holds for the replica."""
        def look():
            self.check()
            return condition(self.replica)

        wait_for(look, deadline, message)

    def wait_for_more(self, count: int, deadline: float = 30.0) -> None:
        """Wait until so many more transactions have come."""
        goal = len(self.replica.history) + count
        self.wait_for(lambda replica: len(replica.history) >= goal, deadline, f"{count} more transactions come")

    def close(self) -> None:
        """End the subscription; its replica stays."""
        self.subscriber.close()
        self.thread.join(20)

    def __enter__(self) -> "Recorder":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.close()


def assert_equal(replica: Replica, database) -> None:
    """The replica has the rows of both tables, no more, no less, none different."""
    for table in ("entries", "totals"):
        ours = set(replica.rows.get(table, {}).values())
        theirs = set(database.execute(f"select * from {table}"))
        assert not theirs - ours, f"{table}: {len(theirs - ours)} rows are missing, e.g. {min(theirs - ours)}"
        assert not ours - theirs, f"{table}: {len(ours - theirs)} rows are not at the source, e.g. {min(ours - theirs)}"


def kill_server(postgres, random_order: random.Random) -> None:
    """SIGKILL to all processes of a server within a moment, in any order, as when a machine stops."""
    postmaster = postgres.process.pid
    # Stopped first, it neither starts new children nor notices that some are gone.
    os.kill(postmaster, signal.SIGSTOP)
    family = child_pids(postmaster)
    random_order.shuffle(family)
    for pid in family:
        kill(pid)
    postgres.process.kill()
    postgres.process.wait()
    wait_for(lambda: not any(map(is_alive, family)), 30, "the server's processes are gone")


def kill_backend(postgres, pid: int) -> None:
    """SIGKILL to one backend, which makes the server throw out all others and recover; returns when it takes connections again."""
    ready = "database system is ready to accept connections"
    before = postgres.log().count(ready)
    kill(pid)
    wait_for(lambda: postgres.log().count(ready) > before, 60, "the server has recovered")


def kill(pid: int) -> None:
    """SIGKILL, also to one that is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
