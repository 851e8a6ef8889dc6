"""A session of the protocol's version 2 made by hand, for tests of what the relay sends: every frame is looked at, and credit is
given only when the test says so. It shares no code with a client."""

import struct
import time
from typing import NamedTuple

import msgpack
import xxhash
import zmq

F0 = struct.Struct(">HBBIQQQ")
HELLO, ACK, PING, PONG, BYE = 0x01, 0x02, 0x03, 0x04, 0x05
WELCOME, BATCH, SHAPES, BEGIN, PART, END, ERROR = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8F
COUNTED = (SHAPES, BATCH, BEGIN, PART)
PART_BYTES = 256 * 1024


class Message(NamedTuple):
    """One message of the relay; `body` is its second frame, unpacked."""

    kind: int
    a: int
    b: int
    body: object
    length: int


class RawSession:
    """A DEALER that has said HELLO. Closed as a context manager."""

    def __init__(self, endpoint: str, user: str, window: int = 4 << 20, **hello):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndtimeo = 5000
        self.socket.plain_username = user.encode()
        self.socket.connect(endpoint)
        self.window = window
        self.nonce = time.time_ns()
        self.greet(**hello)

    def greet(self, *, lowest=1, highest=2, stream_id=None, position=None, obeys_rewinds=None) -> None:
        """Say HELLO (again)."""
        fields = {1: lowest, 2: highest, 3: stream_id, 4: position, 5: self.window, 6: "raw"}
        if obeys_rewinds is not None:
            fields[7] = obeys_rewinds
        self.id = 0
        self.consumed = 0
        self._send(HELLO, 0, self.nonce, msgpack.packb(fields))

    def _send(self, kind: int, a: int, b: int, body: bytes | None = None) -> None:
        head = F0.pack(0x5053, 1, kind, 0, self.id, a, b)
        self.socket.send_multipart([head] if body is None else [head, body])

    def receive(self, deadline: float = 20.0) -> Message | None:
        """The next message but PINGs, which are answered; None when none comes in time. What the relay counts is checked."""
        ends = time.monotonic() + deadline
        while self.socket.poll(max(0.0, ends - time.monotonic()) * 1000):
            parts = self.socket.recv_multipart()
            magic, layout, kind, flags, session, a, b = F0.unpack(parts[0])
            assert (magic, layout, flags) == (0x5053, 1, 0)
            # What an earlier session of this connection sent may still be on its way.
            is_new = kind == WELCOME or (kind == ERROR and session == 0)
            if session not in (0, self.id) if self.id else not is_new:
                continue
            if kind in (PING, PONG):
                assert not self.id or b == self.consumed
                if kind == PING:
                    self._send(PONG, 0, self.consumed)
                continue
            body = msgpack.unpackb(parts[1], strict_map_key=False) if len(parts) > 1 else None
            length = len(parts[1]) if len(parts) > 1 else 0
            if kind == WELCOME:
                self.id = session
            if kind in COUNTED:
                self.consumed += length
                assert a == self.consumed
            if kind == END:
                assert len(parts) == 1 and a == self.consumed
            return Message(kind, a, b, body, length)
        return None

    def expect(self, kind: int, deadline: float = 20.0) -> Message:
        """The next message, which must be of this kind."""
        message = self.receive(deadline)
        assert message is not None, f"no message 0x{kind:02x} came within {deadline:g} s"
        assert message.kind == kind, message
        return message

    def welcome(self) -> dict:
        """The map of the WELCOME."""
        return self.expect(WELCOME).body

    def acknowledge(self, number: int, credit: bool = True) -> None:
        """Say what was applied, and that everything that came was consumed."""
        self._send(ACK, number, (self.consumed if credit else 0) + self.window)

    def grant(self) -> None:
        """Give credit for as much as was consumed."""
        self.acknowledge(0)

    def bye(self) -> None:
        """End the session."""
        self._send(BYE, 0, 0)

    def __enter__(self) -> "RawSession":
        return self

    def __exit__(self, *_) -> None:
        self.context.destroy(linger=0)


class Streamed(NamedTuple):
    """A transaction that came in parts."""

    begin: list
    data: bytes
    parts: int


def take_streamed(session: RawSession, deadline: float = 60.0) -> Streamed:
    """Everything from BEGIN to END, with credit as it is consumed; every rule of docs/wire.md §8 is checked."""
    message = session.receive(deadline)
    while message is not None and message.kind in (SHAPES, BATCH):
        session.grant()
        message = session.receive(deadline)
    assert message is not None and message.kind == BEGIN, message
    begin = message.body
    prev, number = begin[0], begin[1]
    assert prev < number == message.b
    data, unfinished, index = [], False, 0
    while True:
        message = session.receive(deadline)
        assert message is not None and message.b == number, message
        session.grant()
        if message.kind == END:
            break
        assert message.kind == PART, message
        assert message.body[0] == index and 0 < len(message.body[2]) <= PART_BYTES
        index, unfinished = index + 1, message.body[1]
        data.append(message.body[2])
        if not unfinished:
            continue
        assert len(message.body[2]) == PART_BYTES
    assert not unfinished
    return Streamed(begin, b"".join(data), index)


def check_totals(streamed: Streamed, channels: dict | None = None) -> list:
    """The changes of a streamed transaction, compared with the counts and digests of its BEGIN. `channels`: shape id to channel."""
    changes = split(streamed.data)
    found: dict = {}
    for change, raw in changes:
        name = change[1] if change[0] == 4 else (channels or {}).get(change[1], "default")
        count, digest = found.get(name, (0, 0))
        found[name] = (count + 1, (digest + int.from_bytes(xxhash.xxh3_128_digest(raw), "big")) % 2**128)
    assert {name: (count, int.from_bytes(digest, "big")) for name, count, digest in streamed.begin[9]} == found
    return [change for change, _ in changes]


def split(data: bytes) -> list:
    """The changes of a stream, each with its bytes."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(1, len(data)), strict_map_key=False, raw=False)
    unpacker.feed(data)
    changes, at = [], 0
    while at < len(data):
        change = unpacker.unpack()
        changes.append((change, data[at:unpacker.tell()]))
        at = unpacker.tell()
    return changes
