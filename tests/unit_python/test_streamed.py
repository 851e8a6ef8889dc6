"""Transactions in parts, against a fake relay: whole, piece by piece, interrupted, repeated."""

from __future__ import annotations

import time

import msgpack
import pytest
from fake_relay import NONCE, insert, transaction

from paysync import Closed, PaysyncError, Position, Refused, TransactionSink, frames

PATIENCE = 5.0
STREAM_ID = "00010203-0405-0607-0809-0a0b0c0d0e0f"
THREE = (insert(1), insert(2), insert(3))
TOLD = ["begin", [1], [2], [3], "commit"]


class Recorder(TransactionSink):
    """Notes what it is told; raises once at the word `raises_at`."""

    def __init__(self):
        self.words = []
        self.head = None
        self.raises_at = None
        self.before_commit = lambda: None

    def say(self, word):
        """Note a word."""
        self.words.append(word)
        if word == self.raises_at:
            self.raises_at = None
            raise RuntimeError(f"sink fails at {word}")

    def begin(self, head):
        self.head = head
        self.say("begin")

    def changes(self, changes):
        self.say([change.new["id"] for change in changes])

    def commit(self):
        self.before_commit()
        self.say("commit")

    def abort(self):
        self.say("abort")

    def take(self):
        """What was noted since the last call."""
        words, self.words = self.words, []
        return words


def take_words(subscriber, sink, count):
    """Receive until the sink was told so many words, at least."""
    deadline = time.monotonic() + PATIENCE
    while len(sink.words) < count and time.monotonic() < deadline:
        subscriber.receive_into(sink, 0.02)
    return sink.take()


def test_receive_puts_it_together(relay, subscribe):
    """Rule: receive() gives a transaction in parts whole; it is like any other."""
    subscriber = subscribe()
    assert relay.welcome().highest == 2
    relay.batch(1, transaction(1))
    relay.streamed(2, *THREE)
    relay.batch(3, transaction(3))
    assert subscriber.receive(PATIENCE).number == 1
    got = subscriber.receive(PATIENCE)
    assert (got.number, got.xid, got.total, [change.new["id"] for change in got.changes]) == (2, 702, 3, [1, 2, 3])
    assert subscriber.receive(PATIENCE).number == 3
    subscriber.acknowledge(f"3.{NONCE}:3")
    relay.expect(frames.ACK, lambda heard: heard.a == 3)


def test_a_sink_gets_pieces(relay, subscribe):
    """Rule: every transaction, small ones too, is begin, changes, commit; and the two ways may be mixed."""
    subscriber = subscribe()
    relay.welcome()
    relay.batch(2, transaction(1), transaction(2))
    relay.streamed(3, *THREE)
    relay.batch(4, transaction(4))
    sink = Recorder()
    assert subscriber.receive_into(sink, PATIENCE)
    assert sink.take() == ["begin", [1], "commit"] and sink.head.number == 1 and sink.head.streamed_bytes == 0
    assert subscriber.receive(PATIENCE).number == 2
    assert subscriber.receive_into(sink, PATIENCE)
    assert sink.take() == TOLD
    assert (sink.head.number, sink.head.count, sink.head.streamed_bytes) == (3, 3, sum(map(len, THREE)))
    assert subscriber.receive(PATIENCE).number == 4


@pytest.mark.parametrize("cut", [1, 5, 100_000])
@pytest.mark.parametrize("whole", [True, False])
def test_cut_changes_are_put_together(relay, subscribe, cut, whole):
    """Rule: a change that is longer than a part is one change, wherever it was cut, and others stand beside it."""
    subscriber = subscribe()
    relay.welcome()
    large = insert(2, "x" * 700_000)
    relay.begin(1, insert(1), large, insert(3))
    relay.part(1, 0, insert(1) + large[:cut], True)
    relay.part(1, 1, large[cut : cut + 262_000], True)
    relay.part(1, 2, large[cut + 262_000 : cut + 524_000], True)
    relay.part(1, 3, large[cut + 524_000 :] + insert(3))
    relay.end(1)
    if whole:
        got = subscriber.receive(PATIENCE)
        assert [len(change.new["note"]) for change in got.changes] == [1, 700_000, 1]
    else:
        sink = Recorder()
        assert subscriber.receive_into(sink, PATIENCE)
        assert sink.take() == ["begin", [1], [2, 3], "commit"]


