"""Pages of the outbox: what paysync.read_page() and read_transactions() give, against the tick rows and chunks themselves."""

import random
import struct

import pytest

MIB = 1 << 20
HEAD = struct.Struct(">QQiI")


def read_page(session, number: int, part: int, max_bytes: int) -> list:
    """A page's chunks as rows of read_transactions(), by docs/outbox.md section 4."""
    pieces = session.execute("select piece from paysync.read_page(%s, %s, %s) as piece", (number, part, max_bytes)).fetchall()
    page = b"".join(bytes(piece) for piece, in pieces)
    rows, at, epoch, nonce = [], 0, None, None
    while at < len(page):
        number, xid, part, length = HEAD.unpack_from(page, at)
        payload = page[at + HEAD.size:at + HEAD.size + length]
        assert len(payload) == length
        at += HEAD.size + length
        if number == 0:
            epoch, nonce = xid, payload.decode()
        else:
            rows.append((number, epoch, nonce, xid, part, payload))
    return rows


def recorded(session) -> list:
    """What ticks name, chunk by chunk, looked up by nothing but their ids."""
    rows = []
    for slot in range(8):
        ticks = session.execute(f"select first_number, epoch, xids, slots from paysync.tick_{slot} where first_number <= last_number").fetchall()
        for first, epoch, xids, slots in ticks:
            for offset, (xid, segment) in enumerate(zip(xids, slots)):
                chunks = session.execute(f"""select 0 as part, payload from paysync.closing_{segment} where xid = %(xid)s::text::xid8
                    union all select part, payload from paysync.chunk_{segment} where xid = %(xid)s::text::xid8 order by part""", {"xid": str(xid)}).fetchall()
                [nonce] = session.execute("select nonce from paysync.epochs where epoch = %s", (epoch,)).fetchone()
                rows += [(first + offset, epoch, nonce, int(xid), part, bytes(payload)) for part, payload in chunks]
    return sorted(rows, key=lambda row: (row[0], row[4]))


def read_all(session, head: int, max_bytes: int) -> tuple:
    """All pages behind each other, by rows and packed; and how many there were."""
    rows, packed, number, part, pages = [], [], 1, -1, 0
    while not packed or packed[-1][0] < head or part_follows(session, packed[-1]):
        asked = (number, part, max_bytes)
        page = session.execute("select * from paysync.read_transactions(%s, %s, %s)", asked).fetchall()
        rows += page
        found = read_page(session, *asked)
        assert found, f"nothing behind part {part} of number {number}"
        packed += found
        number, part = packed[-1][0], packed[-1][4]
        pages += 1
    return rows, packed, pages


def part_follows(session, last: tuple) -> bool:
    """Whether a transaction has parts behind this one."""
    return bool(read_page(session, last[0], last[4], 1))


@pytest.mark.deadline(180)
def test_pages_hold_what_ticks_recorded(database):
    """Rule: pages of any size, rows or packed, joined are the chunks of the transactions that ticks name, in the order of their numbers,
    whatever order the transactions began in, however large they are, and in whatever segment they lie."""
    chance = random.Random(7)
    database.execute("create table t (id serial primary key, v text)")
    database.execute("select paysync.register('t'), paysync.create_subscriber('reader')")
    with database.connect() as leader:
        leader.execute("set paysync.segment_size = '64kB'")
        epoch, head = leader.execute("select epoch, head from paysync.lead('test')").fetchone()
        sessions = [database.connect(autocommit=False) for _ in range(12)]
        old = database.connect(autocommit=False)
        old.execute("insert into t (v) values ('the oldest id')")
        for turn in range(400):
            session = chance.choice(sessions)
            rows = chance.choices((1, 45, 2000), (88, 10, 2))[0]  # of no part, of one, of many
            session.execute("insert into t (v) select repeat('v', 200) from generate_series(1, %s)", (rows,))
            if chance.random() < 0.2:
                session.execute("savepoint s")
                session.execute("insert into t (v) select repeat('w', 200) from generate_series(1, 100)")
                session.execute("rollback to s")
            if chance.random() < 0.6:
                session.rollback() if chance.random() < 0.1 else session.commit()
            if turn % 150 == 149:
                [head] = leader.execute("call paysync.next_tick(%s, 0, 0, %s)", (epoch, head)).fetchone()
                leader.execute("select paysync.maintain()")
        for session in (*sessions, old):
            session.commit()
            session.close()
        [head] = leader.execute("call paysync.next_tick(%s, 0, 0, %s)", (epoch, head)).fetchone()
        expected = recorded(leader)
        assert {row[0] for row in expected} == set(range(1, head + 1))
        assert len(expected) > head + 100, "no transaction has parts"
        assert sorted(expected, key=lambda row: row[3]) != expected, "numbers and ids have one order"
        for max_bytes in (1, 3000, 100_000, MIB, 64 * MIB):
            rows, packed, pages = read_all(leader, head, max_bytes)
            assert [(*row[:5], bytes(row[5])) for row in rows] == expected
            assert packed == expected
            assert (pages == 1) == (max_bytes == 64 * MIB)


def test_a_transaction_that_is_not_there_is_an_error(database):
    """Rule: a page that would hold a transaction whose closing record is gone is an error that names it, and those before it are given."""
    database.execute("create table t (id int primary key)")
    database.execute("select paysync.register('t'), paysync.create_subscriber('reader')")
    for number in range(1, 301):
        database.execute("insert into t values (%s)", (number,))
    with database.connect() as leader:
        epoch = leader.execute("select epoch from paysync.lead('test')").fetchone()[0]
        [head] = leader.execute("call paysync.next_tick(%s, 0, 0, 0)", (epoch,)).fetchone()
        assert head == 300
        leader.execute("delete from paysync.closing_0 where xid = (select xids[200 - first_number + 1] from paysync.tick_0 where 200 between first_number and last_number)")
        with pytest.raises(Exception) as raised:
            read_page(leader, 1, -1, 1000000)
        assert raised.value.sqlstate == "PS010"
        assert "transaction 200 " in str(raised.value)
        before = read_page(leader, 1, -1, 5000)
        assert before and before[-1][0] < 200
        behind = read_page(leader, 201, -1, 1000000)
        assert [row[0] for row in behind] == list(range(201, 301))
