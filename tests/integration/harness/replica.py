"""A second database that is made from the stream alone: every change applied as its own statement, in the order it came."""

import contextlib
import time

import psycopg
from psycopg import sql

from paysync import Subscriber

from . import target
from .follower import Follower
from .outbox import Outbox

END = "end of the workload"


class Replica(Follower):
    """Applies whole transactions to a database that has the source's tables, with all constraints and none of its triggers, or,
    with `make_tables`, only its types: then a table is made from the first shape that comes.
    Every update and delete must find its row, with the old values that came, so the target's foreign keys must not act by
    themselves. Rows of tables in doubt stay as they were at the gap."""

    def __init__(self, database, make_tables: bool = False):
        super().__init__()
        self.database = database
        self.connection = database.connect()
        self.make_tables = make_tables
        self.statements = {}

    def apply(self, transaction) -> None:
        """Apply a transaction in one transaction of the target. AssertionError: a change does not find its row, or contradicts
        what came before; a psycopg.Error: it breaks a constraint of the target."""
        with self.connection.transaction():
            self.follow(transaction)

    def begin(self, shape) -> None:
        if self.make_tables:
            self.connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(shape.schema)))
            self.connection.execute(target.create_table(shape))

    def insert(self, change, where: str) -> None:
        self._apply_row(change, {}, {}, where)

    def update(self, change, where: str) -> None:
        self._apply_row(change, change.key, change.old or {}, where)

    delete = update

    def _apply_row(self, change, key: dict, old: dict, where: str) -> None:
        which = (change.op, change.shape.id, *old)
        statement = self.statements.get(which)
        if statement is None:
            assert change.op == "insert" or key or old, f"{change.op} of {change.table} {where} does not say which row"
            make = getattr(target, change.op)
            statement = self.statements[which] = make(change.shape) if change.op == "insert" else make(change.shape, key, old)
        found = self.connection.execute(statement, target.row_parameters(change, key, old), prepare=True).rowcount
        assert found == 1, f"{change.op} of {change.table} {change.key} {where} finds {found} rows with the old values {old}"

    def truncate(self, changes: list, where: str) -> None:
        names = sorted({(change.schema, change.table) for change in changes})
        self.connection.execute("set constraints all immediate")  # a waiting check forbids it
        self.connection.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(sql.Identifier(*name) for name in names)))
        self.connection.execute("set constraints all deferred")

    def alter(self, change, where: str) -> None:
        self.statements.clear()
        for statement, parameters in target.alter(change):
            try:
                self.connection.execute(statement, parameters)
            except psycopg.Error as error:
                raise AssertionError(f"alter of {change.schema}.{change.table} {where}: {statement.as_string(self.connection)}: {error}") from error

    def move(self, before: tuple, after: tuple) -> None:
        if self.connection.execute("select to_regclass(format('%%I.%%I', %s::text, %s::text))", before).fetchone()[0] is None:
            return  # it was in doubt from its first change on
        if before[0] != after[0]:
            self.connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(after[0])))
            self.connection.execute(sql.SQL("alter table {} set schema {}").format(sql.Identifier(*before), sql.Identifier(after[0])))
        if before[1] != after[1]:
            self.connection.execute(sql.SQL("alter table {} rename to {}").format(sql.Identifier(after[0], before[1]), sql.Identifier(after[1])))

    def close(self) -> None:
        """Close its connection."""
        self.connection.close()

    def __enter__(self) -> "Replica":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def rows_of(database, table: str) -> list:
    """All rows of a table as text, ordered."""
    return sorted(row[0] for row in database.execute(f"select t::text from {table} as t"))


def assert_equal(source, target, tables: list, note: str) -> None:
    """Both databases hold the same rows; the error says which do not, and `note`."""
    for table in tables:
        ours, theirs = rows_of(target, table), rows_of(source, table)
        if ours != theirs:
            lost, extra = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
            raise AssertionError(f"{table} differs ({note}): {len(theirs)} rows at the source, {len(ours)} here; only at the "
                                 f"source {shorten(lost)}, only here {shorten(extra)}")


def shorten(rows: list) -> list:
    """The first rows, cut to a length a person reads."""
    return [row[:200] for row in rows[:5]]


