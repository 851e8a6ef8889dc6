"""PgQ: its C trigger logutriga, the ticker pgqd, and a consumer that takes batches."""

import contextlib
from pathlib import Path

import psycopg

import workspace
from harness import wait_for
from harness.program import Program

from .base import PROGRAMS, Consumer, Peer, package_version, run_counted, yes

TICKER = "/usr/bin/pgqd"
CONFIGURATION = """[pgqd]
base_connstr = host={host} port={port} user=postgres
initial_database = {database}
database_list = {database}
logfile = {folder}/pgqd_ticker.log
pidfile = {folder}/pgqd.pid
syslog = 0
"""
# Whether a consumer has finished a tick behind the last event there is.
CAUGHT_UP = """
select s.sub_batch is null and t.tick_event_seq >= pgq.seq_getval(q.queue_event_seq)
from pgq.queue as q join pgq.subscription as s on s.sub_queue = q.queue_id join pgq.consumer as c on c.co_id = s.sub_consumer
join pgq.tick as t on t.tick_queue = q.queue_id and t.tick_id = s.sub_last_tick where q.queue_name = 'bench' and c.co_name = %s"""


class PgQ(Peer):
    """Capture alone."""

    name = "PgQ logutriga"
    package = "postgresql-{major}-pgq3"
    module = "pgq_triggers.so"

    def prepare(self, database, tables: tuple = ("payments",)) -> None:
        database.execute("create extension pgq")
        database.execute("select pgq.create_queue('bench')")
        for table in tables:
            database.execute(f"create trigger to_queue after insert or update on {table} for each row execute function pgq.logutriga('bench')")

    def reset(self, database) -> None:
        # What follows is its queue anew: triggers know it by name.
        with database.connect(autocommit=False) as session:
            session.execute("select pgq.drop_queue('bench', true)")
            session.execute("select pgq.create_queue('bench')")


class PgQWithConsumer(PgQ):
    """With pgqd as it is shipped, a tick a second, and a consumer."""

    name = "PgQ logutriga, pgqd, consumer"

    def missing(self) -> str | None:
        if not Path(TICKER).exists():
            return "not measured: package pgqd is not installed"
        return super().missing()

    def version(self) -> str:
        return f"{super().version()}, pgqd {package_version('pgqd')}"

    @contextlib.contextmanager
    def serving(self, database, folder: Path):
        where = psycopg.conninfo.conninfo_to_dict(database.conninfo())
        ini = folder / "pgqd.ini"
        ini.write_text(CONFIGURATION.format(host=where["host"], port=where["port"], database=database.name, folder=folder))
        workspace.give_to_server(ini)
        ticker = Program(folder, "pgqd", [TICKER, ini])
        ticker.launch()
        try:
            ticks = database.value("select max(tick_id) from pgq.tick")
            wait_for(lambda: database.value("select max(tick_id) from pgq.tick") != ticks or "tick" in ticker_log(folder), 30,
                     lambda: f"pgqd ticks: {ticker.log()[-1000:]}")
            yield ticker
        finally:
            ticker.kill()
            (folder / "pgqd.pid").unlink(missing_ok=True)

    @contextlib.contextmanager
    def consumer(self, database, folder: Path):
        self.claim(database, "reader")
        reading = Program(folder, "batches", [PROGRAMS / "follow_sql", database.conninfo(), "batches", "0", "bench", "reader"])
        with self.serving(database, folder) as ticker:
            reading.launch()
            try:
                reading.wait_for_out(lambda text: "ready\n" in text, 30, "it follows")
                yield Consumer(yes(CAUGHT_UP, ("reader",)), (ticker, reading))
            finally:
                reading.kill()

    def claim(self, database, name: str) -> None:
        database.execute("select pgq.register_consumer('bench', %s)", (name,))

    def settle(self, database) -> None:
        last = database.value("select pgq.force_tick('bench')")
        wait_for(lambda: database.value("select max(tick_id) from pgq.tick") > last, 60, "the last tick is made")

    def drain(self, database, folder: Path, name: str, changes: int) -> float:
        return run_counted(folder, "follow_sql", database.conninfo(), "batches", changes, "bench", name)


def ticker_log(folder: Path) -> str:
    """What pgqd wrote."""
    path = folder / "pgqd_ticker.log"
    return path.read_text() if path.exists() else ""
