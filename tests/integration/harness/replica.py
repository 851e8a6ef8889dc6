"""A second database that is made from the stream alone: every change applied as its own statement, in the order it came."""

import contextlib
import itertools
import time
from datetime import datetime
from decimal import Decimal

from psycopg import sql

from paysync import Subscriber

END = "end of the workload"


class Replica:
    """Applies whole transactions to a database that has the source's tables, with all constraints and none of its triggers.
    Every update and delete must find its row, so the target's foreign keys must not act by themselves."""

    def __init__(self, database):
        self.database = database
        self.connection = database.connect()
        self.statements = {}

    def apply(self, transaction) -> None:
        """Apply a transaction in one transaction of the target. AssertionError: a change does not find its row; a
        psycopg.Error: it breaks a constraint of the target."""
        with self.connection.transaction():
            for op, changes in itertools.groupby(transaction.changes, lambda change: change.op):
                if op == "truncate":
                    # A statement may truncate tables that refer to each other, which one after the other cannot be done.
                    names = sorted({(change.schema, change.table) for change in changes})
                    self.connection.execute("set constraints all immediate")  # a waiting check forbids it
                    self.connection.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(sql.Identifier(*name) for name in names)))
                    self.connection.execute("set constraints all deferred")
                elif op != "event":
                    for change in changes:
                        self._apply_row(transaction, change)

    def _apply_row(self, transaction, change) -> None:
        statement = self._statement(change)
        parameters = [as_text(value) for row in (change.new, change.key if change.op in ("update", "delete") else None)
                      for value in (row or {}).values()]
        found = self.connection.execute(statement, parameters, prepare=True).rowcount
        assert found == 1, f"{change.op} of {change.table} {change.key} in {transaction.position} finds {found} rows"

    def _statement(self, change) -> sql.Composed:
        found = self.statements.get((change.op, change.shape.id))
        if found is None:
            found = self.statements[change.op, change.shape.id] = make_statement(change.op, change.shape)
        return found

    def close(self) -> None:
        """Close its connection."""
        self.connection.close()

    def __enter__(self) -> "Replica":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def make_statement(op: str, shape) -> sql.Composed:
    """The statement for a change of this shape: the parameters are the new values in column order, then those of the key."""
    table = sql.Identifier(shape.schema, shape.table)
    values = [sql.SQL("%s::{}").format(sql.SQL(column.type.replace("%", "%%"))) for column in shape.columns]
    names = [sql.Identifier(name.replace("%", "%%")) for name in shape.names]
    key = sql.SQL(" and ").join(sql.SQL("{} = {}").format(names[at], values[at]) for at in shape.key)
    if op == "insert":
        return sql.SQL("insert into {} ({}) values ({})").format(table, sql.SQL(", ").join(names), sql.SQL(", ").join(values))
    if op == "delete":
        return sql.SQL("delete from {} where {}").format(table, key)
    assignments = sql.SQL(", ").join(sql.SQL("{} = {}").format(*pair) for pair in zip(names, values))
    return sql.SQL("update {} set {} where {}").format(table, assignments, key)


def as_text(value) -> str | None:
    """A value of a change as text that PostgreSQL reads back without loss."""
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return None if value is None else str(value)


def rows_of(database, table: str) -> list:
    """All rows of a table as text, ordered."""
    return [row[0] for row in database.execute(f'select t::text from {table} as t order by t::text collate "C"')]


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
def mirrored(database, relay, schema: str, tables: list, note: str = ""):
    """Registers a subscriber `replica`; when the block is over, applies the stream to a fresh database with `schema`, and compares.
    What it yields is a list that then holds the transactions."""
    database.execute("select paysync.create_subscriber('replica')")
    applied = []
    yield applied
    mark_end(database)
    target = database.server.create_database(f"{database.name}_replica")
    try:
        target.execute(schema)
        with Replica(target) as replica:
            for transaction in read_until_end(relay, "replica"):
                replica.apply(transaction)
                applied.append(transaction)
        assert_equal(database, target, tables, note)
    finally:
        database.server.drop_database(target.name)
