"""One run: a server with small segments, two relays, subscribers and writers; a schedule of blows; then peace, and the verdict."""

import heapq
import itertools
import json
import random
import signal
import sys
import time
from pathlib import Path

import psycopg.types.json

from harness import Postgres, wait_for
from harness.program import Program
from harness.waiting import child_pids, free_port

import paysync

from . import ledger, rebuild, tables
from .blows import Blows, signal_backend
from .cast import PARTS, STREAMING_PARTS, FaultsRelay, FaultsSubscriber
from .history import check
from .schedule import CALLS, plan

# What only the WAL writer would flush stays unflushed for 10 s, so that a crash loses what was not waited for.
SETTINGS = {"wal_writer_delay": "10s", "max_connections": "100", "fsync": "off"}
SEGMENTS = ["64kB", "256kB", "1MB"]
RETENTIONS = ["0", "3s", "8s"]  # without any there is little to replay
SESSIONS = 4
PEACE = 120
SLOWNESS = 200  # a blow waits for the server that it struck: seconds that they may take beyond the schedule


class Failure(AssertionError):
    """What a run found."""


class Stage:
    """Everything that runs. `folder` keeps what it leaves."""

    def __init__(self, folder: Path, seed: int, seconds: float):
        self.folder = Path(folder)
        self.seed = seed
        self.seconds = seconds
        self.chance = random.Random(f"stage {seed}")
        self.journal = []
        self.began = time.monotonic()
        self.faults = []
        self.done = set()      # who has the last transaction
        self.paused = set()    # who was paused and perhaps not resumed
        self.replayed = set()  # for whom a replay was asked for
        self.server = Postgres(self.folder / "pg", settings=SETTINGS)
        # Of its own: what it flushes for its transactions must not make the source's durable.
        self.target_server = Postgres(self.folder / "target")
        self.blows = Blows(self)

    def note(self, text: str) -> None:
        """A line of the story that a failure tells."""
        self.journal.append(f"{self._passed():7.2f} {text}")

    def phases(self) -> str:
        """When each phase began, for people."""
        return ", ".join(line.strip() for line in self.journal if line.split(maxsplit=1)[1].split()[0] in ("peace", "written", "all", "the"))

    def run(self) -> dict:
        """Run it; returns figures for people. Failure, with the seed and the story, where a rule is broken."""
        try:
            with self.server, self.target_server:
                self._set_up()
                try:
                    self._strike(plan(self.seed, self.seconds, list(self.subscribers), self.calls))
                    self._make_peace()
                    return self._judge()
                finally:
                    for actor in (*self.subscribers.values(), *self.relays):
                        actor.kill()
                    self.writers.kill()
        except Exception as error:
            story = "\n".join(self.journal)
            raise Failure(f"SEED={self.seed}: {error}\nwhat was done:\n{story}") from error

    def _set_up(self) -> None:
        self.source = self.server.create_database("source")
        target_database = self.target_server.create_database("target")
        for statement in ("create extension paysync", "alter database source set synchronous_commit = off",
                          f"alter database source set paysync.segment_size = '{self.chance.choice(SEGMENTS)}'"):
            self.source.execute(statement)
        if self.source.value("select count(*) from pg_settings where name = 'paysync.retention'"):
            self.source.execute(f"alter database source set paysync.retention = '{self.chance.choice(RETENTIONS)}'")
        tables.create(self.source)
        self.calls = {name for name in CALLS if self.source.value(
            "select count(*) from pg_proc where pronamespace = 'paysync'::regnamespace and proname in (%s, %s)", (name, f"{name}_subscriber"))}
        parts = PARTS + (STREAMING_PARTS if hasattr(paysync.Subscriber, "receive_into") else [])
        for part in parts:
            self.source.execute("select paysync.create_subscriber(%s, %s)", (part.name, sorted(part.channels)))
        with target_database.connect() as session:
            session.execute(target_schema())
        endpoints = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
        self.relays = [FaultsRelay(self.folder, f"relay{number}", self.source.conninfo(), endpoint)
                       for number, endpoint in enumerate(endpoints)]
        self.subscribers = {part.name: FaultsSubscriber(self.folder, part, endpoints, target_database) for part in parts}
        self.sleeps = {name: 0.0 for name, subscriber in self.subscribers.items() if subscriber.part.away}
        self.writers = Program(self.folder, "writers", [sys.executable, Path(__file__).parent / "workload.py",
                                                        self.source.conninfo(application_name="writer"), self.seed, SESSIONS])
        for actor in (*self.relays, *self.subscribers.values()):
            actor.wanted = actor.name not in self.sleeps
        self.writers.launch()
        self.began = time.monotonic()

    def _strike(self, blows: list) -> None:
        """Do what the schedule says, end what is over, start what should run."""
        due = [(blow.at, order, blow) for order, blow in enumerate(blows)]
        order = itertools.count(len(due))
        heapq.heapify(due)

        def is_over() -> bool:
            self._tend()
            assert self.writers.is_running(), f"the writers ended: {self.writers.log()[-3000:]}"
            if due and due[0][0] <= self._passed():
                self._do(heapq.heappop(due)[2], due, order)
            return not due and self._passed() >= self.seconds

        wait_for(is_over, self.seconds + SLOWNESS, lambda: f"all of the schedule is done, with {len(due)} left")

    def _do(self, blow, due: list, order) -> None:
        """A blow, whose end is due later, or such an end."""
        if callable(blow):
            blow()
            return
        self.note(str(blow))
        end = self.blows.strike(blow)
        if end:
            heapq.heappush(due, (self._passed() + blow.lasts, next(order), end))

    def _passed(self) -> float:
        return time.monotonic() - self.began

    def _tend(self) -> None:
        for name, until in self.sleeps.items():
            # Away for some seconds, there for a few.
            if time.monotonic() >= until:
                actor = self.subscribers[name]
                actor.wanted = not actor.wanted
                if not actor.wanted:
                    actor.send(signal.SIGKILL)
                self.sleeps[name] = time.monotonic() + (self.chance.uniform(1, 3) if actor.wanted else self.chance.uniform(2, 6))
        for actor in (*self.relays, *self.subscribers.values()):
            actor.tend()
            assert not actor.faults, actor.faults[0]

    def wake_backends(self) -> None:
        """Let all processes of the server go on that stand still."""
        for pid in child_pids(self.server.process.pid):
            signal_backend(pid, signal.SIGCONT)

    def _make_peace(self) -> None:
        """No more blows; writers end, all that is committed is delivered, and the outbox lets go of it."""
        self.note("peace")
        self.sleeps.clear()
        for name in sorted(self.paused):
            self.blows.resume(name)
        self.wake_backends()
        for actor in (*self.relays, *self.subscribers.values()):
            actor.send(signal.SIGCONT)
            actor.wanted = True
        status = self.writers.stop(60)
        assert status == 0, f"the writers failed: {self.writers.log()[-3000:]}"
        with self.source.connect() as session:
            self._end_prepared(session)
            xid = self._write_last(session)
        self.note("written all")
        wait_for(lambda: not self._without(xid), PEACE, lambda: f"the last transaction comes to {self._without(xid)}", step=0.1)
        self.note("all have everything")
        wait_for(self._is_empty, 60, lambda: "the outbox is emptied: " + str(self.source.execute(
            "select slot, current, generation from paysync.ring order by 1")) + str(self.source.execute("select * from paysync.acknowledged()")))
        self.note("the outbox is empty")
        for actor in (*self.subscribers.values(), *self.relays):
            actor.end()
            self.faults += actor.faults

    def _without(self, xid: int) -> list:
        """Who was not handed a transaction yet."""
        self._tend()
        missing = [name for name, subscriber in self.subscribers.items() if name not in self.done and not subscriber.has(xid)]
        self.done.update(self.subscribers.keys() - set(missing))
        return missing

    def _is_empty(self) -> bool:
        self._tend()
        self.source.execute("select paysync.maintain()")  # in silence a relay does it once a minute
        return self.source.value("select count(*) from paysync.ring where not current and generation > 0") == 0

    def _end_prepared(self, session) -> None:
        for (gid,) in session.execute("select gid from pg_prepared_xacts where database = 'source' order by gid").fetchall():
            session.execute(f"{self.chance.choice(['commit', 'rollback'])} prepared '{gid}'")

    def _write_last(self, session) -> int:
        """A transaction with a change in every channel, behind all others."""
        with session.transaction():
            session.execute("insert into transfers values (0, 1, 0)")
            session.execute("insert into lines values (0, 0, 'last')")
            session.execute("insert into bulk values (-1, 0, 0, '')")
            session.execute("update accounts set version = version + 1 where id = 1")
            session.execute("select paysync.emit('events', 'last', '{}')")
            counts = {channel: 1 for channel in tables.CHANNELS}
            session.execute(tables.JOURNAL, (0, "last", [], json.dumps(counts)))
            return int(session.execute("select pg_current_xact_id()::text").fetchone()[0])

    def _skipped(self, session) -> dict:
        """Subscriber to the numbers that were taken out of its stream."""
        found = {}
        if "skip" in self.calls:
            for name, position in session.execute("select subscriber, position from paysync.parked").fetchall():
                found.setdefault(name, set()).add(int(position.split(":")[1]))
        return found

    def _judge(self) -> dict:
        told = json.loads(self.writers.out().splitlines()[-1])
        logs = [subscriber.log() for subscriber in self.subscribers.values()]
        with self.source.connect() as session:
            # As text, as the stream has it.
            psycopg.types.json.set_json_loads(lambda text: text if isinstance(text, str) else bytes(text).decode(), session)
            committed = tables.read_committed(session)
            skipped = self._skipped(session)
            contents = {table: tables.read_table(session, table) for table in tables.TABLES}
        for log in logs:
            log.skipped = frozenset(skipped.get(log.name, ()))
            if log.name in self.replayed and self.subscribers[log.name].part.options.get("obeys"):
                log.rewinds = len(log.deliveries)  # again with each session until it has acknowledged
        ids = {transaction.id for transaction in committed}
        missing = set(told["durable"]) - ids
        self.faults += [f"{len(missing)} transactions are gone from the source though it said they were durable"] if missing else []
        self.faults += check(committed, logs)
        copy = rebuild.Copy()
        copy.tables["accounts"] = {str(id): {"id": str(id), "version": "0", "balance": "0"} for id in range(1, tables.ACCOUNTS + 1)}
        for change in ledger.read_rows(self.subscribers["auditor"].ledger):
            copy.apply(*change)
        self.faults += copy.faults
        for table, rows in contents.items():
            self.faults += copy.differences(table, rows)
        if self.faults:
            raise Failure(f"{len(self.faults)} faults:\n  " + "\n  ".join(fault[:600] for fault in self.faults[:12]))
        return {"committed": len(committed), "taken back by crashes": len(set(told["answered"]) - ids), "deliveries": sum(len(log.deliveries) for log in logs),
                "rewinds": {log.name: rewinds(log) for log in logs}, "kinds": told["kinds"],
                "seconds": self.phases(), "segments": self.source.value("select max(generation) from paysync.ring")}


def rewinds(log) -> int:
    """How often a subscriber was taken back."""
    numbers = [delivery.number for delivery in log.deliveries]
    return sum(later <= before for before, later in zip(numbers, numbers[1:]))


def target_schema() -> str:
    """The target's tables."""
    from .target import SCHEMA
    return SCHEMA
