"""A relay for tests: a ROUTER with PLAIN and a ZAP thread, driven step by step by the test; it knows no rules itself."""

from __future__ import annotations

import threading
import time
from collections import namedtuple

import msgpack
import xxhash
import zmq

from paysync import Timings, frames, messages

STREAM = bytes(range(16))
NONCE = "9f2c41aa"
SHAPE = [7, ["public", "payments", "default", [["id", "bigint", 2], ["note", "text", 0]], [0]]]
PATIENCE = 5.0
QUICK = Timings(welcome=1.0, ping=0.3, dead=0.8, ack=0.05, backoff_least=0.02, backoff_most=0.1)

Heard = namedtuple("Heard", "kind session a b body peer user at")


def insert(number, note="x"):
    """The bytes of an insert."""
    return msgpack.packb([0, 7, 0, [number, note]])


def digest(*changes):
    """The sum of the digests of changes."""
    return (sum(xxhash.xxh3_128_intdigest(change) for change in changes) % 2**128).to_bytes(16, "big")


def transaction(number, *changes):
    """A transaction of changes in channel default."""
    changes = changes or (insert(number),)
    channels = [["default", len(changes), digest(*changes)]]
    return [number, 700 + number, 0, None, None, len(changes), channels, b"".join(changes)]


def begin(prev, number, *changes, total=None, epoch=3, nonce=NONCE, check=None, length=None):
    """The second frame of BEGIN, for these changes in channel default; `check`, `length`: what it says instead of theirs."""
    length = sum(map(len, changes)) if length is None else length
    channels = [["default", len(changes), check or digest(*changes)]]
    total = len(changes) if total is None else total
    return msgpack.packb([prev, number, epoch, nonce, 700 + number, 0, None, None, total, channels, length])


def part(index, data, unfinished=False):
    """The second frame of PART."""
    return msgpack.packb([index, unfinished, data])


def batch(prev, last, *transactions, epoch=3, nonce=NONCE):
    """The second frame of BATCH."""
    return msgpack.packb([prev, last, epoch, nonce, list(transactions)])


def welcome_body(start=0, stream=STREAM):
    """The second frame of WELCOME."""
    return msgpack.packb({1: 2, 2: stream, 3: 3, 4: NONCE, 5: ["default"], 6: "mirror", 7: f"3.{NONCE}:{start}"})


