"""What ends or interrupts a stream, against a fake relay: errors, BYE, contradictions, closing."""

from __future__ import annotations

import time

import msgpack
import pytest
from fake_relay import NONCE, insert, transaction

from paysync import Closed, CorruptError, ProtocolError, Refused, Subscriber, Timings, frames

PATIENCE = 5.0


def numbers(subscriber, count):
    """Receive `count` transactions, acknowledge none."""
    return [subscriber.receive(PATIENCE).number for _ in range(count)]


def test_bye_is_obeyed(relay, subscribe):
    """Rule: after BYE the subscriber comes back after the time it was told."""
    subscribe()
    relay.welcome()
    relay.send(frames.BYE, 1, 0, 300, b"\x81\x01\xa5drain")
    begin = time.monotonic()
    relay.expect(frames.BYE)
    assert relay.expect(frames.HELLO).at - begin >= 0.25


def test_bye_is_answered(relay, subscribe):
    """Rule: a relay that drains gets the last ACK, however long that could have waited, and BYE."""
    subscriber = subscribe(timings=Timings(ack=60.0))
    relay.welcome()
    relay.batch(2, transaction(1), transaction(2))
    subscriber.acknowledge(subscriber.receive(PATIENCE).position)
    relay.send(frames.BYE, 1, 0, 300, b"\x81\x01\xa5drain")
    assert relay.expect(frames.ACK, lambda heard: heard.a == 1)
    assert relay.expect(frames.BYE).a == 1


@pytest.mark.parametrize("code", [401, 402, 499])
def test_passing_errors_come_back(relay, subscribe, code):
    """Rule: codes from 400 to 499 pass by themselves."""
    subscriber = subscribe()
    relay.expect(frames.HELLO)
    relay.error(code)
    relay.welcome()
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]


@pytest.mark.parametrize("code, name", [
    (100, "BAD_VERSION"), (101, "BAD_FRAME"), (102, "UNKNOWN_SUBSCRIBER"), (200, "GONE"), (201, "TRUNCATED"),
    (202, "STREAM_MISMATCH"), (203, "FUTURE"), (204, "UNKNOWN_HISTORY"), (302, "ACK_RANGE"), (303, "BUSY"),
    (500, "TRANSACTION_TOO_LARGE"), (501, "CORRUPT"), (777, "ERROR"),
])
def test_refusals_stop(relay, subscribe, code, name):
    """Rule: what does not pass by itself is raised, with all that the relay said, each time."""
    subscriber = subscribe()
    relay.expect(frames.HELLO)
    relay.error(code, 17, message="no", detail="Because.", hint="Do this.")
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            subscriber.receive(PATIENCE)
        error = caught.value
        assert (error.code, error.name, error.number) == (code, name, 17)
        assert (error.message, error.detail, error.hint) == ("no", "Because.", "Do this.")


def test_refusal_comes_after_what_came_before_it(relay, subscribe):
    """Rule: transactions before an error are handed out, or an application could never get past them."""
    subscriber = subscribe()
    relay.welcome()
    relay.batch(1, transaction(1))
    relay.batch(2, transaction(2))
    relay.error(500, 3, session=1)
    relay.nothing(frames.HELLO, 0.2)
    assert numbers(subscriber, 2) == [1, 2]
    with pytest.raises(Refused):
        subscriber.receive(PATIENCE)


def test_stale_session_says_hello_again(relay, subscribe):
    """Rule: error 301 begins a new session."""
    subscriber = subscribe()
    relay.welcome(session=1)
    relay.error(301, session=1)
    relay.welcome(session=2)
    relay.batch(1, transaction(1))
    assert numbers(subscriber, 1) == [1]


def test_refused_handshake_stops(relay, subscribe):
    """Rule: an identity that the relay's security layer refuses is an error, not an endless retry."""
    relay.refuse = True
    with pytest.raises(Refused, match="identity"):
        subscribe().receive(PATIENCE)


