"""Segments of the outbox: used again and again, never emptied of what somebody still needs, never silently empty."""

import itertools
import os
import signal

import psycopg
import pytest

from harness import wait_for
from harness.faults import Recorder, Writers, assert_equal, prepare_source
from paysync import Refused, Subscriber

SEGMENT = "64kB"
THOUSAND = "insert into entries select %s + id, 8, 1 from generate_series(1, 1000) as id"


@pytest.fixture
def source(database):
    """Tables of Writers, a subscriber "mirror", and segments as small as can be."""
    prepare_source(database)
    database.execute("select paysync.create_subscriber('mirror')")
    set_segment_size(database)
    return database


def set_segment_size(database) -> None:
    """Small segments in all new sessions of the database."""
    database.execute(psycopg.sql.SQL("alter database {} set paysync.segment_size = {}").format(
        psycopg.sql.Identifier(database.name), SEGMENT))


def generation(database) -> int:
    """How many segments were opened so far."""
    return database.value("select max(generation) from paysync.ring")


def fill_segments(database, count: int, ids=itertools.count(1_000_000)) -> None:
    """Write, and let the relay's work be done, until so many more segments were opened."""
    goal = generation(database) + count
    with database.connect() as session:
        def look() -> bool:
            session.execute(THOUSAND, (next(ids) * 1000,))
            session.execute("select paysync.maintain()")
            return generation(database) >= goal

        wait_for(look, 30, f"{count} segments are opened")


def chunks(database, slot: int) -> int:
    """The rows in a segment."""
    return database.value(f"select (select count(*) from paysync.closing_{slot}) + (select count(*) from paysync.chunk_{slot})")


def current_slot(database) -> int:
    """The segment that is written to."""
    return database.value("select slot from paysync.ring where current")


class Drain:
    """The relay's part by hand: cuts ticks and reads pages over two connections."""

    def __init__(self, database):
        self.leader = database.connect()
        self.epoch, _, _, self.head, _ = self.leader.execute("select * from paysync.lead('test')").fetchone()

    def tick(self) -> int:
        """Cut what there is; returns the head."""
        [(self.head,)] = self.leader.execute("call paysync.next_tick(%s, 0, 0, %s)", (self.epoch, self.head)).fetchall()
        return self.head

    def read(self, number: int, max_bytes: int = 1 << 20) -> list:
        """Rows of read_transactions()."""
        return self.leader.execute("select * from paysync.read_transactions(%s, -1, %s)", (number, max_bytes)).fetchall()

    def acknowledge(self, name: str, number: int) -> None:
        """What a subscriber has applied."""
        self.leader.execute("select paysync.acknowledge(%s, array[name], %s, '{true}', array[revision], '{null}') from paysync.subscriber where name = %s",
                            (self.epoch, [number], name))

    def __enter__(self) -> "Drain":
        return self

    def __exit__(self, *_) -> None:
        self.leader.close()


@pytest.mark.deadline(180)
def test_segments_are_used_again_under_load(source, start_relay):
    """Rule: while subscribers follow, segments are emptied and used again: the outbox does not grow, and nothing is lost."""
    relay = start_relay(source)
    largest = 0
    with Recorder(relay.endpoint, "mirror") as recorder, Writers(source) as writers:
        began = generation(source)

        def look() -> bool:
            nonlocal largest
            recorder.check()
            largest = max(largest, source.value("select outbox_bytes from paysync.status"))
            # More than once around the ring.
            return generation(source) >= began + 10

        wait_for(look, 60, lambda: f"ten segments are opened; {source.execute('select * from paysync.segments')}")
        writers.stop()
        written = source.value("select count(*) from entries")
        recorder.wait_for(lambda replica: len(replica.rows["entries"]) == written, 30, "everything has come")
    assert_equal(recorder.replica, source)
    # A relay looks once a second: a segment holds what is written in a few of those.
    assert largest < 64 << 20
    assert not [line for line in relay.log().splitlines() if " error " in line or " warning " in line]


def test_a_subscriber_that_is_away_keeps_its_segments(source, start_relay):
    """Rule: what a subscriber has not acknowledged stays, in however many segments; when it comes back it gets all of it."""
    source.execute("select paysync.create_subscriber('away')")
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder:
        with Recorder(relay.endpoint, "away") as away:
            source.execute("insert into entries values (1, 1, 1)")
            away.wait_for(lambda replica: replica.has("entries", 1), 20, "the first transaction comes")
        seen = away.replica
        fill_segments(source, 7)
        # The ring is full: the current segment grows, and no other is opened.
        full = generation(source)
        with source.connect() as session:
            for number in range(5):
                session.execute(THOUSAND, (10_000_000 + number * 1000,))
                session.execute("select paysync.maintain()")
        assert generation(source) == full
        assert all(chunks(source, slot) for slot in range(8))
        written = source.value("select count(*) from entries")
        recorder.wait_for(lambda replica: len(replica.rows["entries"]) == written, 30, "the other subscriber has everything")
        with Recorder(relay.endpoint, "away", seen, own_position=False) as away:
            away.wait_for(lambda replica: len(replica.rows["entries"]) == written, 30, "it has everything")
        wait_for(lambda: source.value("select count(*) from paysync.ring where generation > 0") <= 2, 20,
                 lambda: f"the segments are emptied; {source.execute('select * from paysync.segments')}")
        assert_equal(away.replica, source)


