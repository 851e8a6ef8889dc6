"""Sessions that write down what they have seen: each row names rows that its transaction saw, so the stream's order can be judged."""

import itertools
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field

import psycopg

LEVELS = ["read committed", "repeatable read", "serializable"]
# What another transaction's success may take from ours; the transaction is given up.
EXPECTED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable)
SLOTS = 4

SCHEMA = """
create table witness (id bigint primary key, seen bigint[] not null);
create table turn (slot int primary key, last bigint not null, previous bigint);
select paysync.register('witness');
"""
# The newest rows that are visible, and of those acknowledged last the ones that are.
LOOK = """
select id from (select id from witness order by id desc limit 12) as newest
union select id from witness where id = any(%s)
"""
# Takes a turn: waits for whoever has it, and learns who that was, though a snapshot taken before would not show it.
TAKE_TURN = """
insert into turn values (%(slot)s, %(id)s, null) on conflict (slot)
do update set previous = turn.last, last = excluded.last returning previous
"""


@dataclass
class Workload:
    """Runs `sessions` sessions on a database for `seconds`. Prepared transactions wait in `prepared` for whoever comes by."""

    database: object
    seconds: float
    seed: int
    sessions: int = 8
    committed: set = field(default_factory=set)   # ids whose commit was answered
    undone: set = field(default_factory=set)      # ids of savepoints that were rolled back
    errors: list = field(default_factory=list)
    recent: deque = field(default_factory=lambda: deque(maxlen=24))
    prepared: deque = field(default_factory=deque)
    ids: object = field(default_factory=lambda: itertools.count(1))

    def prepare(self) -> None:
        """Make and register the tables."""
        self.database.execute(SCHEMA)

    def run(self, meanwhile=lambda passed: None) -> None:
        """Run it; `meanwhile(seconds passed)` is called often. A transaction that has written is open throughout."""
        open_throughout = self.database.connect(autocommit=False)
        first = self._insert(open_throughout, [])
        began = time.monotonic()
        threads = [threading.Thread(target=self._work, args=(number, began + self.seconds)) for number in range(self.sessions)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            meanwhile(time.monotonic() - began)
            threads[0].join(0.02)
        assert not self.errors, f"a session failed (seed {self.seed}): {self.errors[0]!r}"
        last = self._insert(open_throughout, self._look(open_throughout))
        open_throughout.commit()
        open_throughout.close()
        self._note([first, last])
        self._end_prepared()

    def _work(self, number: int, ends: float) -> None:
        chance = random.Random(f"{self.seed} {number}")
        try:
            with self.database.connect(autocommit=False) as session:
                while time.monotonic() < ends and not self.errors:
                    try:
                        self._transaction(session, chance)
                    except EXPECTED:
                        session.rollback()
        except Exception as error:  # pylint: disable=broad-except  # told by run()
            self.errors.append(error)

    def _transaction(self, session, chance: random.Random) -> None:
        session.execute(f"set transaction isolation level {chance.choice(LEVELS)}")
        session.execute(f"set local synchronous_commit = {chance.choice(['on', 'off'])}")
        # Whoever has the turn may be prepared, and all sessions that could end it may be waiting here.
        session.execute("set local lock_timeout = '250ms'")
        rows = [self._insert(session, self._look(session))]
        if chance.random() < 0.3:
            rows += self._in_savepoint(session, chance)
        if chance.random() < 0.3:
            rows.append(self._take_turn(session, chance))
        end = chance.random()
        if end < 0.05:
            session.rollback()
        elif end < 0.15 and len(self.prepared) < 8:
            self._prepare(session, rows)
        else:
            session.commit()
            self._note(rows)
        if self.prepared and chance.random() < 0.3:
            self._finish_prepared(session, chance)

    def _look(self, session) -> list:
        return [row[0] for row in session.execute(LOOK, (list(self.recent),))]

    def _insert(self, session, seen: list) -> int:
        row = next(self.ids)
        session.execute("insert into witness values (%s, %s::bigint[])", (row, seen))
        return row

    def _in_savepoint(self, session, chance: random.Random) -> list:
        session.execute("savepoint here")
        rows = [self._insert(session, self._look(session)) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.5:
            session.execute("rollback to here")
            self.undone.update(rows)
            rows = []
        if chance.random() < 0.5:
            session.execute("release here")
        return rows

    def _take_turn(self, session, chance: random.Random) -> int:
        row = next(self.ids)
        [(previous,)] = session.execute(TAKE_TURN, {"slot": chance.randrange(SLOTS), "id": row}).fetchall()
        session.execute("insert into witness values (%s, %s::bigint[])", (row, [] if previous is None else [previous]))
        return row

    def _prepare(self, session, rows: list) -> None:
        name = f"witness_{self.database.name}_{rows[0]}"
        session.execute("prepare transaction %s" % psycopg.sql.Literal(name).as_string(session))
        session.rollback()  # psycopg does not know that the transaction is over
        self.prepared.append((name, rows))

    def _finish_prepared(self, session, chance: random.Random) -> None:
        try:
            name, rows = self.prepared.popleft()
        except IndexError:
            return
        session.autocommit = True
        word = "rollback" if chance.random() < 0.1 else "commit"
        session.execute(f"{word} prepared '{name}'")
        session.autocommit = False
        if word == "commit":
            self._note(rows)

    def _end_prepared(self) -> None:
        with self.database.connect() as session:
            for name, rows in self.prepared:
                session.execute(f"commit prepared '{name}'")
                self._note(rows)
        self.prepared.clear()

    def _note(self, rows: list) -> None:
        self.committed.update(rows)
        self.recent.extend(rows)


class Judge:
    """Reads the stream of a workload and says what is wrong with it."""

    def __init__(self):
        self.place = {}     # id of a row: number of its transaction
        self.number = 0
        self.named = 0      # rows that name others
        self.faults = []

    def take(self, transaction) -> None:
        """Look at the next transaction."""
        if transaction.number <= self.number or transaction.total != len(transaction.changes):
            self.faults.append(f"{transaction.position} came after number {self.number}, or is not whole")
        self.number = transaction.number
        for change in transaction.changes:
            row = change.new["id"]
            missing = [seen for seen in change.new["seen"] if seen not in self.place]
            self.named += bool(change.new["seen"])
            if missing:
                self.faults.append(f"row {row} in {transaction.position} saw {missing}, which had not come yet")
            if row in self.place:
                self.faults.append(f"row {row} came in number {self.place[row]} and in {transaction.position}")
            self.place[row] = transaction.number

    def compare(self, workload: Workload) -> None:
        """AssertionError unless the stream held every committed row exactly once, each behind those that it names."""
        source = {row for (row,) in workload.database.execute("select id from witness")}
        came = set(self.place)
        if lost := source - came:
            self.faults.append(f"{len(lost)} rows were lost, the first is {min(lost)}")
        if extra := came - source:
            self.faults.append(f"{len(extra)} rows never committed, the first is {min(extra)}")
        if unanswered := workload.committed - source:
            self.faults.append(f"{len(unanswered)} rows are not in the source though their commit was answered")
        if workload.undone & source:
            self.faults.append("rows of rolled-back savepoints are in the source")
        assert not self.faults, f"seed {workload.seed}: {len(self.faults)} faults: " + "; ".join(self.faults[:5])
