"""pgbench's bank as a source, and a mirror of it in memory that a subscriber keeps and checks after every transaction."""

import subprocess
from collections import Counter
from pathlib import Path

import workspace

# Table, key column (none: insert-only), the column whose sum the bank's rule is about.
TABLES = {
    "pgbench_accounts": ("aid", "abalance"),
    "pgbench_tellers": ("tid", "tbalance"),
    "pgbench_branches": ("bid", "bbalance"),
    "pgbench_history": (None, "delta"),
}
# The mark in pgbench_history.filler of the transaction that is open throughout; it commits last.
LAST = "last"


def initialize(database, scale: int = 1) -> None:
    """Make the four tables and register them; history has no key, so it is insert-only."""
    subprocess.run([workspace.server_program("pgbench"), "--initialize", "--quiet", f"--scale={scale}", database.conninfo()],
                   check=True, capture_output=True, cwd="/")
    for table, (key, _) in TABLES.items():
        options = "{}" if key else '{"insert_only": true}'
        database.execute("select paysync.register(%s::regclass, options => %s::jsonb)", (f"public.{table}", options))


def run_workload(database, transactions: int, clients: int, log: Path, seed: int | None = None) -> subprocess.Popen:
    """Start pgbench with TPC-B-like transactions, as many as said over all clients; output goes to the log."""
    each, rest = divmod(transactions, clients)
    assert not rest, "the clients take the same number of transactions each"
    with log.open("wb") as file:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", workspace.server_program("pgbench"), "--no-vacuum", f"--client={clients}",
             "--jobs=2", f"--transactions={each}", "--protocol=prepared", "--max-tries=1",
             *([f"--random-seed={seed}"] if seed is not None else []), database.conninfo()],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd="/")


def begin_last(database):
    """Open the transaction that stays open: it has written, so the server carries its xid in every snapshot. Commit it when the
    workload is over."""
    connection = database.connect(autocommit=False)
    connection.execute(f"insert into pgbench_history (tid, bid, aid, delta, filler) values (0, 0, 0, 0, '{LAST}')")
    return connection


def read_source(connection) -> dict:
    """All rows of the four tables in one snapshot: by key, those of history as a multiset."""
    rows = {}
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        for table, (key, _) in TABLES.items():
            cursor = connection.execute(f"select * from {table}")
            names = [column.name for column in cursor.description]
            found = [dict(zip(names, row)) for row in cursor]
            rows[table] = {row[key]: row for row in found} if key else Counter(map(as_item, found))
    return rows


def as_item(row: dict) -> tuple:
    """A row as something that can be counted."""
    return tuple(sorted(row.items()))


class Mirror:
    """The four tables rebuilt from a stream, begun from a copy of the source that was read before the first change."""

    def __init__(self, rows: dict):
        self.rows = rows
        self.sums = {table: self._sum(table) for table in TABLES}
        self.number = 0
        self.transactions = 0
        self.is_complete = False

    def _sum(self, table: str) -> int:
        column = TABLES[table][1]
        if TABLES[table][0]:
            return sum(row[column] for row in self.rows[table].values())
        return sum(dict(item)[column] * count for item, count in self.rows[table].items())

    def apply(self, transaction) -> None:
        """Apply a whole transaction, then check the bank's rule: every amount went to an account, a teller, a branch and the
        history. AssertionError: delivered twice, torn, out of order, or a row that should be there is not."""
        assert not self.is_complete, f"{transaction.position} came after the last transaction"
        assert transaction.number > self.number, f"{transaction.position} came after number {self.number}"
        assert transaction.total == len(transaction.changes), f"{transaction.position} is not whole"
        self.number = transaction.number
        self.transactions += 1
        for change in transaction.changes:
            self._apply_change(change)
        assert len(set(self.sums.values())) == 1, f"the bank's rule is broken after {transaction.position}: {self.sums}"

    def _apply_change(self, change) -> None:
        assert change.schema == "public" and change.table in TABLES, f"a change of {change.schema}.{change.table}"
        key, column = TABLES[change.table]
        rows = self.rows[change.table]
        if key is None:
            assert change.op == "insert", f"{change.op} of {change.table}"
            rows[as_item(change.new)] += 1
            self.sums[change.table] += change.new[column]
            self.is_complete = (change.new["filler"] or "").strip() == LAST
            return
        if change.op in ("update", "delete"):
            assert change.key[key] in rows, f"{change.op} of {change.table} {change.key}, which is not there"
            self.sums[change.table] -= rows.pop(change.key[key])[column]
        if change.op in ("insert", "update"):
            assert change.new[key] not in rows, f"{change.op} of {change.table} {change.new[key]}, which is there already"
            rows[change.new[key]] = change.new
            self.sums[change.table] += change.new[column]

    def differences(self, source: dict) -> list:
        """One line for each table whose rows are not those of the source; empty when all are equal."""
        lines = []
        for table, (key, _) in TABLES.items():
            ours, theirs = self.rows[table], source[table]
            if ours == theirs:
                continue
            if key:
                wrong = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
                lines.append(f"{table}: {len(wrong)} rows differ, the first is {key} {min(wrong)}: "
                             f"{ours.get(min(wrong))} here, {theirs.get(min(wrong))} at the source")
            else:
                lines.append(f"{table}: {sum((theirs - ours).values())} rows lost, {sum((ours - theirs).values())} rows too many")
        return lines
