"""Serves one large transaction in parts, within the credit it is given, however large: its parts repeat."""

from __future__ import annotations

import msgpack
import xxhash
import zmq
from fake_relay import NONCE, SHAPE, insert, part, transaction, welcome_body

from paysync import frames

PART = 240 * 1024


class LargeTransaction:
    """`count` parts of the same changes, which carry `width` characters each."""

    def __init__(self, count, width=200):
        changes, length = [], 0
        while length < PART - width:
            changes.append(insert(10_000_000_000 + len(changes), "x" * width))
            length += len(changes[-1])
        self.parts = count
        self.data = b"".join(changes)
        self.changes = len(changes) * count
        self.bytes = len(self.data) * count
        total = sum(xxhash.xxh3_128_intdigest(change) for change in changes) * count % 2**128
        self._channels = [["default", self.changes, total.to_bytes(16, "big")]]

    def begin(self, prev):
        """The second frame of its BEGIN."""
        return msgpack.packb([prev, prev + 1, 3, NONCE, 1, 0, None, None, self.changes, self._channels, self.bytes])


def serve_large(relay, large, stop, cuts=()):
    """Until `stop` is set: whoever says HELLO gets the transaction as number 1 and a small one as number 2.

    `cuts`: before these parts, in order, the session is ended (error 301), once each. Returns the greatest number acknowledged.
    """
    cuts, acknowledged, state = list(cuts), 0, None
    while not stop.is_set():
        heard = relay.hear(0.05 if state is None or not state.ready() else 0)
        try:
            if heard is not None and heard.kind == frames.HELLO:
                position = msgpack.unpackb(heard.body, strict_map_key=False)[4]
                start = int(position.split(":")[1]) if position else acknowledged
                relay.session, relay.sent, relay.last = relay.session + 1, 0, start
                relay.send(frames.WELCOME, relay.session, start, 2, welcome_body(start))
                relay.data(frames.SHAPES, msgpack.packb([SHAPE]))
                state = _Sending(relay, large, msgpack.unpackb(heard.body, strict_map_key=False)[5])
            elif heard is not None and heard.kind == frames.ACK and heard.session == relay.session and state is not None:
                acknowledged = max(acknowledged, heard.a)
                state.limit = max(state.limit, heard.b)
            elif heard is not None and heard.kind == frames.PING:
                relay.send(frames.PONG, relay.session, 2, relay.sent)
            while state is not None and state.ready():
                if cuts and relay.last == 0 and state.index == cuts[0]:
                    cuts.pop(0)
                    relay.error(301, session=relay.session)
                    state = None
                    break
                state.send()
                if state.index % 16 == 0:
                    break
        except zmq.ZMQError as error:  # the peer is gone
            if error.errno != zmq.EHOSTUNREACH:
                raise
            state = None
    return acknowledged


class _Sending:
    def __init__(self, relay, large, window):
        self.relay, self.large, self.limit, self.index = relay, large, window, -1

    def ready(self):
        """Whether there is something to send, and credit for it."""
        return self.relay.last < 2 and self.relay.sent + len(self.large.data) + 100 <= self.limit

    def send(self):
        """The next message."""
        relay, large = self.relay, self.large
        if relay.last == 1:
            relay.batch(2, transaction(2))
        elif self.index < 0:
            relay.data(frames.BEGIN, large.begin(0), 1)
        elif self.index < large.parts:
            relay.data(frames.PART, part(self.index, large.data), 1)
        else:
            relay.end(1)
        self.index += 1
