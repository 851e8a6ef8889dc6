"""Who takes part: relays and subscribers that are started again whenever they should run and do not."""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import workspace
from harness.program import Program

from . import ledger, lines, target
from .history import Log
from .tables import CHANNELS

# Not sooner than this after its last start, in seconds.
PATIENCE = 0.3


class Actor:
    """A program that is wanted or not. `fine` are exit statuses that no fault explains and that are none; each life has its own
    output, since the last line of one that was killed may have no end."""

    def __init__(self, folder: Path, name: str, fine: tuple):
        self.folder = folder
        self.name = name
        self.fine = fine
        self.lives = []
        self.judged = []
        self.wanted = False
        self.started = 0.0
        self.asked_to_end = False
        self.faults = []

    def command(self) -> list:
        """What to run."""
        raise NotImplementedError

    def excuses(self, _log: str) -> bool:
        """Whether its last words make its end no fault."""
        return False

    def tend(self) -> None:
        """Start it if it should run and does not; an exit that nobody asked for and that is not fine is a fault."""
        program = self.lives[-1] if self.lives else None
        if program and program.is_running():
            return
        if program and program not in self.judged:
            self.judged.append(program)
            status = program.process.returncode
            # SIGTERM may come before there is a handler for it.
            excused = status == -signal.SIGTERM and self.asked_to_end or self.excuses(program.log())
            if status not in (*self.fine, -signal.SIGKILL) and not excused:
                self.faults.append(f"{self.name} ended with status {status}: {program.log()[-1500:]}")
        if self.wanted and time.monotonic() - self.started >= PATIENCE:
            self.started = time.monotonic()
            self.asked_to_end = False
            self.lives.append(Program(self.folder, f"{self.name}.{len(self.lives)}", self.command()))
            self.lives[-1].launch()

    def send(self, number: int) -> None:
        """A signal, if it runs."""
        if self.is_running():
            self.asked_to_end = self.asked_to_end or number == signal.SIGTERM
            os.kill(self.lives[-1].process.pid, number)

    def is_running(self) -> bool:
        """Whether it runs, or is stopped and would."""
        return bool(self.lives) and self.lives[-1].is_running()

    def end(self, deadline: float = 20.0) -> None:
        """SIGTERM and wait; it is not wanted any more."""
        self.wanted = False
        if self.is_running():
            self.send(signal.SIGCONT)
            self.asked_to_end = True
            self.lives[-1].stop(deadline)
        self.tend()

    def kill(self) -> None:
        """SIGKILL; it is not wanted any more."""
        self.wanted = False
        if self.lives:
            self.lives[-1].kill()


class FaultsRelay(Actor):
    """A relay, leading or standing by. Status 1 is that of one that was fenced or found no server."""

    def __init__(self, folder: Path, name: str, dsn: str, endpoint: str):
        super().__init__(folder, name, (0, 1))
        self.dsn = dsn
        self.endpoint = endpoint

    def command(self) -> list:
        return [workspace.BUILD / "bin" / "paysync-relay", "--dsn", self.dsn, "--bind", self.endpoint,
                "--http", ""]


@dataclass(frozen=True)
class Part:
    """What a subscriber is. Kind `own`, `database`, `target` (subscribe.py) or `tail`. `away`: it is down most of the time."""

    name: str
    kind: str
    channels: frozenset
    options: dict
    away: bool = False


PARTS = [
    Part("auditor", "own", CHANNELS, {"rows": True}),
    Part("ledger", "target", CHANNELS - {"bulk"}, {}),
    Part("counter", "database", frozenset({"accounts", "journal"}), {}),
    Part("printer", "tail", frozenset({"transfers", "lines", "bulk"}), {}),
    Part("sleeper", "database", CHANNELS, {}, away=True),
]
# Where the client takes transactions in parts; one of them goes back where an operator asks for it.
STREAMING_PARTS = [
    Part("streamer", "own", frozenset({"bulk", "accounts"}), {"streams": True}),
    Part("returner", "own", frozenset({"bulk", "lines"}), {"streams": True, "obeys": True}, away=True),
]


class FaultsSubscriber(Actor):
    """A subscriber of some part, and its log."""

    def __init__(self, folder: Path, part: Part, endpoints: list, target_database):
        # 1: its server died under it. 3 of a tail and 5: the relay holds that its last life is still there.
        super().__init__(folder, part.name, {"tail": (0,), "target": (0, 1, 5)}.get(part.kind, (0, 5)))
        self.part = part
        self.endpoints = ",".join(endpoints)
        self.database = target_database
        self.ledger = folder / f"{part.name}.sqlite"

    def command(self) -> list:
        if self.part.kind == "tail":
            return [workspace.BUILD / "bin" / "paysync", "tail", "--relay", self.endpoints, "--subscriber", self.name]
        memory = self.database.conninfo() if self.part.kind == "target" else self.ledger
        return [sys.executable, Path(__file__).parent / "subscribe.py", self.part.kind, memory, self.name, self.endpoints,
                json.dumps(self.part.options)]

    def excuses(self, log: str) -> bool:
        # A tail in the middle of a large line was taken back to before it, with acknowledgements that a relay had not written: the
        # line has no end, and comes again in its next life.
        return self.part.kind == "tail" and "was cut off in mid-line" in log

    def _outputs(self) -> list:
        return [life.out_path for life in self.lives]

    def has(self, xid: int) -> bool:
        """Whether it was handed a transaction."""
        if self.part.kind == "tail":
            return lines.has(self._outputs(), xid)
        return target.has(self.database, xid) if self.part.kind == "target" else ledger.has(self.ledger, xid)

    def log(self) -> Log:
        """All that it was handed."""
        log = Log(self.name, self.part.channels, self.part.kind in ("own", "target"))
        if self.part.kind == "tail":
            return lines.read_log(self._outputs(), log)
        return target.read_log(self.database, log) if self.part.kind == "target" else ledger.read_log(self.ledger, log)
