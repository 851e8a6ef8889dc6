"""Peers that do not keep to the protocol: messages made by hand over ZeroMQ, and bytes made by hand over TCP."""

import socket
import struct
import time
from pathlib import Path

import msgpack
import zmq

from paysync import frames

# What a ZeroMQ peer of version 3.0 with the PLAIN mechanism says first (ZMTP 3.0, "greeting").
GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\0" + b"PLAIN".ljust(20, b"\0") + b"\0" * 32
LONG = 0x02
COMMAND = 0x04


class Peer:
    """A DEALER socket that says what it is told to. `user` None: without a security mechanism."""

    def __init__(self, endpoint: str, user: str | None = "mirror", password: str | None = None, routing_id: bytes | None = None):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        # After a handshake that was refused there is nobody to send to, ever.
        self.socket.sndtimeo = 5000
        if routing_id is not None:
            self.socket.routing_id = routing_id
        if user is not None:
            self.socket.plain_username = user.encode()
        if password is not None:
            self.socket.plain_password = password.encode()
        self.socket.connect(endpoint)

    def send(self, *parts: bytes) -> None:
        """Send one message of these frames."""
        self.socket.send_multipart(parts)

    def hello(self, *, lowest=1, highest=1, stream_id=None, position=None, window=1 << 20, nonce=1) -> None:
        """Send a well-formed HELLO."""
        self.send(frames.encode_frame(frames.HELLO, 0, 0, nonce),
                  msgpack.packb({1: lowest, 2: highest, 3: stream_id, 4: position, 5: window, 6: "hostile"}))

    def receive(self, deadline: float = 10.0):
        """The next message as (Frame, body as msgpack or None); None when none comes in time."""
        if not self.socket.poll(deadline * 1000):
            return None
        parts = self.socket.recv_multipart()
        body = msgpack.unpackb(parts[1], strict_map_key=False, raw=False) if len(parts) > 1 else None
        return frames.decode_frame(parts[0]), body

    def expect(self, kind: int, deadline: float = 10.0):
        """The next message of a kind; others before it are passed over. AssertionError when none comes."""
        ends = time.monotonic() + deadline
        while True:
            answer = self.receive(max(0.0, ends - time.monotonic()))
            assert answer is not None, f"no {frames.KIND_NAMES[kind]} came within {deadline:g} s"
            if answer[0].kind == kind:
                return answer

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_) -> None:
        self.context.destroy(linger=0)


def connect_raw(endpoint: str) -> socket.socket:
    """A TCP connection to an endpoint, with a deadline of 10 s for everything."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def log_in(peer: socket.socket, user: str) -> None:
    """The PLAIN handshake of ZMTP by hand, up to the point where messages may follow."""
    peer.sendall(GREETING)
    read_exactly(peer, len(GREETING))
    name = user.encode()
    send_command(peer, b"HELLO", bytes([len(name)]) + name + b"\0")
    assert read_command(peer).startswith(b"\x07WELCOME")
    send_command(peer, b"INITIATE", b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER")
    assert read_command(peer).startswith(b"\x05READY")


def send_command(peer: socket.socket, name: bytes, body: bytes) -> None:
    """One short ZMTP command."""
    content = bytes([len(name)]) + name + body
    peer.sendall(bytes([COMMAND, len(content)]) + content)


def read_command(peer: socket.socket) -> bytes:
    """The content of the next frame."""
    flags, length = read_exactly(peer, 2)
    if flags & LONG:
        length = int.from_bytes(bytes([length]) + read_exactly(peer, 7), "big")
    return read_exactly(peer, length)


def read_exactly(peer: socket.socket, count: int) -> bytes:
    """So many bytes; EOFError when the other side closes before."""
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def is_thrown_out(peer: socket.socket, deadline: float = 10.0, pushing: bytes = b"") -> bool:
    """Whether the other side closes the connection in time, while it is sent `pushing` again and again."""
    ends = time.monotonic() + deadline
    peer.settimeout(0.05)
    while time.monotonic() < ends:
        try:
            if pushing:
                peer.sendall(pushing)
            if not peer.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def processor_seconds(pid: int) -> float:
    """The processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
