"""pgbench with a script of ours, and the scripts: W1, autocommitted inserts and updates; W2, a transfer in one transaction."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import workspace
from workloads import PAYMENT, PAYMENTS

# A script has a statement a line.
INSERT = f"insert into payments values (:id, :account, {PAYMENT})".replace("\n", "")
ACCOUNTS = 100_000


@dataclass
class Workload:
    """Tables, all captured; statements that make the state that a slice begins with; the script."""

    name: str
    tables: tuple
    create: tuple
    begin: tuple
    script: str


NEXT_ID = "\\set n :n + 1\n\\set id :client_id * 1000000000 + :n\n"
W1 = Workload("W1", ("payments",), (PAYMENTS,), ("truncate payments",), f"""{NEXT_ID}\\set account :id * 7
{INSERT};
update payments set status = 'settled', updated_at = now() where id = :id;
""")
W2 = Workload("W2", ("payments", "accounts", "ledger"), (
    PAYMENTS, "create table accounts (id bigint primary key, balance numeric(14,2) not null, updated_at timestamptz not null)",
    "create table ledger (id bigint primary key, payment bigint not null, amount numeric(12,2) not null, at timestamptz not null)"), (
    "truncate payments, accounts, ledger", f"insert into accounts select n, 0, now() from generate_series(1, {ACCOUNTS}) as n"),
    f"""{NEXT_ID}\\set account random(1, {ACCOUNTS // 2})
\\set other random({ACCOUNTS // 2 + 1}, {ACCOUNTS})
begin;
{INSERT};
update accounts set balance = balance - 12.50, updated_at = now() where id = :account;
update accounts set balance = balance + 12.50, updated_at = now() where id = :other;
insert into ledger values (:id, :id, 12.50, now());
commit;
""")


def run(database, folder: Path, workload: Workload, clients: int, seconds: float) -> tuple:
    """Run it; (scripts done, scripts a second)."""
    script = folder / f"{workload.name}.sql"
    script.write_text(workload.script)
    done = subprocess.run(
        [workspace.server_program("pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={min(clients, 2)}",
         f"--time={max(1, round(seconds))}", "--define=n=0", f"--file={script}", database.conninfo()],
        check=True, capture_output=True, text=True, cwd=folder)
    assert "number of failed transactions: 0" in done.stdout, done.stdout + done.stderr
    count = int(re.search(r"actually processed: (\d+)", done.stdout)[1])
    return count, float(re.search(r"tps = ([\d.]+)", done.stdout)[1])
