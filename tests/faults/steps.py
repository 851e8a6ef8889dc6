"""What writers do inside a transaction. Each step returns how many changes it made in each channel."""

import json
import random
from collections import Counter

from .tables import ACCOUNTS, ECHO

# About 4 KiB a row: so many rows are beyond the 4 MiB from which a transaction is streamed.
BEYOND_STREAMING = 1100
FILLER = "repeat(md5((%(batch)s + n)::text), 128)"


class Steps:
    """The steps of one session; `next_id` gives ids that are never used twice, also not after a failure."""

    def __init__(self, session, chance: random.Random, next_id):
        self.session = session
        self.chance = chance
        self.next_id = next_id

    def some(self, most: int) -> Counter:
        """A few random small steps."""
        counts = Counter()
        for _ in range(self.chance.randint(1, most)):
            counts += self.chance.choices((self.transfer, self.book, self.forget, self.emit), (6, 4, 1, 1))[0]()
        return counts

    def transfer(self) -> Counter:
        """A row that references another, and rows that reference it."""
        transfer, account = self.next_id(), self.chance.randint(1, ACCOUNTS)
        self.session.execute("insert into transfers values (%s, %s, %s)", (transfer, account, self.chance.randint(-99, 99)))
        lines = self.chance.randint(0, 3)
        for _ in range(lines):
            self.session.execute("insert into lines values (%s, %s, repeat('words ', %s))",
                                 (self.next_id(), transfer, self.chance.randint(1, 40)))
        return Counter(transfers=1, lines=lines)

    def book(self) -> Counter:
        """Updates of rows that all writers share, in the order of their ids."""
        accounts = self.chance.sample(range(1, ACCOUNTS + 1), self.chance.choice((1, 1, 2)))
        for account in sorted(accounts):
            self.session.execute("update accounts set version = version + 1, balance = balance + %s where id = %s",
                                 (self.chance.randint(-9, 9), account))
        return Counter(accounts=len(accounts))

    def forget(self) -> Counter:
        """A delete that cascades."""
        found = self.session.execute("select id from transfers order by id limit 1 for update skip locked").fetchone()
        if not found:
            return Counter()
        [lines] = self.session.execute("select count(*) from lines where transfer = %s", found).fetchone()
        self.session.execute("delete from transfers where id = %s", found)
        return Counter(transfers=1, lines=lines)

    def emit(self) -> Counter:
        """An event that is no row."""
        self.session.execute("select paysync.emit('events', 'note', %s::jsonb, %s)",
                             (json.dumps({"n": self.chance.randint(1, 9)}), str(self.chance.randint(1, 99))))
        return Counter(events=1)

    def bulk(self, rows: int) -> Counter:
        """Many rows at once; all of a batch have one number."""
        batch = self.next_id(rows + 1)
        self.session.execute(f"insert into bulk select %(batch)s + n, 0, %(batch)s, {FILLER} from generate_series(1, %(rows)s) as n",
                             {"batch": batch, "rows": rows})
        echoes = (batch + rows) // ECHO - batch // ECHO if batch % 2 == 0 else 0
        return Counter(bulk=rows, transfers=echoes)

    def work_on_bulk(self) -> Counter:
        """A whole batch is updated, or goes."""
        found = self.session.execute("select batch from bulk order by batch limit 1").fetchone()
        if not found:
            return Counter()
        word = "delete from bulk" if self.chance.random() < 0.7 else "update bulk set version = version + 1"
        return Counter(bulk=self.session.execute(f"{word} where batch = %s", found).rowcount)

    def large(self) -> Counter:
        """More than a message holds; sometimes with a large part in the middle that is rolled back."""
        rows = self.chance.choice((20, 100, 300, BEYOND_STREAMING, 2 * BEYOND_STREAMING))
        if self.chance.random() < 0.5:
            return self.bulk(rows)
        first = self.bulk(rows // 2)
        self.undone(lambda: self.bulk(rows // 3))
        return first + self.bulk(rows - rows // 2)

    def undone(self, step) -> None:
        """A step in a savepoint that is rolled back."""
        self.session.execute("savepoint undone")
        step()
        self.session.execute("rollback to undone")

    def nested(self, depth: int = 3) -> Counter:
        """Savepoints in savepoints, some rolled back."""
        self.session.execute(f"savepoint s{depth}")
        counts = self.some(2)
        if depth and self.chance.random() < 0.6:
            counts += self.nested(depth - 1)
        if self.chance.random() < 0.4:
            self.session.execute(f"rollback to s{depth}")
            return Counter()
        if self.chance.random() < 0.5:
            self.session.execute(f"release s{depth}")
        return counts
