"""One round: a seed, a fresh schema, a few sessions that do random things, and the question whether the copy is the source."""

import random
import re
from collections import Counter

import psycopg

from harness.outbox import Outbox

from .model import Model
from .sessions import Driver
from .statements import Statements
from .tables import Schema

IDLE = psycopg.pq.TransactionStatus.IDLE
BROKEN = psycopg.pq.TransactionStatus.INERROR
SESSIONS = 3
PHASES = 2
STEPS = (10, 20, 30, 60)  # of a phase, one by chance: many small rounds, and some long ones
# What a statement may run into; anything else is ours.
EXPECTED_CLASSES = ("0A", "21", "22", "23", "25", "27", "2B", "40", "42", "55", "P0")
SETUP = "set deadlock_timeout = '20ms'; set client_min_messages = error; set statement_timeout = '60s'"
# What one session has set must not be seen in the stream.
SETTINGS = ["", "set datestyle = 'SQL, DMY'; set extra_float_digits = -5; set timezone = 'Asia/Kolkata'; set quote_all_identifiers = on; set bytea_output = 'escape'",
            "set search_path = ''; set intervalstyle = 'iso_8601'; set xmlbinary = 'hex'"]
COLUMNS = """select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute as a
    where a.attrelid = %s and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity = '' order by a.attnum"""
RELATIONS = """with recursive below as (select inhrelid from pg_inherits where inhparent = %(oid)s
    union select i.inhrelid from pg_inherits as i join below as b on i.inhparent = b.inhrelid)
    select format('%%I.%%I', n.nspname, c.relname), c.relkind from below join pg_class as c on c.oid = inhrelid join pg_namespace as n on n.oid = c.relnamespace
    order by 1"""
NAME = "select format('%%I.%%I', n.nspname, c.relname), c.oid::int8 from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = %s"


class Failure(AssertionError):
    """A round that went wrong; says which and what was done."""


class Stage:
    """A database, its stream and the sessions, used by one round after the other."""

    def __init__(self, database):
        self.database = database
        self.outbox = Outbox(database)
        self.driver = Driver(database, SESSIONS)
        self.control = database.connect()
        for session, settings in zip(self.driver.sessions, SETTINGS):
            session.connection.execute(f"{SETUP}; {settings}".encode())
        self.control.execute(SETUP + "; set timezone = 'UTC'")

    def close(self) -> None:
        """End all sessions."""
        self.driver.close()
        self.control.close()
        self.outbox.close()


