"""Random streams, small transactions and parts, over sessions that end anywhere, taken by sinks that fail anywhere."""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
from fake_relay import STREAM
from random_relay import RandomRelay, ids_of, make_stream

from paysync import TransactionSink

SECONDS = 60.0


class Flaky(TransactionSink):
    """Keeps what is committed; fails at random; finds calls in a wrong order."""

    def __init__(self, generator):
        self.generator = generator
        self.committed = []
        self.number = None
        self.ids = []
        self.calm = False

    def maybe_fail(self):
        if not self.calm and self.generator.random() < 0.02:
            raise OSError("the target is gone")

    def begin(self, head):
        assert self.number is None, "begin inside"
        self.maybe_fail()
        self.number, self.ids = head.number, []

    def changes(self, changes):
        assert self.number is not None
        self.ids += [change.new["id"] for change in changes]
        self.maybe_fail()

    def commit(self):
        assert self.number is not None
        self.maybe_fail()
        self.committed.append((self.number, self.ids))
        self.number = None

    def abort(self):
        assert self.number is not None or self.committed, "abort without begin"
        assert self.number is not None, "abort after commit"
        self.number = None


@pytest.mark.parametrize("own", [True, False])
def test_nothing_is_lost_or_doubled(relay, subscribe, own):
    """Rule: with a position of its own every transaction is committed once, whole, in order; without, what is repeated is the
    same as before."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"SEED={seed}")
    stream = make_stream(random.Random(seed), 150)
    server = RandomRelay(relay, stream, random.Random(seed + 1))
    stop = threading.Event()
    thread = threading.Thread(target=server.serve, args=(stop,), daemon=True)
    thread.start()
    generator = random.Random(seed + 2)
    sink = Flaky(generator)
    wanted = [(number, ids_of(changes)) for number, changes in stream.items() if changes]
    subscriber = subscribe(own_position=own, window=65536)
    deadline = time.monotonic() + SECONDS
    acknowledged = 0
    try:
        while not sink.committed or sink.committed[-1][0] < wanted[-1][0]:
            assert time.monotonic() < deadline, f"{len(sink.committed)} of {len(wanted)} came"
            if time.monotonic() > deadline - SECONDS / 2:
                server.calm = sink.calm = True
            try:
                done = subscriber.receive_into(sink, generator.choice([0, 0.01, 0.5]))
            except OSError:
                continue
            if done:
                number, ids = sink.committed[-1]
                assert number > acknowledged or not own, "it was acknowledged before"
                if generator.random() < 0.7:
                    acknowledged = number
                    subscriber.acknowledge(f"3.9f2c41aa:{number}")
    finally:
        stop.set()
        thread.join(10)
    assert subscriber.stream_id.bytes == STREAM
    if own:
        assert sink.committed == wanted
    else:
        assert sorted({number: ids for number, ids in sink.committed}.items()) == wanted
        assert all([(number, ids)] == [one for one in wanted if one[0] == number] for number, ids in sink.committed)
    print(f"{server.sessions} sessions")
