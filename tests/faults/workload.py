"""Writers of several kinds, a process of their own. They come back after each loss of their connection, until SIGTERM.

Usage: workload.py DSN SEED SESSIONS. Every transaction writes a row of the journal: its id, what it saw, how many changes it made.
At the end it prints one JSON object: {"answered": ids whose COMMIT was answered, "durable": those with synchronous_commit on, "kinds": counts}.
Exit status 1: something failed that no blow explains.
"""

import itertools
import json
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter, deque
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "clients" / "python")]

import psycopg  # noqa: E402

from faults.steps import Steps  # noqa: E402
from faults.tables import JOURNAL  # noqa: E402

LEVELS = ["read committed", "read committed", "repeatable read", "serializable"]
# What another transaction's success may take from ours; the transaction is given up.
EXPECTED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable,
            psycopg.errors.InFailedSqlTransaction)
LOOK = "select id from (select id from journal order by id desc limit 8) as newest union select id from journal where id = any(%s)"
KINDS = {"small": 70, "nested": 14, "prepared": 8, "bulk": 4, "work_on_bulk": 3, "undone": 4, "slow": 2}


class Workload:
    """The sessions, and what they share."""

    def __init__(self, dsn: str, seed: str, sessions: int):
        self.dsn = dsn
        self.seed = seed
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.next = 1
        self.recent = deque(maxlen=12)
        self.prepared = deque()
        self.durable = []
        self.answered = []
        self.kinds = Counter()
        self.failed = False
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(sessions)]

    def next_id(self, count: int = 1) -> int:
        """The first of so many ids that nobody else gets."""
        with self.lock:
            self.next += count
            return self.next - count

    def _run(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        while not self.stopping.is_set():
            try:
                with psycopg.connect(self.dsn, connect_timeout=5) as session:
                    for turn in itertools.count():
                        if self.stopping.is_set():
                            break
                        self._turn(session, chance, f"{number}.{turn}")
            except psycopg.Error:
                self.stopping.wait(0.05)
            except Exception:  # pylint: disable=broad-except  # told by the exit status
                self.failed = True
                traceback.print_exc()
                self.stopping.set()

    def _turn(self, session, chance: random.Random, name: str) -> None:
        try:
            self._transaction(session, chance, name)
        except EXPECTED:
            session.rollback()
        except psycopg.Error as error:
            # The death of a server is told in many ways; what is said of a statement while the connection lives is ours.
            if not session.broken and session.info.transaction_status != psycopg.pq.TransactionStatus.UNKNOWN:
                if error.sqlstate not in ("57014", "57P01", "57P02", "57P03"):
                    print(f"{error.sqlstate} {error}", file=sys.stderr, flush=True)
                    self.failed = True
            raise
        self.stopping.wait(chance.expovariate(100))

    def _nobody_waits(self) -> bool:
        """Whether this is one of the spells of two seconds in which no writer has the log flushed. A crash then takes back what was
        committed last, unless the stream has shown it."""
        spell = int((time.monotonic() - self.began) / 2)
        return random.Random(f"{self.seed} spell {spell}").random() < 0.75

    def _transaction(self, session, chance: random.Random, name: str) -> None:
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        durable = chance.random() < 0.5 and not self._nobody_waits()
        if kind == "prepared" and not durable:  # which flushes, whatever is set
            kind = "small"
        steps = Steps(session, chance, self.next_id)
        session.execute(f"set transaction isolation level {chance.choice(LEVELS)}")
        session.execute(f"set local synchronous_commit = {'on' if durable else 'off'}")
        session.execute("set local lock_timeout = '400ms'")
        id, seen = self.next_id(), self._look(session)
        counts = self._work(kind, steps, chance)
        session.execute(JOURNAL, (id, name, list(set(seen) | set(self._look(session))), json.dumps(counts + Counter(journal=1))))
        if kind == "undone":
            session.rollback()
        elif kind == "prepared":
            self._prepare(session, id)
        else:
            session.commit()
            self.recent.append(id)
            self.answered.append(id)
            if durable:
                self.durable.append(id)
        self.kinds[kind] += 1
        if self.prepared and durable:
            self._finish_prepared(session, chance)

    def _work(self, kind: str, steps: Steps, chance: random.Random) -> Counter:
        if kind == "bulk":
            return steps.large() + steps.some(2)
        if kind == "work_on_bulk":
            return steps.work_on_bulk()
        if kind == "nested":
            return steps.some(1) + steps.nested()
        if kind == "prepared":
            return steps.transfer()  # holds no lock that others wait for
        if kind == "slow":
            counts = steps.transfer()
            self.stopping.wait(chance.uniform(0.5, 6))
            return counts + steps.transfer()
        return steps.some(3)

    def _look(self, session) -> list:
        return [id for (id,) in session.execute(LOOK, (list(self.recent),))]

    def _prepare(self, session, id: int) -> None:
        session.execute(f"prepare transaction 'faults {id}'")
        session.rollback()  # psycopg does not know that the transaction is over
        self.prepared.append(id)

    def _finish_prepared(self, session, chance: random.Random) -> None:
        try:
            id = self.prepared.popleft()
        except IndexError:
            return
        session.autocommit = True
        try:
            session.execute(f"{'rollback' if chance.random() < 0.2 else 'commit'} prepared 'faults {id}'")
        finally:
            if not session.closed:
                session.autocommit = False

    def run(self) -> int:
        """Run until SIGTERM; returns the exit status."""
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        for thread in self.threads:
            thread.start()
        while any(thread.is_alive() for thread in self.threads):
            self.threads[0].join(0.1)
            self.stopping.wait(0.1)
        print(json.dumps({"durable": self.durable, "answered": self.answered, "kinds": self.kinds}), flush=True)
        return int(self.failed)


if __name__ == "__main__":
    sys.exit(Workload(sys.argv[1], sys.argv[2], int(sys.argv[3])).run())