def test_digest_mismatch_is_raised(relay, subscribe):
    """Rule: a transaction that is not what was recorded is not handed out, nor anything after it."""
    subscriber = subscribe()
    relay.welcome()
    good, bad = transaction(1), transaction(2)
    bad[7] = insert(3)
    relay.batch(3, good, bad, transaction(3))
    assert numbers(subscriber, 1) == [1]
    for _ in range(2):
        with pytest.raises(CorruptError) as caught:
            subscriber.receive(PATIENCE)
    assert caught.value.position == f"3.{NONCE}:2"


@pytest.mark.parametrize("body", [{7: f"3.{NONCE}:8"}, {1: 3}, {2: b"x" * 15}, {4: "9F2C41AA"}])
def test_bad_welcome_is_raised(relay, subscribe, body):
    """Rule: a WELCOME that contradicts itself or the HELLO is not believed."""
    subscriber = subscribe()
    relay.welcome(shapes=False, changed=body)
    with pytest.raises(ProtocolError):
        subscriber.receive(PATIENCE)


def test_other_start_than_asked_is_raised(relay, subscribe):
    """Rule: a subscriber with its own position never goes on anywhere else."""
    subscriber = subscribe(position=f"3.{NONCE}:41", stream_id="00010203-0405-0607-0809-0a0b0c0d0e0f")
    relay.welcome(start=40)
    with pytest.raises(ProtocolError, match="goes on after"):
        subscriber.receive(PATIENCE)


def test_other_stream_is_refused(relay, subscribe):
    """Rule: a second endpoint that serves another database is never taken for the first."""
    subscriber = subscribe()
    relay.welcome(session=1)
    relay.error(301, session=1)
    relay.welcome(session=2, stream=b"y" * 16, shapes=False)
    with pytest.raises(Refused) as caught:
        subscriber.receive(PATIENCE)
    assert caught.value.code == 202


def test_unknown_form_stops(relay, subscribe):
    """Rule: a form that is not known stops the stream with its name."""
    subscriber = subscribe()
    relay.welcome(shapes=False)
    relay.data(frames.SHAPES, _shapes_with_form(12))
    with pytest.raises(ProtocolError, match="form 12"):
        subscriber.receive(PATIENCE)


def test_shape_never_changes(relay, subscribe):
    """Rule: one id stands for one shape in a session."""
    subscriber = subscribe()
    relay.welcome()
    relay.data(frames.SHAPES, _shapes_with_form(0))
    with pytest.raises(ProtocolError, match="shape 7"):
        subscriber.receive(PATIENCE)


def test_close_acknowledges_and_says_good_bye(relay, subscribe):
    """Rule: close() sends what was acknowledged last and BYE; iteration ends, receive() raises."""
    subscriber = subscribe(timings=Timings(ack=60.0))
    relay.welcome()
    relay.batch(2, transaction(1), transaction(2))
    subscriber.acknowledge(subscriber.receive(PATIENCE).position)
    subscriber.close()
    assert relay.expect(frames.ACK, lambda heard: heard.a == 1)
    heard = relay.expect(frames.BYE)
    assert (heard.session, heard.a, heard.body) == (1, 1, None)
    assert list(subscriber) == []
    with pytest.raises(Closed):
        subscriber.receive()
    subscriber.close()


def test_wrong_arguments():
    """Rule: what can be known to be wrong is refused before anything is sent."""
    for options in (
        {"name": "Upper"}, {"name": ""}, {"name": ".x"}, {"name": "x" * 64}, {"window": 1}, {"relay": []},
        {"relay": "127.0.0.1:7420"}, {"position": f"1.{NONCE}:1"}, {"position": "x", "stream_id": "y"},
    ):
        with pytest.raises(ValueError):
            Subscriber(**options)


def _shapes_with_form(form):
    return msgpack.packb([[7, ["public", "payments", "default", [["id", "bigint", form]], [0]]]])
