"""paysync.read_in_order(): a transaction whose changes were recorded out of order, as one stream in the right one."""

import msgpack
import pytest

from harness.outbox import read_closing

REORDER = 1


@pytest.fixture(name="source")
def fixture_source(database):
    """A table whose trigger changes the row behind, so that changes are recorded in another order than rows change."""
    database.execute("""
        create table t (id int primary key, v text, blob bytea);
        create function follow() returns trigger language plpgsql as
            $$ begin update t set v = left(v, 20) || '+' where id = new.id + 1; return null; end $$;
        create trigger follow after update on t for each row when (pg_trigger_depth() = 0) execute function follow();
        select paysync.register('t', old_values => 'full');
        select paysync.create_subscriber('reader')""")
    return database


def split(stream: bytes) -> list:
    """The changes of a stream, each with its place."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(1, len(stream)), strict_map_key=False, raw=True)
    unpacker.feed(stream)
    changes, at = [], 0
    while at < len(stream):
        change = unpacker.unpack()
        changes.append((change[2], stream[at:unpacker.tell()]))
        at = unpacker.tell()
    return changes


@pytest.mark.parametrize("statements", [
    ["update t set v = id where id <= 5"],
    ["update t set v = repeat('v', id % 700)", "update t set v = v || '!' where id % 3 = 0"],
    # Larger than what is sorted as one.
    ["insert into t select 100000, 'large', decode(string_agg(md5(n::text), ''), 'hex') from generate_series(1, 200000) as n",
     "update t set v = repeat('w', 50)"],
], ids=["small", "many", "with a large change"])
def test_changes_come_in_the_order_of_their_places(source, statements):
    """Rule: the pieces joined are the recorded changes sorted by place, those of one place as recorded, byte for byte."""
    with source.connect(autocommit=False) as session:
        session.execute("insert into t select n, 'first' from generate_series(1, 3000) as n")
        session.commit()
        for statement in statements:
            session.execute(statement)
        session.commit()
    with source.connect() as leader:
        epoch = leader.execute("select epoch from paysync.lead('test')").fetchone()[0]
        assert leader.execute("call paysync.next_tick(%s, 0, 0, 0)", (epoch,)).fetchone() == (2,)
        rows = leader.execute("select part, payload from paysync.read_transactions(2, -1, 1000000000)").fetchall()
        closing, tail = read_closing(rows[0][1])
        assert closing[4] & REORDER, "the transaction was recorded in order"
        payloads = [row[1] for row in rows[1:]]
        recorded = split(b"".join(payloads[:len(payloads) - closing[9]]) + tail)
        pieces = leader.execute("select piece, payload from paysync.read_in_order(2)").fetchall()
    assert [piece for piece, _ in pieces] == list(range(len(pieces)))
    assert all(len(payload) == 65536 for _, payload in pieces[:-1])
    assert b"".join(payload for _, payload in pieces) == b"".join(change for _, change in sorted(recorded, key=lambda one: one[0]))
    assert len(recorded) == closing[7]


def test_a_cursor_holds_no_snapshot(source):
    """Rule: a cursor WITH HOLD over the pieces keeps them without a snapshot, so that a slow reader holds up no vacuum."""
    with source.connect() as writer:
        writer.execute("insert into t select n, 'first' from generate_series(1, 3000) as n")
        writer.execute("update t set v = repeat('v', 100)")
    with source.connect() as leader:
        epoch = leader.execute("select epoch from paysync.lead('test')").fetchone()[0]
        leader.execute("call paysync.next_tick(%s, 0, 0, 0)", (epoch,))
        whole = leader.execute("select sum(length(payload)) from paysync.read_in_order(2)").fetchone()[0]
        leader.execute("declare pieces no scroll cursor with hold for select piece, payload from paysync.read_in_order(2)")
        holds = source.value("select backend_xmin is not null or backend_xid is not null from pg_stat_activity where pid = %s", (leader.info.backend_pid,))
        assert not holds
        read = 0
        while rows := leader.execute("fetch forward 3 from pieces").fetchall():
            read += sum(len(payload) for _, payload in rows)
        assert read == whole
