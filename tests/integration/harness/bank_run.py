"""The bank from beginning to end: workload, an open transaction, a relay that is killed again and again, a mirror that must be equal."""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import bank
from .program import Program
from .relay import Relay
from .waiting import wait_for

SUBSCRIBER = "mirror"


@dataclass
class BankRun:
    """What to run: `transactions` over all clients, and how often the relay is killed on the way; `report` is called about once a
    second with (committed, mirrored, seconds behind, times killed)."""

    database: object
    folder: Path
    transactions: int
    clients: int = 8
    kills: int = 5
    seed: int | None = None
    report: object = field(default=lambda *_: None)

    def run(self, deadline: float = 300.0) -> int:
        """Run it; returns the number of mirrored transactions. AssertionError when the mirror is not the source."""
        bank.initialize(self.database)
        self.database.execute("select paysync.create_subscriber(%s)", (SUBSCRIBER,))
        with Relay(self.database, self.folder) as relay:
            subscriber = Program(self.folder, "subscriber", [
                sys.executable, Path(__file__).parent / "bank_subscriber.py", relay.endpoint, SUBSCRIBER, self.database.conninfo()])
            subscriber.launch()
            try:
                subscriber.wait_for_out(lambda text: "ready" in text, 60, "the copy of the source is taken")
                self._work(relay, subscriber)
                wait_for(lambda: not subscriber.is_running(), deadline, lambda: f"the mirror has everything: {last_fact(subscriber)}")
                return self._verdict(subscriber)
            finally:
                subscriber.kill()

    def _work(self, relay: Relay, subscriber: Program) -> None:
        log = self.folder / "pgbench.log"
        with bank.begin_last(self.database) as last, self.database.connect() as watcher:
            workload = bank.run_workload(self.database, self.transactions, self.clients, log, self.seed)
            try:
                killed = 0
                told = 0.0
                while workload.poll() is None:
                    committed = watcher.execute("select count(*) from pgbench_history").fetchone()[0]
                    assert subscriber.is_running(), f"the subscriber ended: {subscriber.log()[-2000:]}{subscriber.out()[-500:]}"
                    # Spread over the workload, none at its very end.
                    if killed < self.kills and committed >= self.transactions * (killed + 1) // (self.kills + 1):
                        relay.restart()
                        killed += 1
                    if time.monotonic() - told >= 1:
                        told = time.monotonic()
                        fact = last_fact(subscriber)
                        self.report(committed, fact.get("transactions", 0), fact.get("seconds_behind"), killed)
                    wait_for_exit(workload, 0.1)
                assert workload.returncode == 0, f"pgbench failed: {log.read_text()[-2000:]}"
                assert killed == self.kills, f"the workload was over after {killed} of {self.kills} kills"
            finally:
                workload.kill()
                workload.wait()
            last.commit()

    def _verdict(self, subscriber: Program) -> int:
        fact = last_fact(subscriber)
        assert "differences" in fact, f"the subscriber failed: {subscriber.log()[-4000:]}"
        assert not fact["differences"], f"the mirror is not the source: {fact['differences']}"
        expected = self.transactions + 1
        assert fact["transactions"] == expected, f"{fact['transactions']} transactions came, {expected} were committed"
        return fact["transactions"]


def wait_for_exit(process, seconds: float) -> None:
    """Wait for a process's end for a while, whether it comes or not."""
    try:
        wait_for(lambda: process.poll() is not None, seconds)
    except AssertionError:
        pass


def last_fact(subscriber: Program) -> dict:
    """The last whole line the subscriber printed."""
    lines = subscriber.out().split("\n")[:-1]
    return json.loads(lines[-1]) if lines else {}
