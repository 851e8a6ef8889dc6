"""The protocol against a fake relay: hello, gaps, credit, acknowledgements, heartbeats, reconnecting."""

from __future__ import annotations

import time

import pytest
from fake_relay import NONCE, STREAM, batch, insert, transaction, welcome_body

from paysync import Position, ProtocolError, Timings, frames
from paysync.errors import Disconnected
from paysync.inbox import Inbox
from paysync.session import Session
from paysync.timings import Backoff

PATIENCE = 5.0


def numbers(subscriber, count):
    """Receive `count` transactions, acknowledge none."""
    return [subscriber.receive(PATIENCE).number for _ in range(count)]


def test_hello_and_first_transaction(relay, subscribe):
    """Rule: HELLO comes first and says who and from where; WELCOME is believed; a transaction arrives whole."""
    subscriber = subscribe(window=65536)
    hello = relay.welcome(start=5, head=9)
    assert (hello.stream_id, hello.position, hello.window, hello.lowest) == (None, None, 65536, 1)
    relay.batch(6, transaction(6, insert(1, "ä"), insert(2)))
    got = subscriber.receive(PATIENCE)
    assert got.position == Position(3, NONCE, 6) and got.xid == 706 and got.total == 2
    assert [change.new for change in got.changes] == [{"id": 1, "note": "ä"}, {"id": 2, "note": "x"}]
    assert got.changes[0].key == {"id": 1} and got.changes[0].table == "payments"
    assert subscriber.stream_id.bytes == STREAM and subscriber.channels == ["default"] and subscriber.head == 9


def test_name_is_the_connections_identity(relay, subscribe):
    """Rule: the name travels as PLAIN user name with an empty password."""
    subscribe("ledger.eu-1")
    heard = relay.expect(frames.HELLO)
    assert heard.user == "ledger.eu-1" and heard.session == 0 and heard.a == 0 and heard.b != 0


def test_position_goes_into_hello(relay, subscribe):
    """Rule: a stored position is given together with its stream id."""
    subscriber = subscribe(position=f"3.{NONCE}:41", stream_id="00010203-0405-0607-0809-0a0b0c0d0e0f")
    hello = relay.welcome(start=41)
    assert (hello.stream_id, hello.position) == (STREAM, f"3.{NONCE}:41")
    relay.batch(42, transaction(42))
    assert numbers(subscriber, 1) == [42]


def test_gap_says_hello_again(relay, subscribe):
    """Rule: a batch that does not follow begins a new session; with a position of its own nothing is lost or doubled."""
    subscriber = subscribe(position=f"3.{NONCE}:0", stream_id="00010203-0405-0607-0809-0a0b0c0d0e0f")
    relay.welcome(session=1)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]
    relay.last = 2
    relay.batch(3, transaction(3))
    hello = relay.welcome(session=2, start=1)
    assert hello.position == f"3.{NONCE}:1"
    relay.batch(2, transaction(2))
    relay.batch(3, transaction(3))
    assert numbers(subscriber, 2) == [2, 3]


def test_ephemeral_goes_on_where_it_was(relay, subscribe):
    """Rule: an ephemeral subscriber begins at the head, and after a loss goes on where it was, not at the new head."""
    subscriber = subscribe("*")
    assert relay.welcome(session=1, start=70).position is None
    relay.batch(71, transaction(71))
    assert numbers(subscriber, 1) == [71]
    relay.error(301, session=1)
    assert relay.welcome(session=2, start=71).position == f"3.{NONCE}:71"


def test_gap_without_own_position_comes_again(relay, subscribe):
    """Rule: without a position of its own it says nil, and what was not acknowledged comes again."""
    subscriber = subscribe()
    relay.welcome(session=1)
    relay.batch(3, transaction(1), transaction(2), transaction(3))
    got = [subscriber.receive(PATIENCE) for _ in range(3)]
    subscriber.acknowledge(got[0].position)
    relay.expect(frames.ACK, lambda heard: heard.a == 1)
    relay.last = 7
    relay.batch(8, transaction(8))
    assert relay.welcome(session=2, start=1).position is None
    subscriber.acknowledge(got[2].position)  # late: it comes again, and only then can it be acknowledged
    relay.batch(3, transaction(2), transaction(3))
    assert numbers(subscriber, 2) == [2, 3]
    assert relay.expect(frames.ACK).a == 1
    subscriber.acknowledge(got[2].position)
    assert relay.expect(frames.ACK, lambda heard: heard.a > 1).a == 3


