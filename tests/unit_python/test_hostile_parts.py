"""Transactions in parts from a relay that breaks the rules: an error at once, nothing of it counts, memory is bounded."""

from __future__ import annotations

import os
import random

import msgpack
import pytest
from fake_relay import begin, insert, part
from test_streamed import THREE, Recorder

from paysync import CorruptError, PaysyncError, ProtocolError, frames
from paysync.decode import decode_begin, decode_shapes
from paysync.pieces import MOST_CHANGE_BYTES, OpenTransaction, Piece
from paysync.value_end import ValueEnd

PATIENCE = 5.0
LARGE = insert(1, "x" * 600_000)


def send_part(body):
    """A BEGIN of large changes, then this as PART."""

    def misbehave(relay):
        relay.begin(1, LARGE, insert(2))
        relay.data(frames.PART, body, 1)

    return misbehave


def steps(*calls):
    """Methods of the relay, one after the other."""

    def misbehave(relay):
        for name, *arguments in calls:
            getattr(relay, name)(*arguments)

    return misbehave


BEGIN = ("begin", 1, *THREE)
WHOLE = ("part", 1, 0, b"".join(THREE))
EVENT = msgpack.packb([4, "other", 0, "t", None, "{}", "{}"])
CASES = {
    "part first": (steps(("part", 1, 0, THREE[0])), "outside"),
    "end first": (steps(("end", 1)), "outside"),
    "begin twice": (steps(BEGIN, BEGIN), "inside"),
    "batch inside": (steps(BEGIN, ("batch", 1)), "BATCH inside"),
    "shapes inside": (steps(BEGIN, ("data", frames.SHAPES, b"\x90")), "SHAPES inside"),
    "part of another": (steps(BEGIN, ("part", 2, 0, THREE[0])), "another"),
    "end of another": (steps(BEGIN, WHOLE, ("end", 2)), "another"),
    "begin of another": (steps(("data", frames.BEGIN, begin(0, 1, *THREE), 2)), "announced as 2"),
    "end early": (steps(BEGIN, ("part", 1, 0, THREE[0]), ("end", 1)), "not what was recorded"),
    "end with other": (steps(BEGIN, ("part", 1, 0, THREE[0] + THREE[1] + insert(4)), ("end", 1)), "not what was recorded"),
    "more changes": (
        steps(("data", frames.BEGIN, begin(0, 1, *THREE[:2], length=99), 1), WHOLE), "not what was recorded"),
    "more bytes": (steps(("data", frames.BEGIN, begin(0, 1, *THREE, length=9), 1), WHOLE), "more of transaction"),
    "other channel": (
        steps(("data", frames.BEGIN, begin(0, 1, *THREE, length=99), 1), ("part", 1, 0, EVENT)), "not what was recorded"),
    "unknown shape": (
        steps(BEGIN, ("part", 1, 0, msgpack.packb([0, 8, 0, [1, "x"]]))), "not described"),
    "empty part": (send_part(part(0, b"")), "malformed PART"),
    "long part": (send_part(part(0, LARGE[: 256 * 1024 + 1], True)), "malformed PART"),
    "cut part": (send_part(b"\x93"), "malformed PART"),
    "flag is no flag": (send_part(msgpack.packb([0, 1, b"x"])), "malformed PART"),
    "trailing": (send_part(part(0, LARGE[:9], True) + b"\x00"), "malformed PART"),
    "ends inside": (send_part(part(0, LARGE[:1000])), "malformed|ends inside"),
    "ends whole": (send_part(part(0, insert(2), True)), "ends with a whole"),
    "no change": (send_part(part(0, b"\xc1", True)), "malformed change"),
    "covers nothing": (steps(("data", frames.BEGIN, begin(1, 1, *THREE), 1)), "malformed BEGIN"),
    "less than its channels": (steps(("data", frames.BEGIN, begin(0, 1, *THREE, total=2), 1)), "malformed BEGIN"),
    "no history": (steps(("data", frames.BEGIN, begin(0, 1, *THREE, nonce="x"), 1)), "malformed BEGIN"),
    "no channels": (steps(("data", frames.BEGIN, b"\x9b\x00\x01", 1)), "malformed BEGIN"),
}


