"""What an index on closing records costs a writer, and what finding new ones costs with it, beside no index and TID ranges."""

import json

from instructions import CAPTURE, LONG, SHORT, count_text, script
from measure import scaled
from workloads import PAYMENTS

# PostgreSQL 15 has none for xid8.
BRIN = """create operator class xid8_minmax default for type xid8 using brin as operator 1 <, operator 2 <=, operator 3 =,
    operator 4 >=, operator 5 >, function 1 brin_minmax_opcinfo(internal), function 2 brin_minmax_add_value(internal, internal, internal, internal),
    function 3 brin_minmax_consistent(internal, internal, internal), function 4 brin_minmax_union(internal, internal, internal)"""
BRIN_INDEX = "index on {{0}} using brin (xid) with (pages_per_range = {0}, autosummarize = {1})"
# The writer's side: what is made, and whether BRIN has a summary of the range that is written to. Autovacuum does not run.
KINDS = {
    "no index": None,
    "B-tree (xid)": "index on {0} (xid)",
    "B-tree (xid, part), unique": "unique index on {0} (xid, part)",
    "hash (xid)": "index on {0} using hash (xid)",
    **{f"BRIN, {pages} pages a range, not summarised": BRIN_INDEX.format(pages, "off") for pages in (1, 16, 128)},
    **{f"BRIN, {pages} pages a range, autosummarize, not summarised": BRIN_INDEX.format(pages, "on") for pages in (1, 16, 128)},
    "BRIN, the range is summarised": BRIN_INDEX.format(131072, "off"),
}
ROWS, NEW, OLD_XID, FIRST_XID = 1_000_000, 1_000, 5, 1_000
LOG_ROWS = 5_000
WRITTEN = [
    """create table closings (xid xid8 not null, order_key pg_lsn not null, payload bytea not null, part int not null default 0)
       with (autovacuum_enabled = off)""",
    "alter table closings alter payload set storage plain"]
# Closing records as many as ROWS, in the order of their transactions but for those of the condition, which are old, with a payload of the real size.
CLOSINGS = """create table {0} (xid xid8 not null, order_key pg_lsn not null, payload bytea not null) with (autovacuum_enabled = off);
alter table {0} alter payload set storage plain;
insert into {0} select (case when {1} then {2} else {3} + n end)::text::xid8, '0/0'::pg_lsn + n * 400, decode(repeat('5a', {4}), 'hex') from generate_series(1, {5}) as n;
vacuum (freeze, analyze) {0}"""


def inserts(first: int, count: int, payload: int) -> list:
    """Closing records, each a statement."""
    return [f"insert into closings (xid, order_key, payload) values ('{n}', '0/{n:X}', '\\x{'5a' * payload}')" for n in range(first, first + count)]


def log_of(server, dbname: str, payload: int) -> float:
    """Bytes of the log that an insert writes, page images aside."""
    with server.connect(dbname) as session:
        before = session.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()[0]
        for statement in inserts(10_000, LOG_ROWS, payload):
            session.execute(statement)
        return float(session.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()[0] - before) / LOG_ROWS


def payload_of(server) -> int:
    """Bytes of a closing record's payload, the mean of an insert and an update of a payment."""
    database = server.create_database("captured")
    for statement in [PAYMENTS, *CAPTURE, "select paysync.create_subscriber('bench')", *script(1, 50).splitlines()]:
        database.execute(statement)
    return database.value("select avg(octet_length(payload))::int from paysync.closing_0")


def writers(server, payload: int) -> tuple:
    """The databases of the writer's side, by kind; the log of an insert. BRIN summarises the first range when it is made."""
    names, log = {}, {}
    for number, (kind, index) in enumerate(KINDS.items()):
        database = server.create_database(f"writer_{number}")
        for statement in [*WRITTEN, BRIN, *(["create " + index.format("closings")] if index else [])]:
            database.execute(statement)
        names[kind], log[kind] = database.name, log_of(server, database.name, payload)
    return names, log


def count_insert(server, dbname: str, payload: int) -> float:
    """Instructions of one insert. The first run fills caches on disk and is not counted."""
    def count(first: int, rows: int) -> int:
        return count_text(server, dbname, "\n".join(inserts(first, rows, payload)) + "\n")
    count(100_000, SHORT)
    short = count(200_000, SHORT)
    return (count(300_000, LONG) - short) / (LONG - SHORT)


def blocks(plan: dict) -> int:
    """Blocks that a plan asked for."""
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def look(server, dbname: str, index: str | None, query: str, settings: dict) -> tuple:
    """Blocks and instructions of one look. The server is running before and after; there is no other index."""
    with server.connect(dbname) as session:
        for name, value in settings.items():
            session.execute(f"set {name} = {value}")
        session.execute(query)
        plan = session.execute("explain (analyze, buffers, format json) " + query).fetchone()[0]
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    leaf = top
    while "Plans" in leaf:
        leaf = leaf["Plans"][0]
    server.stop()
    few, many = (count_text(server, dbname, f"{query}\n" * times, settings) for times in (1, 3))
    server.start()
    return leaf["Node Type"], blocks(top), (many - few) / 2


