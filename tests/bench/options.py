"""What each option of register() costs a writer, in instructions a captured row: the same rows as in instructions.py, an insert and
an update each, compared with a plain registration in the same run."""

import workspace
from harness import Postgres
from instructions import LONG, SHORT, count_pair
from workloads import PAYMENTS

KEY = "select paysync.set_mask_key('bench', decode(repeat('5a', 32), 'hex'))"
OPTIONS = {
    "plain": "",
    "row filter (one column compared, every row passes)": ", row_filter => $$currency = 'EUR'$$",
    "row filter (no row passes)": ", row_filter => $$currency = 'USD'$$",
    "mask null": """, masks => '{"reference": "null"}', new_columns => 'include'""",
    "mask text": """, masks => '{"reference": {"mask": "text", "value": "***"}}', new_columns => 'include'""",
    "mask last4": """, masks => '{"reference": "last4"}', new_columns => 'include'""",
    "mask first6last4": """, masks => '{"reference": "first6last4"}', new_columns => 'include'""",
    "mask hmac": """, masks => '{"reference": {"mask": "hmac", "key": "bench"}}', new_columns => 'include'""",
    "old values changed": ", old_values => 'changed'",
    "old values full": ", old_values => 'full'",
    "skip_unchanged": """, options => '{"skip_unchanged": true}'""",
}


def measure() -> str:
    """The table: instructions a row above a plain registration, for each option."""
    server = Postgres(workspace.base() / "options")
    names = {option: f"option_{number}" for number, option in enumerate(OPTIONS)}
    with server:
        for option, arguments in OPTIONS.items():
            database = server.create_database(names[option])
            for statement in (PAYMENTS, "create extension paysync", KEY, f"select paysync.register('payments'{arguments})",
                              "select paysync.create_subscriber('bench')"):
                database.execute(statement)
        version = server.execute("show server_version")[0][0]
        server.stop()
    pairs = {option: count_pair(server, dbname) for option, dbname in names.items()}
    plain = pairs["plain"]
    rows = "".join(f"| {option} | {value:,.0f} | {(value - plain) / 2:+,.0f} | {value / plain:.3f} |\n"
                   for option, value in pairs.items())
    return (f"## Instructions of the options of register()\n\nPostgreSQL {version}, method as for insert + update; {LONG - SHORT} pairs. "
            "A row is one captured change: a pair has two.\n\n"
            f"| option | instructions a pair | a row, above plain | ratio to plain |\n| --- | --- | --- | --- |\n{rows}")
