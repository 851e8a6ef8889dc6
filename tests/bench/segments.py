"""200 switches of small segments under load, an old transaction open from before the first to behind the last: what the tables of
schema paysync, and the catalog's own, weigh at the 20th and at the 200th."""

import workspace
from harness import Postgres, Relay, wait_for
from measure import Readers, scaled
from workloads import prepare

SWITCHES = 200
SIZES = """
select relname, pg_total_relation_size(oid), (select dead_tuple_count from pgstattuple(oid)), (select tuple_count from pgstattuple(oid))
from pg_class where relkind = 'r' and (relnamespace = 'paysync'::regnamespace or relname in ('pg_class', 'pg_statistic', 'pg_attribute'))
order by relnamespace = 'pg_catalog'::regnamespace, relname
"""


def opened(session) -> int:
    """How many segments were opened so far."""
    return session.execute("select max(generation) from paysync.ring").fetchone()[0]


def fold(rows: list) -> dict:
    """Tables of the ring by kind, the rest by name: [bytes, dead rows], summed over the slots of a kind."""
    found = {}
    for name, size, dead, _ in rows:
        kind, _, slot = name.rpartition("_")
        sums = found.setdefault(f"{kind}_0 … {kind}_7" if slot.isdigit() else name, [0, 0])
        sums[0] += size
        sums[1] += dead
    return found


def switch_until(session, goal: int, ids) -> None:
    """Write and have the regular work done until so many segments were opened."""
    def look() -> bool:
        session.execute("insert into payments select %s::bigint + n, 1, 'filling', repeat('x', 100) from generate_series(1, 300) as n", (next(ids) * 1000,))
        session.execute("select paysync.maintain()")
        return opened(session) >= goal

    wait_for(look, 1800, lambda: f"{goal} segments are opened")


def run(database, relay_folder, early: int, late: int) -> tuple:
    """What the tables weigh at two numbers of switches; one transaction that has written is open all the time."""
    prepare(database, ["reader0"])
    database.execute("create extension pgstattuple")
    database.execute(f"alter database {database.name} set paysync.segment_size = '64kB'")
    ids = iter(range(1, 1 << 30))
    with Relay(database, relay_folder, name=f"relay_{database.name}") as relay, Readers(relay_folder, relay.endpoint, "reader", 1), \
            database.connect(autocommit=False) as old, database.connect() as session:
        old.execute("create table unregistered (id int)")
        old.execute("select txid_current()")
        first = opened(session)
        found = []
        for goal in (early, late):
            switch_until(session, first + goal, ids)
            found.append(fold(session.execute(SIZES).fetchall()))
        old.rollback()
    return tuple(found)


def measure() -> str:
    """The table."""
    late = scaled(SWITCHES, 60)
    early = min(20, late // 3)
    folder = workspace.base() / "segments"
    with Postgres(folder) as server:
        before, after = run(server.create_database("segments"), folder, early, late)
    lines = "".join(f"| {name} | {before[name][0] / 1024:,.0f} | {after[name][0] / 1024:,.0f} | {before[name][1]} | {after[name][1]} |\n"
                    for name in before if any((*before[name], *after[name])))
    return (f"## {late} switches with an old transaction open\n\nSegments of 64 kB, autovacuum on. Sizes with indexes, in kB; tables of the ring are "
            f"summed over its slots.\n\n| table | kB at {early} | kB at {late} | dead rows at {early} | dead rows at {late} |\n"
            f"| --- | --- | --- | --- | --- |\n{lines}")
