"""Closing records have no index: ticks look for new ones at the end of their table, and remember what they left behind (docs/outbox.md §2)."""

import threading

import psycopg
import pytest

from harness import wait_for
from harness.outbox import Outbox

OPEN_PAGES = 64
# A closing record with such a row fills a page.
PAGE = "insert into t (note) select string_agg(md5(random()::text), '') from generate_series(1, 225)"
RECORDS_OF_INDEX = "select count(*) from paysync.chunk_0 where part = 0"


@pytest.fixture(name="outbox")
def fixture_outbox(database):
    """A registered table `t`, and its stream as read by a subscriber."""
    database.execute("create table t (id bigserial primary key, note text)")
    database.execute("select paysync.register('t')")
    return Outbox(database)


def fill_pages(database, count: int) -> None:
    """Commit so many transactions, each with a page of its own."""
    with database.connect() as session:
        session.execute("set synchronous_commit = off")
        for _ in range(count):
            session.execute(PAGE)


def cut_anew(database, outbox: Outbox) -> None:
    """Cut ticks in a session that has cut none before, as the next leader does."""
    with database.connect() as session:
        session.execute("call paysync.next_tick(%s::bigint, 0, 0, %s::bigint)", (outbox.epoch, outbox.head))


def notes(transactions: list) -> list:
    """The notes that were inserted, of those that are not long."""
    found = [change.new["note"] for transaction in transactions for change in transaction.changes]
    return [note for note in found if len(note) < 100]


def prepare(database, name: str) -> None:
    """Insert a row with this note and prepare the transaction under this name."""
    with database.connect() as session:
        session.execute("begin")
        session.execute("insert into t (note) values (%s)", (name,))
        session.execute(f"prepare transaction '{name}'")


@pytest.mark.parametrize("is_new_leader", [False, True], ids=["by who cut before", "by a new leader"])
def test_what_was_left_behind_open_is_found_when_it_ends(database, outbox, is_new_leader):
    """Rule: a prepared transaction that others have left behind by any number of pages is in the first tick after its end, if it committed."""
    prepare(database, "kept")
    prepare(database, "undone")
    for _ in range(3):
        fill_pages(database, OPEN_PAGES)
        assert notes(outbox.read()) == []
    assert database.value("select cardinality(waiting) from paysync.all_ticks order by last_number desc limit 1") == 2
    database.execute("commit prepared 'kept'")
    database.execute("rollback prepared 'undone'")
    if is_new_leader:
        cut_anew(database, outbox)
    assert notes(outbox.read()) == ["kept"]
    fill_pages(database, 1)
    assert notes(outbox.read()) == []
    assert database.value("select cardinality(waiting) from paysync.all_ticks order by last_number desc limit 1") == 0


def test_a_new_leader_looks_from_where_the_last_tick_did(database, outbox):
    """Rule: what came after the last tick is found by a session that has cut none, once, however much lies before it."""
    fill_pages(database, 2 * OPEN_PAGES)
    outbox.skip()
    pages = database.value("select pages[1] from paysync.all_ticks order by last_number desc limit 1")
    assert OPEN_PAGES // 2 < pages < 2 * OPEN_PAGES
    database.execute("insert into t (note) values ('new')")
    cut_anew(database, outbox)
    assert notes(outbox.read()) == ["new"]