class FakeRelay:
    """`expect` waits for the next message of a kind; what a test sends goes to the peer that spoke last."""

    def __init__(self):
        self.context = zmq.Context()
        self.refuse = False
        self._zap = self.context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self._zap_thread = threading.Thread(target=self._authenticate, daemon=True)
        self._zap_thread.start()
        self.endpoint = "tcp://127.0.0.1:*"
        self.bind()
        self.peer = None
        self.session = 0
        self.sent = 0
        self.last = 0

    def bind(self):
        """Open the socket, again on the same port."""
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.router_mandatory = 1
        self.router.plain_server = 1
        self.router.zap_domain = b"paysync"
        self.router.maxmsgsize = 65536
        # A closed socket gives its port back a moment later, in libzmq's own thread.
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.router.bind(self.endpoint)
                break
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE or time.monotonic() > deadline:
                    raise
                self.router.poll(5)
        self.endpoint = self.router.last_endpoint.decode()

    def unbind(self):
        """Go away: every connection breaks."""
        self.router.close(linger=0)

    def close(self):
        """Free everything."""
        self.router.close(linger=0)
        self.context.term()  # ends the ZAP thread, which alone may close its socket
        self._zap_thread.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _authenticate(self):
        while True:
            try:
                version, request, _, _, _, mechanism, user, password = self._zap.recv_multipart()
                good = mechanism == b"PLAIN" and password == b"" and not self.refuse
                self._zap.send_multipart([version, request, b"200" if good else b"400", b"", user, b""])
            except zmq.ZMQError:
                self._zap.close(linger=0)
                return

    def hear(self, timeout=PATIENCE):
        """The next message, or None."""
        if not self.router.poll(timeout * 1000):
            return None
        parts = self.router.recv_multipart(copy=False)
        frame = frames.decode_frame(parts[1].bytes)
        body = parts[2].bytes if len(parts) == 3 else None
        self.peer = parts[0].bytes
        return Heard(*frame, body, self.peer, parts[1].get("User-Id"), time.monotonic())

    def expect(self, kind, where=lambda heard: True, skip=(frames.ACK, frames.PING, frames.PONG)):
        """The next message of a kind that fits; others in between must be of the kinds in `skip`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            heard = self.hear(max(0.001, deadline - time.monotonic()))
            if heard is None:
                break
            if heard.kind == kind and where(heard):
                return heard
            assert heard.kind in skip, f"heard {heard} while waiting for {frames.KIND_NAMES[kind]}"
        raise AssertionError(f"no {frames.KIND_NAMES[kind]} came")

    def nothing(self, kind, seconds):
        """Assert that no message of a kind comes for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            heard = self.hear(max(0.001, deadline - time.monotonic()))
            assert heard is None or heard.kind != kind, heard

    def send(self, kind, session, a, b, *body):
        """Send any message."""
        self.router.send_multipart([self.peer, frames.encode_frame(kind, session, a, b), *body])

    def welcome(self, session=1, start=0, head=0, shapes=True, stream=STREAM, changed=None):
        """Answer the next HELLO; returns what it said."""
        heard = self.expect(frames.HELLO)
        body = msgpack.unpackb(welcome_body(start, stream), strict_map_key=False)
        self.send(frames.WELCOME, session, start, head, msgpack.packb({**body, **(changed or {})}))
        self.session, self.sent, self.last = session, 0, start
        if shapes:
            self.data(frames.SHAPES, msgpack.packb([SHAPE]))
        return messages.decode_hello(heard.body)

    def data(self, kind, body, b=0, lose=False):
        """Send SHAPES or BATCH with its count, or only count it."""
        self.sent += len(body)
        if not lose:
            self.send(kind, self.session, self.sent, b, body)

    def batch(self, last, *transactions, lose=False, **fields):
        """Send what goes on after the last batch, up to `last`."""
        self.data(frames.BATCH, batch(self.last, last, *transactions, **fields), last, lose)
        self.last = last

    def begin(self, number, *changes, **fields):
        """Send the BEGIN of a transaction that goes on after the last one."""
        self.data(frames.BEGIN, begin(self.last, number, *changes, **fields), number)

    def part(self, number, index, data, unfinished=False):
        """Send a PART."""
        self.data(frames.PART, part(index, data, unfinished), number)

    def end(self, number):
        """Send the END."""
        self.send(frames.END, self.session, self.sent, number)
        self.last = number

    def streamed(self, number, *changes, **fields):
        """Send BEGIN, a PART a change, END."""
        self.begin(number, *changes, **fields)
        for index, change in enumerate(changes):
            self.part(number, index, change)
        self.end(number)

    def error(self, code, number=0, session=0, message="no", detail="Why.", hint="How."):
        """Send an ERROR."""
        self.send(frames.ERROR, session, code, number, msgpack.packb({1: message, 2: detail, 3: hint}))

    def serve(self, count, stop):
        """Until `stop` is set: whoever says HELLO gets the transactions up to `count` after its position.

        Their messages must fit into a window. A peer that goes away in the middle (killed, say) is forgotten.
        Returns the greatest number acknowledged.
        """
        acknowledged = 0
        while not stop.is_set():
            heard = self.hear(0.05)
            if heard is None:
                continue
            if heard.kind == frames.ACK and heard.session == self.session:
                acknowledged = max(acknowledged, heard.a)
            try:
                self._answer(heard, count)
            except zmq.ZMQError as error:  # ROUTER_MANDATORY: the peer's connection is gone
                if error.errno != zmq.EHOSTUNREACH:
                    raise
        return acknowledged

    def _answer(self, heard, count):
        if heard.kind == frames.HELLO:
            position = messages.decode_hello(heard.body).position
            start = int(position.split(":")[1]) if position else 0
            self.session, self.sent, self.last = self.session + 1, 0, start
            self.send(frames.WELCOME, self.session, start, count, welcome_body(start))
            self.data(frames.SHAPES, msgpack.packb([SHAPE]))
            for number in range(start + 1, count + 1):
                self.batch(number, transaction(number))
        elif heard.kind == frames.PING:
            self.send(frames.PONG, self.session, count, self.sent)
