"""Logical replication slots, read by pg_recvlogical into nothing: the server's own plugin, and two that Debian packages."""

import contextlib
import time
from pathlib import Path

import workspace
from harness import wait_for
from harness.program import Program
from measure import Noting

from .base import PROGRAMS, Consumer, Peer

PUBLICATION = "bench"


class Slot(Peer):
    """A plugin with its options; a slot for each consumer."""

    wal_level = "logical"

    def __init__(self, name: str, plugin: str, options: tuple = (), package: str = ""):
        self.name = f"{name} slot, pg_recvlogical"
        self.plugin = plugin
        self.options = options
        self.package = package
        self.module = f"{plugin}.so"
        self.end = ""  # of the backlog, in the log

    def version(self) -> str:
        return super().version() or "the server's own"

    def prepare(self, database, tables: tuple = ("payments",)) -> None:
        database.execute(f"create publication {PUBLICATION} for table {', '.join(tables)}")

    def claim(self, database, name: str) -> None:
        database.execute("select pg_create_logical_replication_slot(%s, %s)", (self.slot(database, name), self.plugin))

    def release(self, database, name: str) -> None:
        """Drop the slot of a consumer that has ended, once its walsender has noticed."""
        slot = self.slot(database, name)
        wait_for(lambda: not database.value("select active from pg_replication_slots where slot_name = %s", (slot,)), 60, "the slot is free")
        database.execute("select pg_drop_replication_slot(%s)", (slot,))

    def slot(self, database, name: str) -> str:
        """Slots are the whole server's."""
        return f"{database.name}_{self.plugin}_{name}"

    def receiver(self, database, folder: Path, name: str, *words) -> Program:
        """pg_recvlogical on a slot."""
        options = [word for option in self.options for word in ("-o", option)]
        return Program(folder, f"recvlogical_{self.plugin}", [
            workspace.server_program("pg_recvlogical"), "-d", database.conninfo(), "--slot", self.slot(database, name), "--start",
            "--no-loop", "--fsync-interval=0", "-f", "/dev/null", *options, *words])

    @contextlib.contextmanager
    def consumer(self, database, folder: Path):
        self.claim(database, "reader")
        try:
            receiver = self.receiver(database, folder, "reader")
            receiver.launch()
            try:
                wait_for(lambda: database.value("select count(*) = 1 from pg_stat_replication where state = 'streaming'"), 30,
                         lambda: f"the slot streams: {receiver.log()[-1000:]}")
                yield Consumer(sent_everything(), (receiver,))
            finally:
                receiver.kill()
        finally:
            self.release(database, "reader")

    def settle(self, database) -> None:
        self.end = database.value("select pg_current_wal_insert_lsn()::text")

    def drain(self, database, folder: Path, name: str, changes: int) -> float:
        receiver = self.receiver(database, folder, name, "--endpos", self.end)
        began = time.monotonic()
        receiver.launch()
        try:
            status = receiver.process.wait(3600)
        finally:
            receiver.kill()
        took = time.monotonic() - began
        assert status == 0, f"pg_recvlogical ended with status {status}: {receiver.log()[-2000:]}"
        self.release(database, name)
        return took


class Pgoutput(Slot):
    """The server's own plugin, as subscriptions use it."""

    def __init__(self):
        super().__init__("pgoutput", "pgoutput", ("proto_version=1", f"publication_names={PUBLICATION}"))

    @property
    def follower(self) -> str:
        return "pgoutput slot, C++ reader"

    @contextlib.contextmanager
    def followed(self, database, folder: Path):
        self.claim(database, "follower")
        try:
            with Noting(folder, "follow_wal", [PROGRAMS / "follow_wal", database.conninfo(), self.slot(database, "follower"), PUBLICATION]) as noting:
                yield noting
        finally:
            self.release(database, "follower")


def wal2json() -> Slot:
    """With its line a change format, the quicker one."""
    return Slot("wal2json", "wal2json", ("format-version=2",), "postgresql-{major}-wal2json")


def decoderbufs() -> Slot:
    """Debezium's protobuf plugin."""
    return Slot("decoderbufs", "decoderbufs", (), "postgresql-{major}-decoderbufs")


def sent_everything():
    """A `caught_up`: the walsender is past where the log ended at the first question; then the next question is a first one again."""
    goal = []

    def caught_up(session) -> bool:
        if not goal:
            goal.append(session.execute("select pg_current_wal_insert_lsn()::text").fetchone()[0])
        [is_sent] = session.execute("select coalesce(bool_and(sent_lsn >= %s::pg_lsn), true) from pg_stat_replication", goal).fetchone()
        if is_sent:
            goal.clear()
        return is_sent

    return caught_up