@pytest.mark.parametrize("name", CASES)
def test_broken_rules(relay, subscribe, name):
    """Rule: what breaks the protocol ends the stream; a transaction that has begun is aborted, once, never committed."""
    misbehave, message = CASES[name]
    subscriber = subscribe()
    relay.welcome()
    misbehave(relay)
    sink = Recorder()
    with pytest.raises((ProtocolError, CorruptError), match=message):
        for _ in range(100):
            subscriber.receive_into(sink, 0.1)
    assert "commit" not in sink.words
    assert sink.words.count("abort") == sink.words.count("begin")
    with pytest.raises(PaysyncError):
        subscriber.receive_into(sink, 0)


def test_version_1_has_no_parts(relay, subscribe):
    """Rule: in a session of version 1 nothing comes in parts."""
    subscriber = subscribe()
    relay.welcome(changed={1: 1})
    relay.begin(1, *THREE)
    with pytest.raises(ProtocolError, match="version 1"):
        subscriber.receive(PATIENCE)


def test_parts_without_credit(relay, subscribe):
    """Rule: parts are sent within the window, or they would fill the memory."""
    subscriber = subscribe(window=65536)
    relay.welcome()
    wide = [insert(number, "x" * 20_000) for number in range(1, 8)]
    relay.streamed(1, *wide)
    with pytest.raises(ProtocolError, match="credit"):
        subscriber.receive(PATIENCE)


def test_a_change_has_an_end(monkeypatch):
    """Rule: a change that never ends is given up at a length that no row has, whatever is announced."""
    assert MOST_CHANGE_BYTES < 1.2e9
    monkeypatch.setattr("paysync.pieces.MOST_CHANGE_BYTES", 10_000_000)
    opened = OpenTransaction(decode_begin(begin(0, 1, insert(1), length=2**40)))
    shapes = {shape.id: shape for shape in decode_shapes(msgpack.packb([[7, ["s", "t", "default", [["a", "text", 0]], []]]]))}
    opened.add(Piece(1, 0, shapes, data=b"\x94\x00\x07\x00\x91\xdb\xff\xff\xff\xff", unfinished=True))
    with pytest.raises(ProtocolError, match="longer than any row"):
        for _ in range(1000):
            opened.add(Piece(1, 0, shapes, data=bytes(65536), unfinished=True))


def test_end_of_a_value_wherever_it_is_cut():
    """Rule: the end of a value is where msgpack has it, in whatever pieces its bytes come."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"SEED={seed}")
    generator = random.Random(seed)

    def value(depth):
        kind = generator.randrange(8 if depth < 6 else 6)
        if kind == 0:
            return generator.choice([None, True, False, 0.5])
        if kind == 1:
            return generator.choice([1, -1]) * generator.randrange(2 ** generator.randrange(1, 63))
        if kind in (2, 3):
            return "x" * generator.choice([0, 5, 40, 300, 70_000])
        if kind == 4:
            return bytes(generator.choice([0, 5, 300, 70_000]))
        if kind == 5:
            return msgpack.ExtType(5, bytes(generator.choice([1, 2, 4, 8, 16, 17, 300])))
        if kind == 6:
            return [value(depth + 1) for _ in range(generator.choice([0, 3, 20]))]
        return {number: value(depth + 1) for number in range(generator.choice([0, 3, 20]))}

    for _ in range(200):
        data = msgpack.packb(value(0))
        rest = data + b"\x01\x02"
        finder, at, end = ValueEnd(), 0, None
        while end is None:
            step = generator.choice([1, 2, 3, 1000, 100_000])
            end = finder.feed(rest[at : at + step])
            at += step if end is None else end
        assert at == len(data)


def test_deep_values_are_refused():
    """Rule: nesting is bounded, so that nothing of ours recurses or grows with it."""
    with pytest.raises(ProtocolError, match="deep"):
        ValueEnd().feed(b"\x91" * 40)
