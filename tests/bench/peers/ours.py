"""paysync: its triggers alone, and with a relay and a C++ subscriber."""

import contextlib
from pathlib import Path

from harness import Relay, wait_for
from harness.program import Program
from measure import Readers

from .base import PROGRAMS, Consumer, Peer, run_counted, yes

# Everything committed has a number, and the number is acknowledged.
CAUGHT_UP = """select (select transactions from paysync.unticked()) = 0
and (select min(number) from paysync.acknowledged()) >= paysync.head_number()"""


class Paysync(Peer):
    """Capture for a subscriber that is away, without a relay."""

    name = "paysync"

    def version(self) -> str:
        return "this tree"

    def prepare(self, database, tables: tuple = ("payments",)) -> None:
        database.execute("create extension paysync")
        for table in tables:
            database.execute("select paysync.register(%s)", (table,))
        database.execute("select paysync.create_subscriber('reader0')")

    def reset(self, database) -> None:
        # Without a subscriber nothing is kept.
        database.execute("select paysync.drop_subscriber('reader0')")
        database.execute("select paysync.maintain()")
        database.execute("select paysync.create_subscriber('reader0')")


class PaysyncWithReader(Paysync):
    """With a relay, and a subscriber that takes everything and acknowledges it."""

    name = "paysync, relay, subscriber"
    relay = None

    @contextlib.contextmanager
    def serving(self, database, folder: Path):
        with Relay(database, folder, name=f"relay_{database.name}") as self.relay:
            yield self.relay

    @contextlib.contextmanager
    def consumer(self, database, folder: Path):
        with self.serving(database, folder) as relay:
            drainer = Program(folder, "drainer", [PROGRAMS / "drainer", relay.endpoint, "reader0", "0"])
            drainer.launch()
            try:
                drainer.wait_for_out(lambda text: "ready\n" in text, 30, "it has a session")
                yield Consumer(yes(CAUGHT_UP), (relay, drainer))
            finally:
                drainer.kill()

    def claim(self, database, name: str) -> None:
        database.execute("select paysync.create_subscriber(%s)", (name,))

    def settle(self, database) -> None:
        wait_for(lambda: database.value("select transactions = 0 from paysync.unticked()"), 600, "everything has a number")

    def drain(self, database, folder: Path, name: str, changes: int) -> float:
        return run_counted(folder, "drainer", self.relay.endpoint, name, changes)

    @contextlib.contextmanager
    def followed(self, database, folder: Path):
        with self.serving(database, folder) as relay, Readers(folder, relay.endpoint, "reader", 1) as readers:
            yield readers