def test_an_acknowledgement_moves_nobody_else(source):
    """Rule: what one subscriber acknowledges changes the number of no other, and takes its own neither back nor past the head."""
    source.execute("select paysync.create_subscriber('other')")
    numbers = "select name, number from paysync.acknowledged() order by name"
    with Drain(source) as drain:
        for number in range(3):
            source.execute("insert into entries values (%s, 1, 1)", (number,))
            drain.tick()
        drain.acknowledge("mirror", 2)
        assert source.execute(numbers) == [("mirror", 2), ("other", 0)]
        drain.acknowledge("other", -1)
        assert source.execute(numbers) == [("mirror", 2), ("other", 0)]
        drain.acknowledge("mirror", 1)
        assert source.execute(numbers) == [("mirror", 2), ("other", 0)]
        drain.acknowledge("mirror", 1000)
        assert source.execute(numbers) == [("mirror", 3), ("other", 0)]


@pytest.mark.parametrize("rows", [1, 3000], ids=["small", "with early parts"])
def test_a_writer_idle_in_its_transaction_is_overtaken_by_switches(source, start_relay, rows):
    """Rule: a transaction that captured before its segment was switched away, emptied and used again is delivered."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder, source.connect(autocommit=False) as writer:
        # It knows the segment from here on.
        writer.execute("insert into entries values (1, 1, 1)")
        writer.commit()
        writer.execute("insert into entries select id, 1, 1 from generate_series(2, %s) as id", (rows + 1,))
        fill_segments(source, 4 if rows > 1000 else 12)
        writer.commit()
        recorder.wait_for(lambda replica: replica.has("entries", rows + 1), 30, "the transaction comes")
        written = source.value("select count(*) from entries")
        recorder.wait_for(lambda replica: len(replica.rows["entries"]) == written, 30, "everything has come")
    assert_equal(recorder.replica, source)


def test_a_writer_stopped_between_two_statements_finds_its_segment(source, start_relay):
    """Rule: a session that knows an old segment and was stopped as a process writes into it, or the new one, and is delivered."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder, source.connect(autocommit=False) as writer:
        writer.execute("insert into entries values (1, 1, 1)")
        writer.commit()
        writer.execute("select 1")
        slot = current_slot(source)
        os.kill(writer.info.backend_pid, signal.SIGSTOP)
        try:
            fill_segments(source, 3)
            wait_for(lambda: not chunks(source, slot), 20, "the old segment is emptied")
        finally:
            os.kill(writer.info.backend_pid, signal.SIGCONT)
        writer.execute("insert into entries values (2, 1, 1)")
        writer.commit()
        recorder.wait_for(lambda replica: replica.has("entries", 2), 20, "the transaction comes")


def test_what_was_committed_into_an_emptied_segment_is_delivered_and_kept(source):
    """Rule: a row that a late writer left in an emptied segment is numbered, read, and kept until it is acknowledged."""
    with Drain(source) as drain, source.connect(autocommit=False) as writer:
        writer.execute("insert into entries values (1, 1, 1)")
        writer.commit()
        writer.execute("insert into entries values (2, 1, 1)")  # in memory; its session knows the segment
        slot = current_slot(source)

        def turn() -> None:
            fill_segments(source, 1)
            drain.acknowledge("mirror", drain.tick())
            source.execute("select paysync.maintain()")

        while chunks(source, slot):
            turn()
        writer.commit()
        late = drain.tick()
        [row] = drain.read(late)
        assert row[0] == late
        for _ in range(9):  # once around, unacknowledged
            with source.connect() as session:
                session.execute(THOUSAND, (20_000_000 + drain.head * 1000,))
            drain.tick()
            drain.acknowledge("mirror", late - 1)
            source.execute("select paysync.maintain()")
        assert drain.read(late)[0] == row