def test_a_connection_lost_in_a_flood(relay, subscribe):
    """Rule: a connection that ends in the middle of a flood is a loss like any other; libzmq ends the process where it takes
    a socket's pipe away between two frames of a message."""
    subscriber = subscribe(timings=Timings(backoff_least=0.001, backoff_most=0.001))
    for session in range(1, 21):
        relay.welcome(session=session, head=1000)
        for number in range(1, 1001):
            relay.batch(number, transaction(number))
        assert numbers(subscriber, 1) == [1]
        relay.unbind()
        relay.bind()
    relay.welcome(session=21)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]


def test_lost_bytes_say_hello_again(relay, subscribe):
    """Rule: a count of bytes that is not what arrived means a loss."""
    subscriber = subscribe(own_position=True)
    relay.welcome(session=1)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]
    relay.sent += 10
    relay.batch(2, transaction(2))
    assert relay.welcome(session=2, start=1).position == f"3.{NONCE}:1"


@pytest.mark.parametrize("kind", [frames.PING, frames.PONG])
def test_lost_tail_is_found_by_heartbeat(relay, subscribe, kind):
    """Rule: a heartbeat that counts more bytes than arrived means that the tail was lost."""
    subscriber = subscribe(own_position=True)
    relay.welcome(session=1)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]
    relay.batch(2, transaction(2), lose=True)
    relay.send(kind, 1, 2, relay.sent)
    assert relay.welcome(session=2, start=1).position == f"3.{NONCE}:1"


def test_frames_of_other_sessions_are_dropped(relay, subscribe):
    """Rule: frames of another session are dropped without a word, also those that make no sense."""
    subscriber = subscribe()
    relay.welcome(session=5)
    foreign = batch(0, 9, transaction(9))
    relay.send(frames.BATCH, 4, len(foreign), 9, foreign)
    relay.send(frames.SHAPES, 4, 3, 0, b"\xc1")
    relay.send(frames.PING, 4, 9, 12345)
    relay.error(302, session=4)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]


def test_optional_kinds_are_ignored(relay, subscribe):
    """Rule: an unknown kind with bit 0x40 is ignored, with any number of frames."""
    subscriber = subscribe()
    relay.welcome()
    relay.send(0xC1, 1, 0, 0)
    relay.send(0x41, 77, 0, 0, b"x", b"y")
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]


def test_empty_batches_advance(relay, subscribe):
    """Rule: numbers with nothing for us are acknowledged by themselves once all before them is."""
    subscriber = subscribe()
    relay.welcome()
    relay.batch(1, transaction(1))
    relay.batch(50)
    got = subscriber.receive(PATIENCE)
    assert subscriber.receive(0.2) is None
    assert str(subscriber.position) == f"3.{NONCE}:50"
    assert relay.expect(frames.ACK).a == 0
    subscriber.acknowledge(got.position)
    assert relay.expect(frames.ACK, lambda heard: heard.a > 0).a == 50


def test_applied_across_a_loss_is_acknowledged_once_it_came_again(relay, subscribe):
    """Rule: no acknowledgement above what this session was sent, also of what was being applied when the one before ended."""
    subscriber = subscribe(own_position=True)
    relay.welcome(session=1)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]
    relay.batch(2, transaction(2))

    class Sink:
        def begin(self, head):
            """Nothing to prepare."""

        def changes(self, changes):
            """The session ends while they are applied."""
            relay.error(301, session=1)
            relay.welcome(session=2, start=1)

        def commit(self):
            """As if durable."""
            subscriber.acknowledge(Position(3, NONCE, 2))

    assert subscriber.receive_into(Sink(), PATIENCE)
    subscriber.acknowledge(subscriber.position)
    relay.send(frames.PING, 2, 2, relay.sent)
    assert relay.expect(frames.PONG).a == 1
    relay.batch(2, transaction(2))
    assert relay.expect(frames.ACK, lambda heard: heard.a > 1).a == 2
    relay.batch(3, transaction(3))
    assert numbers(subscriber, 1) == [3]