def test_a_cut_array_is_put_together(relay, subscribe):
    """Rule: where a change ends is found whatever its values are, each byte looked at once."""
    subscriber = subscribe()
    relay.welcome(shapes=False)
    relay.data(frames.SHAPES, msgpack.packb([[7, ["s", "t", "default", [["a", "integer[]", 18], ["b", "float8", 9]], []]]]))
    numbers = list(range(200_000))
    change = msgpack.packb([0, 7, 0, [numbers, 1.5]])
    relay.begin(1, change)
    for index in range(0, len(change), 100_000):
        relay.part(1, index // 100_000, change[index : index + 100_000], index + 100_000 < len(change))
    relay.end(1)
    got = subscriber.receive(PATIENCE)
    assert got.changes[0].new == {"a": numbers, "b": 1.5}


@pytest.mark.parametrize("own", [True, False])
def test_only_commit_makes_it_count(relay, subscribe, own):
    """Rule: a position is acknowledged after its commit() or inside of it, never before."""
    subscriber = subscribe(own_position=own)
    relay.welcome()
    sink = Recorder()
    relay.begin(1, *THREE)
    relay.part(1, 0, THREE[0])
    assert take_words(subscriber, sink, 2) == ["begin", [1]]
    assert subscriber.position.number == 0
    with pytest.raises(ValueError):
        subscriber.acknowledge(f"3.{NONCE}:1")
    with pytest.raises(PaysyncError, match="under way"):
        subscriber.receive(0)
    relay.part(1, 1, THREE[1] + THREE[2])
    relay.end(1)
    relay.send(frames.PING, 1, 1, relay.sent)
    assert relay.expect(frames.PONG).a == 0
    sink.before_commit = lambda: subscriber.acknowledge(sink.head.position)
    assert subscriber.receive_into(sink, PATIENCE)
    relay.expect(frames.ACK, lambda heard: heard.a == 1)
    assert subscriber.position.number == 1


@pytest.mark.parametrize("word, aborts", [("begin", 0), ([1], 1), ([3], 1), ("commit", 1)])
@pytest.mark.parametrize("own", [True, False])
def test_what_the_sink_refuses_comes_again(relay, subscribe, word, aborts, own):
    """Rule: what a sink raises passes through after abort(), and the transaction begins again, a small one as well."""
    subscriber = subscribe(own_position=own)
    relay.welcome(session=1)
    relay.batch(1, transaction(1))
    relay.streamed(2, *THREE)
    sink = Recorder()
    sink.raises_at = [1]
    with pytest.raises(RuntimeError):
        subscriber.receive_into(sink, PATIENCE)
    assert sink.take() == ["begin", [1], "abort"]
    assert subscriber.receive_into(sink, PATIENCE)
    subscriber.acknowledge(sink.head.position)
    sink.take()
    sink.raises_at = word
    sink.before_commit = lambda: subscriber.acknowledge(sink.head.position)
    with pytest.raises(RuntimeError):
        subscriber.receive_into(sink, PATIENCE)
    assert sink.take().count("abort") == aborts
    assert relay.welcome(session=2, start=1).position == (f"3.{NONCE}:1" if own else None)
    relay.streamed(2, *THREE)
    relay.batch(3, transaction(3))
    assert subscriber.receive_into(sink, PATIENCE)
    assert sink.take() == TOLD
    assert subscriber.receive(PATIENCE).number == 3
    relay.expect(frames.ACK, lambda heard: heard.a == 2)


ENDS = {
    "stale": lambda relay: relay.error(301, session=1),
    "restart": lambda relay: (relay.unbind(), relay.bind()),
    "bye": lambda relay: (relay.send(frames.BYE, 1, 0, 1, b"\x81\x01\xa1x"), relay.expect(frames.BYE)),
    "database down": lambda relay: relay.error(402, session=1),
    "lost bytes": lambda relay: relay.send(frames.PING, 1, 1, relay.sent + 1),
    "lost part": lambda relay: relay.part(1, 7, THREE[1]),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("parts", [0, 2])
def test_aborted_once_when_the_session_breaks(relay, subscribe, end, parts):
    """Rule: at whatever part the session ends, and however, abort() comes once; then it begins again."""
    subscriber = subscribe(own_position=True)
    relay.welcome(session=1)
    relay.begin(1, *THREE)
    for index in range(parts):
        relay.part(1, index, THREE[index])
    sink = Recorder()
    assert take_words(subscriber, sink, 1 + parts) == TOLD[: 1 + parts]
    ENDS[end](relay)
    assert take_words(subscriber, sink, 1) == ["abort"]
    relay.welcome(session=2)
    relay.streamed(1, *THREE)
    assert subscriber.receive_into(sink, PATIENCE)
    assert sink.take() == TOLD


def test_its_end_outlives_the_session(relay, subscribe, caplog):
    """Rule: one that came to its end is handed over although the connection broke; what began behind it is not."""
    subscriber = subscribe(own_position=True)
    relay.welcome()
    relay.begin(1, *THREE)
    sink = Recorder()
    assert take_words(subscriber, sink, 1) == ["begin"]
    relay.part(1, 0, b"".join(THREE))
    relay.end(1)
    relay.begin(2, *THREE)
    relay.part(2, 0, THREE[0])
    relay.send(frames.PING, 1, 2, relay.sent)
    relay.expect(frames.PONG)
    relay.send(frames.BYE, 1, 0, 5000, b"\x81\x01\xa1x")
    deadline = time.monotonic() + PATIENCE
    while "good-bye" not in caplog.text:
        assert time.monotonic() < deadline
    assert subscriber.receive_into(sink, PATIENCE)
    assert sink.take() == [[1, 2, 3], "commit"]
    assert not subscriber.receive_into(sink, 0.1)
    assert sink.take() == []


def test_a_commit_outlives_the_session(relay, subscribe):
    """Rule: a session that ends while commit() runs does not bring the transaction again to one that keeps its position."""
    subscriber = subscribe(own_position=True)
    relay.welcome(session=1)
    relay.streamed(1, *THREE)
    sink = Recorder()

    def renew():
        relay.error(301, session=1)
        assert relay.welcome(session=2).position == f"3.{NONCE}:0"
        relay.streamed(1, *THREE)
        relay.batch(2, transaction(2))
        relay.send(frames.PING, 2, 2, relay.sent)
        relay.expect(frames.PONG)

    sink.before_commit = renew
    assert subscriber.receive_into(sink, PATIENCE)
    assert sink.take() == TOLD
    assert subscriber.receive(PATIENCE).number == 2
    subscriber.acknowledge(f"3.{NONCE}:2")
    relay.expect(frames.ACK, lambda heard: heard.a == 2 and heard.b >= relay.sent)


def test_close_aborts(relay, subscribe):
    """Rule: after close() a last receive_into() aborts what is under way, once, and raises Closed."""
    subscriber = subscribe()
    relay.welcome()
    relay.begin(1, *THREE)
    sink = Recorder()
    assert take_words(subscriber, sink, 1) == ["begin"]
    subscriber.close()
    assert sink.take() == []
    for words in (["abort"], []):
        with pytest.raises(Closed):
            subscriber.receive_into(sink, 0)
        assert sink.take() == words


def test_a_refusal_aborts(relay, subscribe):
    """Rule: where the stream ends inside of a transaction, it is aborted before the error is raised."""
    subscriber = subscribe()
    relay.welcome()
    relay.begin(1, *THREE)
    sink = Recorder()
    assert take_words(subscriber, sink, 1) == ["begin"]
    relay.error(501, 1, session=1)
    for words in (["abort"], []):
        with pytest.raises(Refused):
            while not subscriber.receive_into(sink, PATIENCE):
                pass
        assert sink.take() == words


def test_a_sink_goes_on_where_receive_gave_up(relay, subscribe):
    """Rule: what receive() has put by when its time is over is not lost for a sink, nor for the next receive()."""
    subscriber = subscribe()
    relay.welcome()
    for number in (1, 2):
        relay.begin(number, *THREE)
        relay.part(number, 0, THREE[0] + THREE[1])
        relay.send(frames.PING, 1, 2, relay.sent)
        relay.expect(frames.PONG)
        for _ in range(4):
            assert subscriber.receive(0.01) is None
        relay.part(number, 1, THREE[2])
        relay.end(number)
        if number == 1:
            sink = Recorder()
            assert subscriber.receive_into(sink, PATIENCE)
            assert sink.take() == ["begin", [1, 2, 3], "commit"]
        else:
            assert len(subscriber.receive(PATIENCE).changes) == 3


def test_receive_has_a_limit(relay, subscribe):
    """Rule: receive() takes no more of a transaction in parts than it was allowed, and says what to do instead."""
    subscriber = subscribe(max_transaction_bytes=2 * len(THREE[0]))
    relay.welcome()
    relay.streamed(1, *THREE)
    for _ in range(2):
        with pytest.raises(PaysyncError, match="receive_into"):
            subscriber.receive(PATIENCE)


def test_credit_comes_back_part_by_part(relay, subscribe):
    """Rule: parts count against the window as batches do, and credit comes back as they are taken."""
    subscriber = subscribe(window=65536)
    relay.welcome()
    shapes = relay.sent
    wide = [insert(number, "a" * 20_000) for number in (1, 2)]
    relay.begin(1, *wide)
    relay.part(1, 0, wide[0])
    first = relay.sent
    relay.part(1, 1, wide[1])
    assert relay.expect(frames.ACK).b == shapes + 65536
    sink = Recorder()
    while len(sink.words) < 2:
        subscriber.receive_into(sink, 0)
    sink.take()
    relay.expect(frames.ACK, lambda heard: heard.b == first + 65536 and heard.a == 0)
    take_words(subscriber, sink, 1)
    relay.expect(frames.ACK, lambda heard: heard.b == relay.sent + 65536 and heard.a == 0)


def test_rewinds(relay, subscribe):
    """Rule: a replay is obeyed by who keeps no position, and by who says that it obeys; others are only told."""
    obeys = subscribe(position=f"3.{NONCE}:9", stream_id=STREAM_ID, obeys_rewinds=True)
    asked = relay.welcome(session=1, start=7, changed={8: f"3.{NONCE}:7", 9: [8]})
    assert asked.obeys_rewinds and asked.position == f"3.{NONCE}:9"
    relay.batch(9, transaction(9))
    assert obeys.receive(PATIENCE).number == 9
    assert obeys.rewound == Position(3, NONCE, 7) and obeys.skipped == [8]
    relay.error(301, session=1)
    assert relay.welcome(session=2, start=7, changed={8: f"3.{NONCE}:7"}).position == f"3.{NONCE}:9"
    relay.batch(10, transaction(9), transaction(10))
    assert obeys.receive(PATIENCE).number == 10, "what was handed out after the replay does not come a third time"
    obeys.acknowledge(f"3.{NONCE}:10")
    relay.expect(frames.ACK, lambda heard: heard.a == 10)
    obeys.close()
    relay.expect(frames.BYE)
    keeps = subscribe(position=f"3.{NONCE}:9", stream_id=STREAM_ID)
    assert not relay.welcome(session=3, start=9, changed={8: f"3.{NONCE}:7"}).obeys_rewinds
    relay.batch(10, transaction(10))
    assert keeps.receive(PATIENCE).number == 10 and keeps.rewound.number == 7
