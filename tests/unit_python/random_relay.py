"""Serves a stream of transactions, small and in parts, and ends sessions at random, for clients that must not mind."""

from __future__ import annotations

import msgpack
import zmq
from fake_relay import SHAPE, begin, insert, part, transaction, welcome_body

from paysync import frames


def make_stream(generator, count):
    """`count` transactions as lists of changes, by number from 1; None where nothing is for the subscriber."""
    stream = {}
    for number in range(1, count + 1):
        kind = generator.random()
        if kind < 0.15:
            stream[number] = None
        elif kind < 0.5:
            stream[number] = [insert(number * 1000)]
        else:
            stream[number] = [insert(number * 1000 + place, "x" * generator.choice([1, 50, 3000, 90_000]))
                              for place in range(generator.randint(2, 12))]
    return stream


def ids_of(changes):
    """The ids that the changes insert."""
    return [msgpack.unpackb(change)[3][0] for change in changes]


class RandomRelay:
    """`serve` until `stop`: a session after the other, each ended somewhere."""

    def __init__(self, relay, stream, generator):
        self.relay, self.stream, self.generator = relay, stream, generator
        self.head = max(stream)
        self.acknowledged = 0
        self.sessions = 0
        self.calm = False  # sessions are not ended any more
        self._messages = None
        self._limit = 0

    def serve(self, stop):
        """Runs in a thread of its own."""
        while not stop.is_set():
            heard = self.relay.hear(0.02 if self._next is None or not self._has_credit() else 0)
            try:
                if heard is not None:
                    self._take(heard)
                elif self._next is not None and self._has_credit():
                    self._send()
            except zmq.ZMQError as error:  # the peer is gone
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                self._next = None

    _next = None

    def _take(self, heard):
        if heard.kind == frames.HELLO:
            position = msgpack.unpackb(heard.body, strict_map_key=False)[4]
            start = int(position.split(":")[1]) if position else self.acknowledged
            self.sessions += 1
            self.relay.session, self.relay.sent, self.relay.last = self.relay.session + 1, 0, start
            self.relay.send(frames.WELCOME, self.relay.session, start, self.head, welcome_body(start))
            self._limit = msgpack.unpackb(heard.body, strict_map_key=False)[5]
            self._messages = self._all_after(start)
            self._next = next(self._messages, None)
        elif heard.session == self.relay.session and heard.kind == frames.ACK:
            self.acknowledged = max(self.acknowledged, heard.a)
            self._limit = max(self._limit, heard.b)
        elif heard.session == self.relay.session and heard.kind == frames.PING:
            self.relay.send(frames.PONG, self.relay.session, self.head, self.relay.sent)

    def _all_after(self, start):
        """(kind, body, b) of what a session sends."""
        yield frames.SHAPES, msgpack.packb([SHAPE]), 0
        last = start
        for number in range(start + 1, self.head + 1):
            changes = self.stream[number]
            if changes is None and number < self.head:
                continue
            if changes is None or len(changes) == 1:
                body = [] if changes is None else [transaction(number, *changes)]
                yield frames.BATCH, msgpack.packb([last, number, 3, "9f2c41aa", body]), number
            else:
                yield from self._parts(last, number, changes)
            last = number

    def _parts(self, last, number, changes):
        yield frames.BEGIN, begin(last, number, *changes), number
        data = b"".join(changes)
        ends, end = {0}, 0
        for change in changes:
            end += len(change)
            ends.add(end)
        at = index = 0
        while at < len(data):
            # Mostly at the end of a change, sometimes anywhere.
            to = min(len(data), at + self.generator.choice([1, 7, 5000, 60_000]))
            if self.generator.random() < 0.5:
                to = min(place for place in ends if place >= to)
            yield frames.PART, part(index, data[at:to], to not in ends), number
            at, index = to, index + 1
        yield frames.END, b"", number

    def _has_credit(self):
        size = len(self._next[1])
        return self.relay.sent + size <= self._limit or self.relay.sent <= self._limit - 65536

    def _send(self):
        kind, body, b = self._next
        if not self.calm and self.generator.random() < 0.02:
            self._end()
            return
        if kind == frames.END:
            self.relay.send(kind, self.relay.session, self.relay.sent, b)
        else:
            self.relay.data(kind, body, b, lose=not self.calm and self.generator.random() < 0.005)
        self._next = next(self._messages, None)

    def _end(self):
        self._next = None
        how = self.generator.randrange(4)
        if how == 0:
            self.relay.error(301, session=self.relay.session)
        elif how == 1:
            self.relay.send(frames.BYE, self.relay.session, 0, 1, b"\x81\x01\xa1x")
        elif how == 2:
            self.relay.error(402, session=self.relay.session)
        else:
            self.relay.unbind()
            self.relay.bind()