class Round:
    """Everything that a seed decides."""

    def __init__(self, stage: Stage, seed: int):
        self.stage = stage
        self.seed = seed
        self.chance = random.Random(seed)
        self.schema = Schema(random.Random(f"{seed} tables"), f"r{seed}")
        self.statements = Statements(self.schema, random.Random(f"{seed} statements"))
        self.model = Model()
        self.model.rules = lambda name: self._table_of(name[1]).old_values
        self.journal = []
        self.prepared = []
        self.depth = {}
        self.compared = 0
        self.told = Counter()

    def run(self) -> "Round":
        """Run it. Failure: the copy is not the source."""
        try:
            for statement in self.schema.create():
                self.journal.append(f"setup: {statement}")
                self.stage.control.execute(statement.encode())
            for table in self.schema.tables:
                table.oid = self._value(f"select '{table.name}'::regclass::oid::int8")
                table.masked = {row[0] for row in self.stage.control.execute(
                    "select attnum from pg_attribute where attrelid = %s and attname = any (%s)", (table.oid, table.masks)).fetchall()}
            self._refresh()
            for table in self.schema.tables:
                self._fill(table)
            for _ in range(PHASES):
                for _ in range(self.chance.choice(STEPS)):
                    self._step()
                self._come_to_rest()
                self._compare()
        except (AssertionError, psycopg.Error) as error:
            journal = "\n".join(self.journal)
            raise Failure(f"SEED={self.seed}: {type(error).__name__}: {error}\nwhat was done:\n{journal}") from error
        finally:
            self._clean_up()
        return self

    def _fill(self, table) -> None:
        """The first rows. A trigger of a user may be in the way."""
        for _ in range(2):
            statement = self.statements.insert(table)
            self.journal.append(f"setup: {statement}")
            try:
                self.stage.control.execute(statement.encode())
            except psycopg.Error as error:
                assert error.sqlstate[:2] in EXPECTED_CLASSES, f"{statement}: {error.sqlstate} {error}"

    def _value(self, statement: str):
        return self.stage.control.execute(statement.encode()).fetchone()[0]

    def _table_of(self, relation: str):
        tag = re.match(r"t\d+", relation)[0]
        return next(table for table in self.schema.tables if table.tag == tag)

    def _step(self) -> None:
        self.stage.driver.settle()
        free = self.stage.driver.free()
        if not free or (self.prepared and self.chance.random() < 0.15):
            if not self.prepared:
                return  # they wait for each other: the server will find out
            self._end_prepared()
            return
        self._work(self.chance.choice(free))

    def _work(self, session) -> None:
        status, luck = session.status, self.chance.random()
        if status == IDLE:
            self.depth[session.number] = []
            level = self.chance.choice(["read committed", "read committed", "repeatable read", "serializable"])
            self._submit(session, f"begin isolation level {level}" if luck < 0.7 else self._statement(), session.number)
        elif status == BROKEN:
            points = self.depth[session.number]
            self._submit(session, f"rollback to {points[-1]}" if points and luck < 0.8 else "rollback", session.number)
        elif luck < 0.15:
            name = f"s{len(self.journal)}"
            self.depth[session.number].append(name)
            self._submit(session, f"savepoint {name}", session.number)
        elif luck < 0.22 and self.depth[session.number]:
            name = self.depth[session.number].pop()
            self._submit(session, f"{self.chance.choice(['rollback to', 'release'])} {name}", session.number)
        elif luck < 0.40:
            self._submit(session, self.chance.choice(["commit"] * 6 + ["rollback"]), session.number)
        elif luck < 0.44 and len(self.prepared) < 2:
            self._prepare(session)
        else:
            self._submit(session, self._statement(), session.number)

    def _statement(self):
        return self.statements.ddl() if self.chance.random() < 0.18 else self.statements.row()

    def _submit(self, session, statement, who) -> None:
        entry = len(self.journal)
        self.journal.append(f"{who}: {getattr(statement, 'text', statement)}")

        def work(connection) -> None:
            if callable(statement):
                statement(connection)
            else:
                connection.execute(statement.encode())

        def done(error) -> None:
            if error is not None:
                assert error.sqlstate and error.sqlstate[:2] in EXPECTED_CLASSES, f"{self.journal[entry]}: {error.sqlstate} {error}"
                self.journal[entry] += f"  -- {error.sqlstate} {str(error).splitlines()[0]}"
                if session.status == IDLE:  # what was set before it failed
                    session.connection.execute("set session_replication_role = origin; set paysync.enabled = on")
            if session.status == IDLE:
                self._refresh()

        session.submit(work, done)
        self.stage.driver.settle()

    def _prepare(self, session) -> None:
        name = f"{self.schema.name}_{len(self.journal)}"

        def prepared(connection) -> None:
            connection.execute(f"prepare transaction '{name}'".encode())
            if connection.execute("select count(*) from pg_prepared_xacts where gid = %s", (name,)).fetchone()[0]:
                self.prepared.append(name)

        prepared.text = f"prepare transaction '{name}'"
        self._submit(session, prepared, session.number)

    def _end_prepared(self) -> None:
        word = self.chance.choice(["commit", "commit", "rollback"])
        statement = f"{word} prepared '{self.prepared.pop(0)}'"
        self.journal.append(f"control: {statement}")
        self.stage.control.execute(statement.encode())
        self.stage.driver.settle()
        self._refresh()

    def _come_to_rest(self) -> None:
        """End all transactions."""
        while True:
            self.stage.driver.settle()
            open_ones = [session for session in self.stage.driver.free() if session.status != IDLE]
            if open_ones:
                session = self.chance.choice(open_ones)
                self._submit(session, "commit" if self.chance.random() < 0.8 else "rollback", session.number)
            elif self.prepared:
                self._end_prepared()
            elif not [session for session in self.stage.driver.sessions if session.future is not None]:
                return

    def _refresh(self) -> None:
        """Learn from the catalogs what the tables are now."""
        for table in self.schema.tables:
            found = self.stage.control.execute(NAME, (table.oid,)).fetchone()
            table.alive = found is not None
            if found:
                table.name = found[0]
                table.columns = dict(self.stage.control.execute(COLUMNS, (table.oid,)).fetchall())
                table.relations = [name for name, _ in self.stage.control.execute(RELATIONS, {"oid": table.oid}).fetchall()]

    def _compare(self) -> None:
        transactions = self.stage.outbox.read()
        for transaction in transactions:
            self.told.update(change.op for change in transaction.changes)
            self.model.follow(transaction)
        for (_, name), doubt in self.model.doubts.items():
            assert self._table_of(name).tag in self.statements.may_gap, f"{name} is in doubt for no reason that we know: {doubt}"
        expected = {}
        for table in self.schema.tables:
            relations = [table.name]
            if table.partitions == "leaf" and table.relations:
                relations += table.relations
            for relation in relations:
                expected[tuple(relation.split("."))] = (table, table.partitions == "leaf")
        for name, (table, only) in expected.items():
            self._compare_table(name, table, only)
        for name in [name for name in {*self.model.shapes, *self.model.doubts} if name not in expected]:
            assert name in self.model.doubts or not self.model.rows.get(name), f"{name} is no more, but was not put in doubt"
            self.model.forget(name)

    def _compare_table(self, name: tuple, table, only: bool) -> None:
        shape = self.model.shapes.get(name)
        where = f"({table.row_filter}) is true" if table.row_filter else "true"
        source = f"{'only ' if only else ''}\"{name[0]}\".\"{name[1]}\""
        if only and self._value(f"select relkind from pg_class where oid = '{source[5:]}'::regclass") == "p":
            return
        if shape is None:
            assert self._value(f"select count(*) from {source} where {where}") == 0, f"{name} has rows of which nothing was told"
            return
        columns = list(shape.columns)
        texts = ", ".join("null::text" if column.number in table.masked else '"{}"::text'.format(column.name) for column in columns)
        theirs = [dict(zip(shape.names, row)) for row in self.stage.control.execute(f"select {texts} from {source} where {where}".encode()).fetchall()]
        self.told["in doubt" if name in self.model.doubts else "sure"] += 1
        if name in self.model.doubts:
            self.model.replace(name, theirs)
            return
        rows = self.model.rows.get(name, {})
        ours = self._printed(list(rows.values() if isinstance(rows, dict) else rows), columns)
        self.compared += len(theirs)
        one, other = sorted(map(repr, ours)), sorted(map(repr, theirs))
        assert one == other, (f"{'.'.join(name)} differs: only in the copy {[row for row in one if row not in other][:3]}, "
                              f"only in the source {[row for row in other if row not in one][:3]}")

    def _printed(self, rows: list, columns: list) -> list:
        """Rows as the server prints them."""
        if not rows:
            return []
        arrays = ", ".join("%s::text[]" for _ in columns)
        names = ", ".join(f"c{at}" for at in range(len(columns)))
        # The type as it is called now: it may have been renamed after the shape was made.
        casts = ", ".join(f"c{at}::{column.type.replace('%', '%%')}::text" for at, column in enumerate(columns))
        values = [[row[column.name] for row in rows] for column in columns]
        found = self.stage.control.execute(f"select {casts} from unnest({arrays}) as u ({names})", values).fetchall()
        return [dict(zip((column.name for column in columns), row)) for row in found]

    def _clean_up(self) -> None:
        for session in self.stage.driver.sessions:
            if session.future is not None:
                session.connection.cancel()
                session.future.exception()
                session.future = None
            session.connection.rollback()
            if session.status != IDLE:
                session.connection.execute("rollback")
            session.connection.execute("set session_replication_role = origin; set paysync.enabled = on")
        for name in self.prepared:
            self.stage.control.execute(f"rollback prepared '{name}'".encode())
        self.stage.control.execute(f"drop schema if exists {self.schema.name} cascade".encode())
        self.stage.outbox.read()
        self.stage.outbox.acknowledge()