def test_own_position_is_never_overtaken(relay, subscribe):
    """Rule: who keeps its position acknowledges only what it names, or the relay could drop what it still asks for."""
    subscriber = subscribe(own_position=True)
    relay.welcome()
    relay.batch(1, transaction(1))
    relay.batch(50)
    got = subscriber.receive(PATIENCE)
    assert subscriber.receive(0.1) is None
    subscriber.acknowledge(got.position)
    assert relay.expect(frames.ACK, lambda heard: heard.a > 0).a == 1
    subscriber.acknowledge(subscriber.position)
    assert relay.expect(frames.ACK, lambda heard: heard.a > 1).a == 50


def test_credit_follows_consumption(relay, subscribe):
    """Rule: credit is consumed + window, and what the application has not taken is not consumed."""
    subscriber = subscribe(window=65536)
    relay.welcome()
    shapes = relay.sent
    for number in range(1, 6):
        relay.batch(number, transaction(number, insert(number, "x" * 12000)))
    first = relay.expect(frames.ACK)
    assert first.b == shapes + 65536
    size = (relay.sent - shapes) // 5
    numbers(subscriber, 2)
    heard = relay.expect(frames.ACK, lambda heard: heard.b > first.b + size)
    assert abs(heard.b - (shapes + 65536 + 2 * size)) <= 10


def test_relay_that_overruns_the_credit_is_an_error(relay, subscribe):
    """Rule: the window bounds memory, so a relay that sends more is not believed."""
    subscriber = subscribe(window=65536)
    relay.welcome()
    for number in range(1, 8):
        relay.batch(number, transaction(number, insert(number, "x" * 12000)))
    with pytest.raises(ProtocolError, match="credit"):
        numbers(subscriber, 8)


def test_message_larger_than_the_window_passes_alone(relay, subscribe):
    """Rule: when everything before was consumed, one message may be larger than the window."""
    subscriber = subscribe(window=65536)
    relay.welcome()
    relay.expect(frames.ACK, lambda heard: heard.b >= relay.sent + 65536)
    relay.batch(1, transaction(1, insert(1, "x" * 300_000)))
    assert numbers(subscriber, 1) == [1]
    relay.expect(frames.ACK, lambda heard: heard.b >= relay.sent + 65536)
    relay.batch(2, transaction(2))
    assert numbers(subscriber, 1) == [2]


def test_ack_at_once_when_idle(relay, subscribe):
    """Rule: with nothing left to do an acknowledgement does not wait."""
    subscriber = subscribe(timings=Timings(ack=3.0, ping=30.0, dead=60.0))
    relay.welcome()
    for number in range(1, 6):
        relay.batch(number, transaction(number))
        subscriber.acknowledge(subscriber.receive(PATIENCE).position)
        begin = time.monotonic()
        assert relay.expect(frames.ACK, lambda heard: heard.a == number).at - begin < 1.5


def test_acks_are_joined_when_busy(relay, subscribe):
    """Rule: while there is more to do, an ACK stands for 64 messages or 50 ms."""
    subscriber = subscribe(timings=Timings(ack=30.0, ping=30.0, dead=60.0))
    relay.welcome()
    relay.expect(frames.ACK)
    for number in range(1, 258):
        relay.batch(number, transaction(number))
    relay.send(frames.PING, 1, 257, relay.sent)
    relay.expect(frames.PONG)
    for _ in range(256):
        subscriber.acknowledge(subscriber.receive(PATIENCE).position)
    heard = [relay.expect(frames.ACK)]
    while heard[-1].a < 256:
        following = relay.hear(0.3)
        if following is None:
            break
        heard.append(following)
    assert [ack.a for ack in heard] == sorted({ack.a for ack in heard})
    assert 1 <= len(heard) <= 4 and heard[-1].a >= 192