def test_a_tick_that_failed_has_taken_nothing(database, outbox):
    """Rule: what a tick found that was not committed is found by the next one."""
    outbox.read()
    database.execute("insert into t (note) values ('one')")
    with database.connect(autocommit=False) as holder:
        holder.execute("select from paysync.fence for update")
        outbox.session.execute("set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            outbox.read()
        outbox.session.execute("reset lock_timeout")
    assert notes(outbox.read()) == ["one"]


def test_records_that_were_moved_are_found(database, outbox):
    """Rule: VACUUM FULL moves closing records; transactions with and without a number are read as before."""
    for name in ("first", "second", "third"):
        prepare(database, name)
        database.execute("insert into t (note) values (%s)", (f"after {name}",))
        database.execute(f"rollback prepared '{name}'")
    with database.connect() as session:
        session.execute("call paysync.next_tick(%s::bigint, 0, 0, %s::bigint)", (outbox.epoch, outbox.head))
    database.execute("insert into t (note) values ('without a number')")
    before = database.execute("select xid, new from paysync.peek()")
    places = "select array_agg(ctid order by ctid) from paysync.closing_0"
    stood = database.value(places)
    with database.connect() as session:
        session.execute("vacuum full paysync.closing_0")
    assert database.value(places) != stood, "they were moved"
    assert database.execute("select xid, new from paysync.peek()") == before
    assert notes(outbox.read()) == ["after first", "after second", "after third", "without a number"]


def test_a_record_that_came_late_is_found_by_index(database, outbox):
    """Rule: who was held up between choosing the page of its closing record and the end of writing it, while others went on for more pages
    than ticks look back, leaves a record that is found by index."""
    # An index that is unique holds a writer up where another has the same key and has not ended.
    database.execute("create unique index hold_up on paysync.closing_0 (xid)")
    with database.connect() as late, database.connect(autocommit=False) as other:
        late.execute("begin; insert into t (note) values ('late')")
        xid = late.execute("select pg_current_xact_id()::text").fetchone()[0]
        other.execute("insert into paysync.closing_0 values (%s::xid8, '0/0', '')", (xid,))
        ending = threading.Thread(target=late.execute, args=("commit",), daemon=True)
        ending.start()
        wait_for(lambda: database.value("select count(*) from pg_locks where not granted") == 1, 20, "it is held up")
        fill_pages(database, 2 * OPEN_PAGES)
        assert notes(outbox.read()) == []
        other.rollback()
        ending.join(20)
        assert not ending.is_alive()
    assert database.value(RECORDS_OF_INDEX) == 1
    assert notes(outbox.read()) == ["late"]
    assert notes(outbox.read()) == []
    assert database.value("select count(*) from paysync.closing_0 where xid = %s::xid8", (xid,)) == 0, "it is there once"


def test_who_was_idle_writes_at_the_end(database, outbox):
    """Rule: a session whose last page others have left behind writes its next closing record at the end of the table, without an index."""
    with database.connect() as idle:
        idle.execute("insert into t (note) values ('before')")
        fill_pages(database, 2 * OPEN_PAGES)
        idle.execute("insert into t (note) values ('after')")
    assert notes(outbox.read()) == ["before", "after"]
    assert database.value(RECORDS_OF_INDEX) == 0
    assert database.value("select pages[1] > 0 from paysync.all_ticks order by last_number desc limit 1")


def test_who_wrote_a_little_before_the_end_is_found(database, outbox):
    """Rule: a closing record on a page that ticks have looked at, and others have left behind by less than ticks look back, is found."""
    with database.connect() as idle:
        idle.execute("insert into t (note) values ('before')")
        fill_pages(database, OPEN_PAGES // 4)
        assert notes(outbox.read()) == ["before"]
        idle.execute("insert into t (note) values ('after')")
    assert database.value("select max(ctid) <> (select ctid from paysync.closing_0 order by order_key desc limit 1) from paysync.closing_0")
    assert notes(outbox.read()) == ["after"]


def test_what_was_open_is_looked_at_again(database, outbox):
    """Rule: a page with a record of an open transaction is looked at by each tick, also where nobody writes to it meanwhile."""
    prepare(database, "kept")
    database.execute("insert into t (note) values ('other')")
    assert notes(outbox.read()) == ["other"]
    assert outbox.read() == []
    database.execute("commit prepared 'kept'")
    assert notes(outbox.read()) == ["kept"]


def test_what_a_tick_has_seen_an_older_one_has_not(database, outbox):
    """Rule: whether a segment holds what a tick does not see is asked by that tick, also in the session that cut later ones."""
    heads = []
    for name in ("one", "two"):
        database.execute("insert into t (note) values (%s)", (name,))
        outbox.read()
        outbox.read()
        heads.append(outbox.head)
    held = [outbox.session.execute("select paysync.holds_unseen(0, %s)", (head,)).fetchone()[0] for head in heads]
    assert held == [True, False]


def test_a_table_that_was_emptied_is_looked_through_anew(database, outbox):
    """Rule: how far a closing table was looked through says nothing of it after it was emptied."""
    fill_pages(database, 2 * OPEN_PAGES)
    outbox.skip()
    database.execute("truncate paysync.closing_0, paysync.chunk_0")
    fill_pages(database, 3 * OPEN_PAGES)
    assert len(outbox.read()) == 3 * OPEN_PAGES


def test_an_unlogged_table_is_looked_at_again(database, outbox):
    """Rule: pages without a log position, as those of a table that somebody made unlogged, are looked at by each tick."""
    with database.connect() as session:
        session.execute("alter table paysync.closing_0 set unlogged")
    for name in ("one", "two"):
        database.execute("insert into t (note) values (%s)", (name,))
        assert notes(outbox.read()) == [name]
        assert outbox.read() == []
