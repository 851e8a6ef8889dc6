"""One transaction of 5 million rows to `paysync tail` and to the Python client: memory above idle of everything that it passes."""

import subprocess
import sys
import time
from pathlib import Path

import workspace
from harness import Postgres, Relay, wait_for
from harness.program import Program
from measure import MIB, Peaks, scaled
from workloads import prepare

ROWS = 5_000_000
# One statement keeps an event of 12 bytes a row for its triggers, which is the server's own and not what is measured.
ROWS_A_STATEMENT = 50_000
NOTE = 560
FIRST = "insert into payments values (0, 1, 'first', null)"


def backends(database) -> dict:
    """The relay's backends, by name."""
    return {f"backend of the relay ({application.removeprefix('paysync-relay ')})": pid for application, pid in database.execute(
        "select application_name, pid from pg_stat_activity where datname = current_database() and application_name like 'paysync-relay%' order by 1")}


def write(session, rows: int) -> None:
    """The transaction."""
    with session.transaction():
        for first in range(1, rows + 1, ROWS_A_STATEMENT):
            session.execute("insert into payments select n, 1, 'large', repeat(md5(n::text), %s / 32) from generate_series(%s::bigint, %s) as n",
                            (NOTE, first, min(rows, first + ROWS_A_STATEMENT - 1)))


def measure() -> str:
    """The table."""
    rows = scaled(ROWS, 10_000)
    folder = workspace.base() / "large"
    with Postgres(folder, settings={"max_wal_size": "4GB"}) as server:
        database = server.create_database("large")
        prepare(database, ["lines", "python"])
        with Relay(database, folder) as relay, database.connect() as session:
            tail = Program(folder, "tail", ["sh", "-c", 'exec "$0" "$@" | wc -c', workspace.BUILD / "bin" / "paysync", "tail", "--relay",
                                            relay.endpoint, "--subscriber", "lines", "--count", "2"])
            python = Program(folder, "python", [sys.executable, Path(__file__).parent / "take_large.py", relay.endpoint, "python", "2"])
            tail.launch()
            python.launch()
            try:
                session.execute(FIRST)
                wait_for(lambda: database.value("select min(number) from paysync.acknowledged()") == 1, 60, "both have the first transaction")
                [tail_pid] = subprocess.run(["pgrep", "-P", str(tail.process.pid), "-x", "paysync"], check=False, capture_output=True,
                                            text=True).stdout.split() or [tail.process.pid]
                pids = {"relay": relay.process.pid, **backends(database), "backend of the writer": session.info.backend_pid,
                        "paysync tail": int(tail_pid), "Python client": python.process.pid}
                with Peaks(pids) as peaks:
                    began = time.monotonic()
                    write(session, rows)
                    written = time.monotonic()
                    wait_for(lambda: not tail.is_running() and not python.is_running(), 3600, "both have the large transaction")
                    arrived = time.monotonic()
                counted = tail.out().strip(), python.out().strip()
            finally:
                tail.kill()
                python.kill()
        size = database.value("select sum(bytes) from paysync.all_ticks")
    assert counted[1].endswith(f" {rows}"), f"the Python client took {counted[1]} rows of {rows}: {python.log()[-2000:]}"
    lines = "".join(f"| {name} | {above / MIB:.1f} |\n" for name, above in peaks.above_idle().items())
    return (f"## A transaction of {rows:,} rows\n\n{size / MIB:,.0f} MiB of changes; written in {written - began:.0f} s, there {arrived - written:.0f} s "
            f"after COMMIT; `tail` printed {int(counted[0]) / MIB:,.0f} MiB.\n\n| process | private memory above idle, MiB |\n| --- | --- |\n{lines}")
