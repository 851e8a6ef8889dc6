"""A subscriber's memory in a file: what it was handed, and where it stands, in one transaction. It survives SIGKILL."""

import json
import sqlite3
from pathlib import Path

from .content import Fingerprint, of_python
from .history import Delivery, Log

SCHEMA = """
create table if not exists delivery (seq integer primary key, life integer, number integer, position text, xid integer,
    total integer, channels text, is_notice integer);
create index if not exists delivery_xid on delivery (xid);
create table if not exists row (seq integer, at integer, operation text, content text);
create table if not exists place (stream_id text, position text);
create table if not exists fact (life integer, what text, detail text);
"""


class Ledger:
    """The file, opened by one process at a time to write. With `keeps_rows` the changes themselves are kept too."""

    def __init__(self, path: Path, keeps_rows: bool = False):
        self.keeps_rows = keeps_rows
        self.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        # The kernel keeps what a killed process has written; nothing here outlives the machine.
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute("pragma synchronous = off")
        self.connection.executescript(SCHEMA)
        [self.life] = self.connection.execute("select coalesce(max(life), 0) + 1 from fact").fetchone()
        self.fact("born", "")
        self.taking = None

    def fact(self, what: str, detail: str) -> None:
        """Write down something that is no delivery: born, refused."""
        self.connection.execute("insert into fact values (?, ?, ?)", (self.life, what, detail))

    def place(self) -> tuple | None:
        """(stream id, position) as stored with the deliveries, or None."""
        return self.connection.execute("select stream_id, position from place").fetchone()

    def open(self) -> None:
        """Begin a transaction of this file, if none is open."""
        if not self.connection.in_transaction:
            self.connection.execute("begin immediate")

    def begin(self, number: int, position: str, xid: int, total: int | None) -> None:
        """A source transaction begins."""
        assert self.taking is None, f"{position} begins inside another"
        self.open()
        self.connection.execute("savepoint taking")
        cursor = self.connection.execute("insert into delivery (life, number, position, xid, total) values (?, ?, ?, ?, ?)",
                                         (self.life, number, position, xid, total))
        self.taking = (cursor.lastrowid, Fingerprint())

    def changes(self, changes: list) -> None:
        """The next changes of the transaction that was begun."""
        seq, fingerprint = self.taking
        for change in changes:
            channel, operation, content = of_python(change)
            fingerprint.add(channel, operation, content)
            if self.keeps_rows and operation != "event":
                self.connection.execute("insert into row values (?, ?, ?, ?)",
                                        (seq, fingerprint.counts.total(), operation, json.dumps(content)))

    def end(self) -> None:
        """The transaction is whole."""
        seq, fingerprint = self.taking
        self.connection.execute("update delivery set channels = ?, is_notice = ? where seq = ?",
                                (json.dumps(fingerprint.channels()), fingerprint.is_notice, seq))
        self.connection.execute("release taking")
        self.taking = None

    def give_up(self) -> None:
        """What came of the transaction that was begun is void."""
        self.connection.execute("rollback to taking")
        self.connection.execute("release taking")
        self.taking = None

    def commit(self, stream_id=None, position=None) -> None:
        """Make it last; with a position, in the same transaction, where this subscriber stands now."""
        self.open()
        if position is not None:
            self.connection.execute("delete from place")
            self.connection.execute("insert into place values (?, ?)", (str(stream_id), str(position)))
        self.connection.execute("commit")


def read_only(path: Path):
    """A connection that looks at a ledger while its owner writes, or None as long as there is none."""
    if not path.exists():
        return None
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


def has(path: Path, xid: int) -> bool:
    """Whether a transaction has been delivered."""
    connection = read_only(path)
    if connection is None:
        return False
    try:
        return connection.execute("select count(*) from delivery where xid = ?", (xid,)).fetchone()[0] > 0
    except sqlite3.OperationalError:  # its tables are not there yet
        return False
    finally:
        connection.close()


def some_position(path: Path, fraction: float, among: int = 150) -> str | None:
    """The position of one of the deliveries that came last, the newest for fraction 0."""
    connection = read_only(path)
    try:
        found = connection.execute("select position from delivery where channels is not null order by seq desc limit ?", (among,)).fetchall() \
            if connection else []
    except sqlite3.OperationalError:  # its tables are not there yet
        found = []
    return found[int(fraction * len(found))][0] if found else None


def read_log(path: Path, log: Log) -> Log:
    """Fill a log from a ledger."""
    connection = read_only(path)
    assert connection is not None, f"{log.name} has no ledger"
    for number, position, xid, total, channels, is_notice in connection.execute(
            "select number, position, xid, total, channels, is_notice from delivery order by seq"):
        counted = {channel: tuple(found) for channel, found in json.loads(channels).items()}
        log.deliveries.append(Delivery(number, position, xid, total, counted, bool(is_notice)))
    facts = connection.execute("select what, detail from fact").fetchall()
    log.refusals += [detail for what, detail in facts if what == "refused"]
    connection.close()
    return log


def read_rows(path: Path):
    """(number, operation, content) of every change of the first delivery of each number, in the order of the stream."""
    connection = read_only(path)
    try:
        yield from ((number, operation, json.loads(content)) for number, operation, content in connection.execute(
            """select d.number, r.operation, r.content from (select number, min(seq) as seq from delivery group by number) as d
               join row as r on r.seq = d.seq order by d.number, r.at"""))
    finally:
        connection.close()
