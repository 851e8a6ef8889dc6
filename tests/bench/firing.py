"""What the server takes to fire a trigger that does nothing: row triggers, statement triggers that read their transition tables, and
a WHEN clause. Instructions a row of bulk statements and of single-row ones, and what 200,000 rows keep in memory and on disk."""

import shutil

import workspace
from harness import wait_for
from instructions import LONG, SHORT, count_text
from measure import scaled
from workloads import PAYMENTS, insert_payments

FEW, ROWS, KEPT_ROWS = 2_000, 20_000, 200_000
UPDATE = "update payments set status = 'settled', updated_at = now()"
FUNCTIONS = [
    "create function bench_nothing() returns trigger language c as '{0}'",
    "create function bench_read_all() returns trigger language c as '{0}'",
    "create function bench_not_queued(record) returns boolean language c as '{0}'",
]
ROW = "create trigger a_row after insert or update or delete on payments for each row {} execute function bench_nothing()"
TABLES = {"insert": "new table as n", "update": "old table as o new table as n", "delete": "old table as o"}
WHEN = "create trigger a_{0} after {0} on payments for each row when ({1}) execute function bench_nothing()"
SIDES = {
    "no trigger": [],
    "row trigger": [ROW.format("")],
    "row trigger, WHEN (new.id > 0)": [WHEN.format(event, "new.id > 0") for event in ("insert", "update")],
    "statement trigger, transition tables": [
        f"create trigger a_{event} after {event} on payments referencing {tables} for each statement execute function bench_read_all()"
        for event, tables in TABLES.items()],
    "row trigger, WHEN (false)": [WHEN.format(event, "new.id < 0") for event in ("insert", "update")],
    "WHEN that calls with the whole row, never queued": [WHEN.format("insert", "bench_not_queued(new.*)"),
                                                         WHEN.format("update", "bench_not_queued(old.*) or bench_not_queued(new.*)")],
}
# Fires after the others, by its name, with the memory of the transaction as it is then.
NOTE_MEMORY = [
    "create table noted (bytes bigint)",
    """create function note_memory() returns trigger language plpgsql as $$ begin
       insert into noted select sum(total_bytes) from pg_backend_memory_contexts; return null; end $$""",
    "create trigger z_note after insert or update on payments for each statement execute function note_memory()",
]


def rows_script(rows: int, update: bool) -> str:
    """Bulk statements, one a line, on an empty table."""
    insert = " ".join(insert_payments(1, rows).split())
    return f"truncate payments\n{insert}\n" + (f"{UPDATE}\n" if update else "")


def singles_script(first: int, rows: int, update: bool) -> str:
    """As many single-row statements."""
    lines = [" ".join(insert_payments(i, i).split()) for i in range(first, first + rows)]
    return "\n".join(lines + [f"{UPDATE} where id = {i}" for i in range(first, first + rows) if update]) + "\n"


def instructions_of(server, dbname: str) -> list:
    """Instructions of a row of a bulk INSERT and UPDATE, and of a single-row INSERT and UPDATE."""
    def a_row(script, few: int, many: int) -> tuple:
        insert, both = ((count_text(server, dbname, script(many, update)) - count_text(server, dbname, script(few, update))) / (many - few)
                        for update in (False, True))
        return insert, both - insert
    # Caches on disk are filled by a run that is not counted; each count has ids of its own.
    ids = iter(range(10**6, 10**9, 10**6))
    count_text(server, dbname, rows_script(FEW, True))
    bulk = a_row(rows_script, FEW, FEW + ROWS)
    count_text(server, dbname, "truncate payments\n" + singles_script(next(ids), SHORT, True))
    return [*bulk, *a_row(lambda rows, update: singles_script(next(ids), rows, update), SHORT, LONG)]


def kept_by(database, rows: int, work_mem: str) -> tuple:
    """Bytes of memory, and of temporary files, when the triggers of a statement fire: INSERT, UPDATE."""
    database.execute("truncate payments, noted")
    temporary = []
    for statement in (insert_payments(1, rows), UPDATE):
        before = database.value("select temp_bytes from pg_stat_database where datname = current_database()")
        with database.connect() as session:
            session.execute(f"set work_mem = '{work_mem}'")
            session.execute(statement)
            pid = session.info.backend_pid
        wait_for(lambda pid=pid: pid not in database.server.backends(), 60, "the session has ended and has told what it used")
        temporary.append(database.value("select temp_bytes from pg_stat_database where datname = current_database()") - before)
    return [row[0] for row in database.execute("select bytes from noted order by ctid")], temporary


def prepare(server, side: str, dbname: str, noting: bool):
    """A database with the table and the side's triggers."""
    library = server.folder / "nothing.so"
    if not library.exists():
        shutil.copy(workspace.BUILD / "bench" / "lib" / "nothing.so", library)
    database = server.create_database(dbname)
    functions = [statement.format(library) for statement in FUNCTIONS]
    for statement in [PAYMENTS, *functions, *SIDES[side], *(NOTE_MEMORY if noting else [])]:
        database.execute(statement)
    return database


def tables(server) -> str:
    """Both tables. The server is running, and is stopped when this returns."""
    names = {side: f"firing_{number}" for number, side in enumerate(SIDES)}
    rows, kept = scaled(KEPT_ROWS, 1000), {}
    for side, dbname in names.items():
        prepare(server, side, dbname, False)
        noting = prepare(server, side, dbname + "_kept", True)
        kept[side] = [kept_by(noting, rows, work_mem) for work_mem in ("4MB", "1GB")]
    server.stop()
    counted = {side: instructions_of(server, dbname) for side, dbname in names.items()}
    base = counted["no trigger"]
    lines = "".join(f"| {side} | {' | '.join(f'{value:,.0f}' if side == 'no trigger' else f'{value - low:+,.0f}' for value, low in zip(values, base))} |\n"
                    for side, values in counted.items())
    idle = [memory for memory, _ in kept["no trigger"]]
    kept_lines = "".join(
        f"| {side} | " + " | ".join(f"{(memory[i] - low[i]) / 1e6:.1f}, {temporary[i] / 1e6:.1f}"
                                    for (memory, temporary), low in zip(found, idle) for i in (0, 1)) + " |\n"
        for side, found in kept.items())
    return (f"### Firing a trigger that does nothing\n\nInstructions above no trigger, a row of a statement of {ROWS:,} rows, and a statement of one row, autocommitted.\n\n"
            f"| | INSERT, a row | UPDATE, a row | INSERT of one row | UPDATE of one row |\n| --- | --- | --- | --- | --- |\n{lines}\n"
            f"What is kept when the triggers of a statement of {rows:,} rows fire: MB of memory above no trigger, MB of temporary files.\n\n"
            "| | INSERT, work_mem 4 MB | UPDATE, 4 MB | INSERT, 1 GB | UPDATE, 1 GB |\n| --- | --- | --- | --- | --- |\n" + kept_lines)