def looks(server, payload: int) -> list:
    """Rows of the reader's table: table, way, what was asked, plan, blocks, instructions."""
    database = server.create_database("reader")
    database.execute(BRIN)
    rows = scaled(ROWS, 20_000)
    first_new = FIRST_XID + rows - NEW + 1
    running = FIRST_XID + rows // 2
    tables = {"in order": "false", "one old record, late": f"n = {rows} - 200", "one old record in each 128 pages": "n % (128 * {0}) = 64 * {0}"}
    found, a_page = [], 1
    for number, (order, condition) in enumerate(tables.items()):
        table = f"closings_{number}"
        for statement in CLOSINGS.format(table, condition.format(a_page), OLD_XID, FIRST_XID, payload, rows).split(";\n"):
            database.execute(statement)
        pages, a_page = database.execute(
            f"select (select pg_relation_size('{table}') / 8192), (select count(*) from {table} where ctid >= '(0,0)' and ctid < '(1,0)')")[0]
        new = f"select count(order_key) from {table} where xid >= '{first_new}'"
        one = f"select count(order_key) from {table} where xid = '{running}'"
        by_index = {"enable_seqscan": "off", "enable_indexonlyscan": "off", "enable_tidscan": "off", "max_parallel_workers_per_gather": 0}
        by_tree, by_scan = {**by_index, "enable_bitmapscan": "off"}, {"max_parallel_workers_per_gather": 0}
        page = database.value(f"select (min(ctid)::text::point)[0]::int from {table} where xid >= '{first_new}'")
        ways = []
        if number == 0:
            ways += [("none, whole table", None, [("new", new, by_scan)]),
                     ("TID range, from the first new page", None, [("new", f"{new} and ctid >= '({page},0)'", by_scan)]),
                     ("TID range, from 64 pages before that", None, [("new", f"{new} and ctid >= '({page - 64},0)'", by_scan)]),
                     ("B-tree (xid)", "index on {0} (xid)", [("new", new, by_tree), ("one running", one, by_tree)]),
                     ("hash (xid)", "index on {0} using hash (xid)", [("one running", one, by_tree)])]
        ways += [(f"BRIN, {size} pages a range", BRIN_INDEX.format(size, "off"), [("new", new, by_index), ("one running", one, by_index)])
                 for size in (1, 16, 128)]
        for way, index, queries in ways:
            if index:
                database.execute(f"create index looked_at {index.format(table).removeprefix('index ')}")
            found += [(order, way, what, *look(server, database.name, index, query, settings)) for what, query, settings in queries]
            if index:
                database.execute("drop index looked_at")
        if number == 0:
            found += behind_summaries(server, database, table, new, by_index, rows)
            pages_in_order = pages
    return pages_in_order, found


def behind_summaries(server, database, table: str, new: str, settings: dict, rows: int) -> list:
    """Looks at new records where the last tenth of the table has no summary, as it is until autovacuum comes."""
    tail = rows // 10
    database.execute(f"create table short (like {table} including storage) with (autovacuum_enabled = off)")
    database.execute(f"insert into short select * from {table} where xid < '{FIRST_XID + rows - tail}'")
    database.execute("create index looked_at on short using brin (xid) with (pages_per_range = 128)")
    database.execute(f"insert into short select * from {table} where xid >= '{FIRST_XID + rows - tail}'")
    found = ("in order, its last tenth not summarised", "BRIN, 128 pages a range", "new",
             *look(server, database.name, None, new.replace(table, "short"), settings))
    database.execute("drop table short")
    return [found]


def tables(server) -> str:
    """Both tables. The server is running, and is stopped when this returns."""
    payload = payload_of(server)
    names, log = writers(server, payload)
    pages, found = looks(server, payload)
    server.stop()
    counted = {kind: count_insert(server, dbname, payload) for kind, dbname in names.items()}
    base, base_log = counted["no index"], log["no index"]
    written = "".join(f"| {kind} | {value - base:+,.0f} | {log[kind] - base_log:+,.0f} |\n" for kind, value in counted.items())
    seen = "".join(f"| {order} | {way} | {what} | {plan} | {asked:,} | {count:,.0f} |\n"
                   for order, way, what, plan, asked, count in found)
    return (f"### An index on closing records: the writer\n\nAbove no index ({base:,.0f} instructions, {base_log:,.0f} bytes of log): an INSERT of one record of {payload} bytes, autocommitted, in SQL. "
            f"Page images are not counted; autovacuum does not run. BRIN summarises its first range when it is made: the log of what goes there is in the figures of 16 and 128 pages.\n\n"
            f"| index | instructions | log, bytes |\n| --- | --- | --- |\n{written}\n"
            f"### An index on closing records: the look at what is new\n\n{scaled(ROWS, 20_000):,} records of {payload} bytes in {pages:,} pages, {NEW:,} of them new, at the end; everything in shared buffers or the system's cache.\n\n"
            f"| table | way | asked | plan | blocks | instructions |\n| --- | --- | --- | --- | --- | --- |\n{seen}")