def mark_end(database, channel: str = "default") -> None:
    """Put the mark into the stream at which `read_until_end` stops: after all that has committed by now."""
    database.execute("select paysync.emit(%s, %s, '{}')", (channel, END))


def is_end(transaction) -> bool:
    """Whether this is the transaction of `mark_end`."""
    return any(change.op == "event" and change.type == END for change in transaction.changes)


def read_until_end(relay, subscriber: str, deadline: float = 60.0, **options):
    """Yields the subscriber's transactions, each acknowledged once the caller is done with it, up to the mark (which is not
    yielded). AssertionError when nothing comes for `deadline` seconds. `options` go to Subscriber."""
    endpoint = relay if isinstance(relay, str) else relay.endpoint
    with Subscriber(endpoint, subscriber, own_position=True, **options) as stream:
        while True:
            began = time.monotonic()
            transaction = stream.receive(timeout=deadline)
            assert transaction is not None, (
                f"nothing came for {time.monotonic() - began:.0f} s after {stream.position}, before the end of the workload")
            if is_end(transaction):
                stream.acknowledge(transaction.position)
                return
            yield transaction
            stream.acknowledge(transaction.position)


@contextlib.contextmanager
def mirrored(database, relay, schema: str, tables: list, note: str = "", doubts: tuple = ()):
    """Registers a subscriber `replica`; when the block is over, applies the stream to a fresh database with `schema`, and compares.
    What it yields is a list that then holds the transactions. `doubts` names the tables that must have ended in doubt."""
    database.execute("select paysync.create_subscriber('replica')")
    applied = []
    yield applied
    mark_end(database)
    copy = database.server.create_database(f"{database.name}_replica")
    try:
        copy.execute(schema)
        with Replica(copy) as replica:
            for transaction in read_until_end(relay, "replica"):
                replica.apply(transaction)
                applied.append(transaction)
            assert_doubts(replica, doubts)
        assert_equal(database, copy, [table for table in tables if qualified(table) not in replica.in_doubt()], note)
    finally:
        database.server.drop_database(copy.name)


class Mirror:
    """A source, its stream read without a relay, and a copy, of the database `template`, that has `types` and makes its tables
    from the stream."""

    def __init__(self, database, types: str = "", channels: str = "{default}", template: str = "template1"):
        self.database = database
        self.copy = database.server.create_database(f"{database.name}_copy", template)
        self.copy.execute(types or "select")
        self.outbox = Outbox(database, channels=channels)
        self.replica = Replica(self.copy, make_tables=True)
        self.transactions = []

    def catch_up(self) -> list:
        """Apply what has committed since the last call; the transactions, without those of events alone."""
        found = self.outbox.read()
        for transaction in found:
            self.replica.apply(transaction)
        self.transactions += found
        return found

    def changes(self) -> list:
        """Catch up; all changes that came by that."""
        return [change for transaction in self.catch_up() for change in transaction.changes]

    def assert_same(self, tables: list, note: str = "", doubts: tuple = ()) -> None:
        """Catch up; AssertionError unless the tables are equal but for `doubts`, which must all be in doubt and no other."""
        self.catch_up()
        assert_doubts(self.replica, doubts)
        assert_equal(self.database, self.copy, [table for table in tables if qualified(table) not in self.replica.in_doubt()], note)

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(self, *_) -> None:
        self.replica.close()
        self.outbox.close()
        self.database.server.drop_database(self.copy.name)


def register(database, *tables: str, **arguments) -> None:
    """Register tables with the same arguments."""
    given = "".join(f", {name} => {sql.Literal(value).as_string(None)}" for name, value in arguments.items())
    for table in tables:
        database.execute(f"select paysync.register('{table}'{given})")


def qualified(table: str) -> str:
    """A table's name with its schema."""
    return table if "." in table else f"public.{table}"


def assert_doubts(replica: Replica, expected: tuple) -> None:
    """Exactly the expected tables are in doubt."""
    found = replica.in_doubt()
    assert set(found) == {qualified(table) for table in expected}, f"in doubt are {found}, expected were {list(expected)}"
