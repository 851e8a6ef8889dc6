"""What an operator does to a subscriber reaches its session within a second or two: it is told to say HELLO again, and the answer
to that tells."""

import pytest

from harness import wait_for
from harness.raw_session import BATCH, ERROR, SHAPES, RawSession

STALE, CUT_OFF, PAUSED, UNKNOWN = 301, 205, 403, 102


@pytest.fixture(name="source")
def fixture_source(database):
    """A table, a subscriber, ten transactions."""
    database.execute("create table t (id int primary key, note text)")
    database.execute("select paysync.register('t')")
    database.execute("select paysync.create_subscriber('one')")
    for number in range(1, 11):
        database.execute("insert into t values (%s, 'n')", (number,))
    return database


def take(session, number: int) -> list:
    """Numbers of the transactions that come up to `number`."""
    taken = []
    while True:
        message = session.receive()
        assert message is not None and message.kind in (SHAPES, BATCH), message
        session.grant()
        if message.kind == BATCH:
            taken += [one[0] for one in message.body[4]]
            if message.body[1] >= number:
                return taken


def told(session) -> None:
    """The session is over within a few seconds."""
    error = session.expect(ERROR, 10)
    assert error.a == STALE


def position_of(source, number: int) -> str:
    return source.value("select paysync.position_of(%s)", (number,))


def test_pause_and_resume(source, relay):
    """Rule: a paused subscriber's session ends with 301, its HELLO gets 403 until it is resumed, and then goes on."""
    with RawSession(relay.endpoint, "one") as session:
        session.welcome()
        assert take(session, 10) == list(range(1, 11))
        source.execute("select paysync.pause_subscriber('one')")
        told(session)
        session.greet()
        assert session.expect(ERROR).a == PAUSED
        source.execute("insert into t values (11, 'n')")
        source.execute("select paysync.resume_subscriber('one')")
        session.greet()
        assert session.welcome()[7] == position_of(source, 0)


def test_a_dropped_subscriber_is_told(source, relay):
    """Rule: the session of a dropped subscriber ends with 301, and its HELLO gets 102."""
    with RawSession(relay.endpoint, "one") as session:
        session.welcome()
        source.execute("select paysync.drop_subscriber('one')")
        while (message := session.receive(10)).kind != ERROR:
            pass
        assert message.a == STALE
        session.greet()
        assert session.expect(ERROR).a == UNKNOWN


def test_a_replay_begins_where_it_was_asked_for(source, relay):
    """Rule: who brings no position starts at the replay's, also where its last acknowledgement was not written down yet; what an
    older session acknowledged does not end the replay."""
    with RawSession(relay.endpoint, "one") as session:
        session.welcome()
        take(session, 10)
        session.acknowledge(5)
        wait_for(lambda: source.value("select number from paysync.acknowledged() where name = 'one'") == 5, 10, "it is acknowledged")
        session.acknowledge(10)
        source.execute("select paysync.replay('one', from_position => %s)", (position_of(source, 3),))
        error = session.receive(10)
        assert (error.kind, error.a) == (ERROR, STALE)
        session.greet()
        welcome = session.welcome()
        assert welcome[7] == welcome[8] == position_of(source, 3)
        assert take(session, 10) == list(range(4, 11))
        assert source.value("select number from paysync.acknowledged() where name = 'one'") == 3
        session.acknowledge(10)
        wait_for(lambda: source.value("select number from paysync.acknowledged() where name = 'one'") == 10, 10, "it is acknowledged")
        session.greet()
        assert 8 not in session.welcome()


def test_who_brings_a_position_obeys_a_replay_or_hears_of_it(source, relay):
    """Rule: with `obeys rewinds` the replay's position wins over the subscriber's own; without it the WELCOME only tells."""
    with RawSession(relay.endpoint, "one") as session:
        stream = session.welcome()[2]
        take(session, 10)
        session.acknowledge(10)
        wait_for(lambda: source.value("select number from paysync.acknowledged() where name = 'one'") == 10, 10, "it is acknowledged")
    source.execute("select paysync.replay('one', from_position => %s)", (position_of(source, 3),))
    own = position_of(source, 8)
    with RawSession(relay.endpoint, "one", stream_id=stream, position=own) as session:
        welcome = session.welcome()
        assert (welcome[7], welcome[8]) == (own, position_of(source, 3))
        assert take(session, 10) == [9, 10]
        session.greet(stream_id=stream, position=own, obeys_rewinds=True)
        welcome = session.welcome()
        assert welcome[7] == welcome[8] == position_of(source, 3)
        assert take(session, 10) == list(range(4, 11))
    with RawSession(relay.endpoint, "one", stream_id=stream, position=own, highest=1) as session:
        assert not {8, 9} & session.welcome().keys()


def test_a_skipped_number_is_never_sent(source, relay):
    """Rule: skip() ends the session; the next one is told of the number, passes over it, and gets what follows."""
    with RawSession(relay.endpoint, "one") as session:
        session.welcome()
        take(session, 10)
        session.acknowledge(4)
        wait_for(lambda: source.value("select number from paysync.acknowledged() where name = 'one'") == 4, 10, "it is acknowledged")
        source.execute("select paysync.skip('one', %s, 'bad')", (position_of(source, 7),))
        told(session)
        session.greet()
        welcome = session.welcome()
        assert welcome[7] == position_of(source, 4) and welcome[9] == [7]
        assert take(session, 10) == [5, 6, 8, 9, 10]
        # Said again on the same connection, it comes behind the acknowledgement, which may not be written down yet.
        session.acknowledge(10)
        session.greet()
        assert 9 not in session.welcome()


def test_who_was_cut_off_is_told_by_name(source, relay):
    """Rule: past its limit a subscriber's session ends, its HELLO gets 205 with the oldest number to go on after, and its state
    says that it heard of it."""
    with RawSession(relay.endpoint, "one") as session:
        session.welcome()
        take(session, 10)
        source.execute("select paysync.alter_subscriber('one', options => '{\"max_lag_bytes\": 1}')")
        source.execute("select paysync.maintain()")
        told(session)
        session.greet()
        answer = session.expect(ERROR)
        assert answer.a == CUT_OFF and answer.b <= 10
    wait_for(lambda: source.value("select state from paysync.subscribers where name = 'one'") == "needs_copy", 20, "it was told")