def test_ack_never_goes_back(relay, subscribe):
    """Rule: acknowledging is cumulative; an older position changes nothing, an unknown one is refused here."""
    subscriber = subscribe()
    relay.welcome()
    relay.batch(2, transaction(1), transaction(2))
    first, second = subscriber.receive(PATIENCE), subscriber.receive(PATIENCE)
    subscriber.acknowledge(second.position)
    subscriber.acknowledge(first.position)
    assert relay.expect(frames.ACK, lambda heard: heard.a > 0).a == 2
    for unknown in (f"3.{NONCE}:3", "4.00000000:9"):
        with pytest.raises(ValueError):
            subscriber.acknowledge(unknown)


def test_ping_is_answered_while_the_application_works(relay, subscribe):
    """Rule: heartbeats need no receive(); a PONG says what was applied and received."""
    subscriber = subscribe()
    relay.welcome()
    relay.batch(1, transaction(1))
    relay.send(frames.PING, 1, 1, relay.sent)
    heard = relay.expect(frames.PONG)
    assert (heard.session, heard.a, heard.b) == (1, 0, relay.sent)
    subscriber.acknowledge(subscriber.receive(PATIENCE).position)
    relay.expect(frames.ACK, lambda ack: ack.a == 1)
    relay.send(frames.PING, 1, 1, relay.sent)
    assert relay.expect(frames.PONG).a == 1


def test_silence_is_pinged_and_then_given_up(relay, subscribe):
    """Rule: after silence comes a PING, after more of it a new connection with a new HELLO of the same instance."""
    subscribe()
    first = relay.expect(frames.HELLO)
    relay.send(frames.WELCOME, 1, 0, 0, welcome_body())
    relay.expect(frames.PING, lambda heard: heard.session == 1)
    second = relay.expect(frames.HELLO)
    assert second.peer != first.peer and second.b == first.b and second.session == 0


def test_no_welcome_makes_a_new_connection(relay, subscribe):
    """Rule: a connection that is not welcomed in time is given up."""
    subscribe()
    assert relay.expect(frames.HELLO).peer != relay.expect(frames.HELLO).peer


def test_restarted_relay_is_found_again(relay, subscribe):
    """Rule: when the relay goes away and comes back, the subscriber goes on where it was."""
    subscriber = subscribe(own_position=True)
    relay.welcome(session=1)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]
    relay.unbind()
    relay.bind()
    assert relay.welcome(session=2, start=1).position == f"3.{NONCE}:1"
    relay.batch(2, transaction(2))
    assert numbers(subscriber, 1) == [2]


def test_endpoints_are_tried_in_turn(relay, subscribe):
    """Rule: of several endpoints the one that answers is used."""
    subscriber = subscribe(relay=["tcp://127.0.0.1:1", "ipc:///tmp/paysync-no-such-socket", relay.endpoint])
    relay.welcome()
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]


def test_gaps_without_progress_wait():
    """Rule: saying HELLO again at once is for the first gap; if it brings nothing the connection is given up."""
    timings = Timings()
    session = Session(
        Inbox(None, True, lambda: None), Backoff(timings), timings,
        window=65536, instance=1, software="test", stream_id=None,
    )
    session.hello(0.0)
    session.handle([frames.encode_frame(frames.WELCOME, 1, 0, 0), welcome_body()], 0.0)
    gap = batch(5, 6)
    session.handle([frames.encode_frame(frames.BATCH, 1, len(gap), 6), gap], 0.0)
    assert frames.decode_frame(session.outgoing[0][0]).kind == frames.HELLO
    session.handle([frames.encode_frame(frames.WELCOME, 2, 0, 0), welcome_body()], 0.0)
    with pytest.raises(Disconnected):
        session.handle([frames.encode_frame(frames.BATCH, 2, len(gap), 6), gap], 0.0)