def test_a_position_behind_what_was_emptied_is_gone(source, start_relay):
    """Rule: a position behind what all had acknowledged, and was emptied, is told to be gone: error 200, not damage."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder:
        source.execute("insert into entries values (1, 1, 1)")
        recorder.wait_for(lambda replica: replica.has("entries", 1), 20, "the first transaction comes")
        position, _, _ = recorder.replica.history[recorder.replica.number]
        stream_id = recorder.subscriber.stream_id
        slot = current_slot(source)
        fill_segments(source, 3)
        wait_for(lambda: not chunks(source, slot), 20, "the segment is emptied")
        written = source.value("select count(*) from entries")
        recorder.wait_for(lambda replica: len(replica.rows["entries"]) == written, 30, "everything has come")
    with Subscriber(relay.endpoint, "mirror", position=position, stream_id=stream_id) as late, pytest.raises(Refused) as refused:
        late.receive(20)
    assert refused.value.code == 200, refused.value
    assert refused.value.number > 0


def test_every_position_is_either_served_or_gone(source):
    """Rule: after whatever number one goes on, the stream is there without a hole, or the answer is that it is gone."""
    with Drain(source) as drain:
        for _ in range(3):
            for number in range(20):  # several ticks a segment, transactions across the switch
                source.execute("insert into entries values (%s, 1, 1)", (drain.head * 100 + number,))
                if number % 3 == 0:
                    drain.tick()
            fill_segments(source, 1)
            source.execute("insert into entries values (%s, 1, 1)", (drain.head * 100 + 50,))
            drain.tick()
        drain.acknowledge("mirror", drain.head // 2)
        source.execute("select paysync.maintain()")
        epoch = source.value("select format('%s.%s:', epoch, nonce) from paysync.epochs where end_number is null")
        answers = []
        for number in range(drain.head + 1):
            try:
                source.execute("select * from paysync.open_subscriber('mirror', null, %s, false)", (f"{epoch}{number}",))
                answers.append(True)
            except psycopg.Error as error:
                assert error.sqlstate in ("PS005", "PS003", "PS002"), error
                answers.append(False)
        served = answers.index(True)
        assert 0 < served < drain.head and all(answers[served:]), "gone up to a number, served from there on"
        numbers = [row[0] for row in drain.read(served + 1, 1 << 30) if row[4] == 0]
        assert numbers == list(range(served + 1, drain.head + 1))


@pytest.mark.parametrize("damage", ["transaction", "closing record", "part", "segment"])
def test_what_was_removed_by_hand_is_an_error(source, start_relay, damage):
    """Rule: a numbered transaction whose rows are not there is error 501 with its number, never an empty or shorter one."""
    relay = start_relay(source)
    source.execute("insert into entries values (1, 1, 1)")
    source.execute("insert into entries select id, 1, 1 from generate_series(2, 2000) as id")
    source.execute("insert into entries values (3000, 1, 1)")
    wait_for(lambda: source.value("select paysync.head_number()") == 3, 20, "three transactions are numbered")
    # Not from the memory of the relay.
    relay.stop()
    xid = source.value("select xids[1] from paysync.all_ticks where last_number >= 2 and first_number <= 2 limit 1") \
        if source.value("select count(*) from paysync.all_ticks where first_number = 2") else \
        source.value("select xid from paysync.chunk_0 where part > 0 limit 1")
    source.execute({
        "transaction": f"delete from paysync.closing_0 where xid = '{xid}'; delete from paysync.chunk_0 where xid = '{xid}'",
        "closing record": f"delete from paysync.closing_0 where xid = '{xid}'",
        "part": f"delete from paysync.chunk_0 where xid = '{xid}' and part = 2",
        "segment": "truncate paysync.closing_0, paysync.chunk_0",
    }[damage])
    relay.start()
    number = 1 if damage == "segment" else 2
    with Subscriber(relay.endpoint, "mirror") as subscriber:
        if number == 2:
            assert subscriber.receive(20).number == 1
        with pytest.raises(Refused) as refused:
            subscriber.receive(20)
    assert (refused.value.code, refused.value.number) == (501, number), refused.value
    assert str(number) in refused.value.message and refused.value.hint
    if damage != "part":
        with pytest.raises(psycopg.Error) as error:
            source.execute("select * from paysync.read_transactions(%s, -1, 1000000)", (number,))
        assert error.value.sqlstate == "PS010"
        assert error.value.diag.message_primary == f"transaction {number} is recorded but not in the outbox"
        assert error.value.diag.message_hint


def test_a_changed_byte_is_an_error(source, start_relay):
    """Rule: a transaction whose bytes are not those that were captured is error 501 with its number."""
    relay = start_relay(source)
    source.execute("insert into entries values (1, 1, 77)")
    wait_for(lambda: source.value("select paysync.head_number()") == 1, 20, "it is numbered")
    relay.stop()
    source.execute("update paysync.closing_0 set payload = set_byte(payload, length(payload) - 1, 78)")
    relay.start()
    with Subscriber(relay.endpoint, "mirror") as subscriber, pytest.raises(Refused) as refused:
        subscriber.receive(20)
    assert (refused.value.code, refused.value.number) == (501, 1), refused.value


def test_emptying_never_waits_for_a_writer(source):
    """Rule: a segment that somebody writes to or reads is left for another time, without a wait that others would queue behind."""
    with Drain(source) as drain, source.connect(autocommit=False) as writer:
        writer.execute("insert into entries select id, 1, 1 from generate_series(1, 3000) as id")  # holds the segment's lock
        slot = current_slot(source)
        fill_segments(source, 2)
        drain.acknowledge("mirror", drain.tick())
        with source.connect() as maintenance:
            maintenance.execute("set statement_timeout = '5s'")
            maintenance.execute("select paysync.maintain()")
        assert chunks(source, slot)
        writer.rollback()
        source.execute("select paysync.maintain()")
        assert not chunks(source, slot)
