"""A system that captures changes of tables: how it is set up, its consumer, and how a backlog is drained from it."""

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import workspace
from harness.program import Program

PROGRAMS = workspace.BUILD / "bench" / "bin"


def major() -> str:
    """The server's major version."""
    return workspace.pg_config("--version").split()[1].split(".")[0]


def package_version(package: str) -> str | None:
    """The version of a Debian package; None where it is not installed."""
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", package], check=False, capture_output=True, text=True)
    return asked.stdout[3:] if asked.stdout.startswith("ii ") else None


@dataclass
class Consumer:
    """One that runs: `caught_up(session)` asks the database whether it has taken everything that was committed before the first of
    these questions; `programs` are its processes."""

    caught_up: Callable[[object], bool] = lambda session: True
    programs: tuple = ()


def yes(statement: str, parameters: tuple = ()) -> Callable[[object], bool]:
    """A `caught_up` by a statement that says true or false."""
    return lambda session: session.execute(statement, parameters).fetchone()[0]


class Peer:
    """A system. This one captures nothing: the baseline. An object serves one database at a time."""

    name = "no capture"
    # The Debian package that brings it, or "", and a file of it in the server's library folder.
    package = ""
    module = ""
    # Whether the server must write its log for logical decoding, which costs writers something too.
    wal_level = "replica"

    def missing(self) -> str | None:
        """Why it cannot be measured here, for its row of the table; None where it can."""
        if self.module and not os.path.exists(Path(workspace.pg_config("--pkglibdir")) / self.module):
            return f"not measured: package {self.package_name()} is not installed"
        return None

    def package_name(self) -> str:
        """The package, for the server's major version."""
        return self.package.format(major=major())

    def version(self) -> str:
        """Its version, for the table's foot."""
        return (self.package and package_version(self.package_name())) or ""

    def prepare(self, database, tables: tuple = ("payments",)) -> None:
        """Have changes of these tables captured. Each has a primary key."""

    def reset(self, database) -> None:
        """Forget what was captured, between two slices."""

    @contextlib.contextmanager
    def consumer(self, database, folder: Path):
        """A Consumer that runs beside writers, until the block ends."""
        yield Consumer()

    def claim(self, database, name: str) -> None:
        """From now on everything is kept for a consumer of that name, which drains it later."""

    @contextlib.contextmanager
    def serving(self, database, folder: Path):
        """Whatever of it runs whether a consumer does or not (a relay, a ticker), while the block lasts."""
        yield

    def settle(self, database) -> None:
        """After the backlog was written, within serving(): returns when all of it can be drained."""

    def drain(self, database, folder: Path, name: str, changes: int) -> float:
        """Have the consumer of that name take so many changes, within serving(); seconds that it took, its start included."""
        raise NotImplementedError(self.name)

    @property
    def follower(self) -> str:
        """Its name where its consumer is the one of followed()."""
        return self.name

    def followed(self, database, folder: Path):
        """A context manager that gives a Noting: a consumer that tells when each payment came."""
        raise NotImplementedError(self.name)


def run_counted(folder: Path, program: str, *words, deadline: float = 3600) -> float:
    """Run a program that prints "took COUNT NANOSECONDS" at its end; the seconds."""
    counting = Program(folder, f"{program}_drain", [PROGRAMS / program, *words])
    counting.launch()
    try:
        text = counting.wait_for_out(lambda out: "took " in out and out.endswith("\n"), deadline, "it has taken everything")
    finally:
        counting.kill()
    return int(text.split("took ")[1].split()[1]) / 1e9
