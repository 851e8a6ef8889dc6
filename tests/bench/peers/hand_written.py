"""An outbox as a team would write it: a PL/pgSQL trigger, the row as jsonb, read by key or by LISTEN and SELECT."""

import contextlib
from pathlib import Path

from measure import Noting

from .base import PROGRAMS, Consumer, Peer, run_counted

OUTBOX = [
    "create table outbox (id bigserial primary key, at timestamptz default now(), op text, row jsonb)",
    """create function to_outbox() returns trigger language plpgsql as
       $$ begin insert into outbox (op, row) values (tg_op, to_jsonb(new)); return null; end $$"""]
NOTIFYING = OUTBOX[:1] + [
    """create function to_outbox() returns trigger language plpgsql as
       $$ begin insert into outbox (op, row) values (tg_op, to_jsonb(new)); perform pg_notify('outbox', ''); return null; end $$"""]
TRIGGER = "create trigger to_outbox after insert or update on {0} for each row execute function to_outbox()"


class HandWritten(Peer):
    """Without anybody who is told; read in pages by its key, and nothing is deleted."""

    name = "PL/pgSQL outbox, to_jsonb"
    statements = OUTBOX

    def prepare(self, database, tables: tuple = ("payments",)) -> None:
        for statement in (*self.statements, *(TRIGGER.format(table) for table in tables)):
            database.execute(statement)

    def reset(self, database) -> None:
        database.execute("truncate outbox")

    def drain(self, database, folder: Path, name: str, changes: int) -> float:
        return run_counted(folder, "follow_sql", database.conninfo(), "pages", changes)


class Notifying(HandWritten):
    """With pg_notify, and a listener that selects what is new."""

    name = "PL/pgSQL outbox, pg_notify, listener"
    statements = NOTIFYING

    def followed(self, database, folder: Path):
        return Noting(folder, "listener", [PROGRAMS / "follow_sql", database.conninfo(), "listen"])

    @contextlib.contextmanager
    def consumer(self, database, folder: Path):
        with self.followed(database, folder) as listener:
            yield Consumer(programs=(listener,))
