"""What capture costs a writer, in instructions: insert and update of a 10-column payments row, each autocommitted, counted by
callgrind in a single-user backend. Two run lengths, and their difference, so that start and end do not count."""

import re
import subprocess

import workspace
from harness import Postgres
from peers.hand_written import OUTBOX, TRIGGER
from workloads import PAYMENTS

CAPTURE = ["create extension paysync", "select paysync.register('payments')"]
SYSTEMS = {
    "no capture": [],
    "paysync": [*CAPTURE, "select paysync.create_subscriber('bench')"],
    "paysync, no subscriber": CAPTURE,
    "PL/pgSQL outbox, to_jsonb": [*OUTBOX, TRIGGER.format("payments")],
}
SHORT, LONG = 200, 1200


def script(first: int, count: int) -> str:
    """The statements, one a line, as a single-user backend reads them."""
    lines = []
    for i in range(first, first + count):
        lines.append(f"insert into payments values ({i}, {i * 7}, {i}.25, 'EUR', 'pending', '2026-11-23 10:00:00+00', "
                     f"'2026-11-23 10:00:00+00', 'reference-{i}', '{{\"channel\": \"web\", \"attempt\": {i % 5}}}', "
                     f"'00000000-0000-0000-0000-{i:012d}')")
        lines.append(f"update payments set status = 'settled', updated_at = '2026-11-23 10:00:01+00' where id = {i}")
    return "\n".join(lines) + "\n"


def count_text(server: Postgres, dbname: str, statements: str, settings: dict | None = None) -> int:
    """Instructions of one single-user backend that runs these statements, one a line."""
    given = {"synchronous_commit": "off", "autovacuum": "off", **(settings or {})}
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", workspace.server_program("postgres"), "--single",
               "-D", server.data, *(word for name, value in given.items() for word in ("-c", f"{name}={value}")), dbname]
    done = subprocess.run(workspace.as_server(command), input=statements, check=True, capture_output=True, text=True, cwd="/")
    if "ERROR" in done.stderr:
        raise RuntimeError(f"a statement failed: {done.stderr[-2000:]}")
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def count(server: Postgres, dbname: str, first: int, pairs: int) -> int:
    """Instructions of one single-user backend that runs so many pairs."""
    return count_text(server, dbname, script(first, pairs))


def count_pair(server: Postgres, dbname: str) -> float:
    """Instructions of one insert + update in a database with table payments."""
    # The first run fills caches on disk (hint bits, extended files) and is not counted.
    count(server, dbname, 1, SHORT)
    short = count(server, dbname, 1_000_000, SHORT)
    return (count(server, dbname, 2_000_000, LONG) - short) / (LONG - SHORT)


def measure() -> str:
    """The table of instructions a pair, and the ratio to no capture."""
    server = Postgres(workspace.base() / "instructions")
    names = {system: f"bench_{number}" for number, system in enumerate(SYSTEMS)}
    with server:
        for system, statements in SYSTEMS.items():
            database = server.create_database(names[system])
            for statement in [PAYMENTS, *statements]:
                database.execute(statement)
        version = server.execute("show server_version")[0][0]
        server.stop()
    pairs = {system: count_pair(server, dbname) for system, dbname in names.items()}
    base = pairs["no capture"]
    rows = "".join(f"| {system} | {value:,.0f} | {value / base:.3f} |\n" for system, value in pairs.items())
    return (f"## Instructions of insert + update\n\nPostgreSQL {version}, single-user backend under callgrind, simple protocol, autocommit; "
            f"10-column payments row; {LONG - SHORT} pairs.\n\n| system | instructions a pair | ratio |\n| --- | --- | --- |\n{rows}")
