"""Bookkeeping that does not bloat: what the tables of the extension weigh does not depend on how long it has worked."""

import itertools

import psycopg
import pytest

from harness import wait_for
from harness.faults import Recorder, prepare_source

EARLY, LATE = 12, 48
WEIGHTS = """
select regexp_replace(relname, '_[0-7]$', ''), sum(pg_total_relation_size(oid)), sum((select dead_tuple_count from pgstattuple(oid)))
from pg_class where relnamespace = 'paysync'::regnamespace and relkind = 'r' group by 1 order by 1
"""


def weights(session) -> dict:
    """Table, or kind of table of the ring, to (bytes with indexes, dead rows)."""
    return {name: (int(size), int(dead)) for name, size, dead in session.execute(WEIGHTS)}


def switch_until(session, goal: int, ids) -> None:
    """Write, and do the regular work, until so many segments were opened."""
    def look() -> bool:
        session.execute("insert into entries select %s::bigint + n, 1, 1 from generate_series(1, 400) as n", (next(ids) * 1000,))
        session.execute("select paysync.maintain()")
        return session.execute("select max(generation) from paysync.ring").fetchone()[0] >= goal

    wait_for(look, 200, f"{goal} segments were opened")


@pytest.mark.deadline(500)
def test_nothing_bloats_under_an_old_transaction(database, start_relay):
    """Rule: with a transaction open that holds back vacuum all the time, the tables of the extension are as large, and have as few
    dead rows, after many switches of segments as after a few."""
    prepare_source(database)
    database.execute("create extension pgstattuple")
    database.execute("select paysync.create_subscriber('mirror')")
    database.execute(psycopg.sql.SQL("alter database {} set paysync.segment_size = '64kB'").format(psycopg.sql.Identifier(database.name)))
    ids = itertools.count(1)
    with database.connect(autocommit=False) as old, Recorder(start_relay(database).endpoint, "mirror"), database.connect() as session:
        old.execute("select pg_current_xact_id()")
        # Before a first full turn of the ring there are tables without a page.
        switch_until(session, EARLY, ids)
        early = weights(session)
        switch_until(session, LATE, ids)
        late = weights(session)
        old.rollback()
    for name, (size, dead) in late.items():
        assert dead <= early[name][1], f"{name}: {dead} dead rows, {early[name][1]} at the {EARLY}th switch"
        # A segment is looked at before it is full, after, or in between.
        assert size <= 2 * early[name][0] + 65536, f"{name}: {size} bytes, {early[name][0]} at the {EARLY}th switch"
