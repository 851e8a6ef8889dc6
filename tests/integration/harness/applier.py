"""run() of the Python client, exactly once, in a process that is killed and comes back.

Usage: applier.py RELAY NAME DSN. Applies the stream of Writers' tables into the database of the DSN, in a child process; prints
"pid N" for each child, and starts another one whenever a child was killed. A child that ends otherwise ends it, with status 1.
"""

import ctypes
import os
import random
import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "lib"),
                str(Path(__file__).parents[3] / "clients" / "python")]

import psycopg  # noqa: E402

import paysync  # noqa: E402
from harness.faults import kill  # noqa: E402
from harness.program import Program  # noqa: E402
from harness.waiting import wait_for  # noqa: E402

PR_SET_PDEATHSIG = 1
FINGERPRINT = "select count(*), md5(string_agg(t::text, ' ' order by t::text)) from {} as t"


class Applier(Program):
    """This file as a program: follows a relay as subscriber "mirror" into a database made ready by `prepare_target`."""

    def __init__(self, folder: Path, endpoint: str, target):
        super().__init__(folder, "applier", [sys.executable, __file__, endpoint, "mirror", target.conninfo()])
        self.target = target

    def child(self) -> int:
        """The process that applies now."""
        return int(self.wait_for_out(lambda text: text.endswith("\n"), 30, "a child runs").split()[-1])

    def strike(self) -> None:
        """SIGKILL to the process that applies; returns when the next one runs."""
        victim = self.child()
        kill(victim)
        wait_for(lambda: self.child() != victim, 30, lambda: f"the next process runs: {self.log()[-2000:]}")

    def applied(self) -> int:
        """How many transactions the target has."""
        return self.target.value("select count(*) from applied")

    def wait_for_more(self, count: int, deadline: float = 60.0) -> None:
        """Wait until so many more transactions are applied."""
        goal = self.applied() + count

        def look() -> bool:
            assert self.is_running(), f"the applier ended: {self.log()[-3000:]}"
            return self.applied() >= goal

        wait_for(look, deadline, lambda: f"{count} more transactions are applied; {self.log()[-2000:]}")

    def __enter__(self) -> "Applier":
        self.launch()
        return self

    def __exit__(self, *_) -> None:
        self.kill()


def prepare_target(database) -> None:
    """Make the target's tables, without any key: what is applied twice is there twice."""
    database.execute("create table entries (id bigint, writer int, amount bigint)")
    database.execute("create table totals (writer int, amount bigint)")
    database.execute("create table applied (step bigserial, number bigint, position text)")


def target_is_source(target, source) -> bool:
    """Whether the target's rows are those of the source, each once."""
    return all(target.execute(FINGERPRINT.format(table)) == source.execute(FINGERPRINT.format(table))
               for table in ("entries", "totals"))


def assert_applied_in_order(target) -> None:
    """The target has every number from the first on, each once, in order, and its stored position is that of the last."""
    numbers = [row[0] for row in target.execute("select number from applied order by step")]
    wrong = [number for number, expected in zip(numbers, range(numbers[0], numbers[0] + len(numbers))) if number != expected]
    assert not wrong, f"out of order, twice or missing from number {wrong[0]} on"
    last = target.value("select position from applied order by step desc limit 1")
    stored = target.value("select position from paysync_position where subscriber = 'mirror'")
    assert stored.split(":")[1] == last.split(":")[1]


def apply(cursor, transaction) -> None:
    """Do to the target what the transaction did to the source, as plainly as possible."""
    for change in transaction.changes:
        if change.table == "entries":
            assert change.op == "insert"
            cursor.execute("insert into entries values (%(id)s, %(writer)s, %(amount)s)", change.new)
        elif change.op == "insert":
            cursor.execute("insert into totals values (%(writer)s, %(amount)s)", change.new)
        else:
            cursor.execute("update totals set amount = %(amount)s where writer = %(writer)s", change.new)
            assert cursor.rowcount == 1
    cursor.execute("insert into applied (number, position) values (%s, %s)", (transaction.number, str(transaction.position)))


def run_child(relay: str, name: str, dsn: str) -> None:
    """Apply until killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with psycopg.connect(dsn, autocommit=True) as connection:
        paysync.run(connection, relay=relay, subscriber=name, apply=apply, group=random.choice((1, 1, 5)))


def main(*arguments: str) -> int:
    """Fork a child, wait for its end, and again. A fork spares the hundredth process the import of everything."""
    while True:
        pid = os.fork()
        if pid == 0:
            random.seed()
            run_child(*arguments)
        print(f"pid {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
