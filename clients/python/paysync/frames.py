"""The first frame of every message, F0: 32 bytes, big-endian, and the kinds it names."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .errors import ProtocolError

MAGIC = 0x5053
LAYOUT = 1
#: Versions of the protocol: transactions in parts came with 2.
LOWEST_VERSION = 1
HIGHEST_VERSION = 2
STREAMING_VERSION = 2

HELLO = 0x01
ACK = 0x02
PING = 0x03
PONG = 0x04
BYE = 0x05
WELCOME = 0x81
BATCH = 0x82
SHAPES = 0x83
BEGIN = 0x84
PART = 0x85
END = 0x86
ERROR = 0x8F

KIND_NAMES = {
    HELLO: "HELLO",
    ACK: "ACK",
    PING: "PING",
    PONG: "PONG",
    BYE: "BYE",
    WELCOME: "WELCOME",
    BATCH: "BATCH",
    SHAPES: "SHAPES",
    BEGIN: "BEGIN",
    PART: "PART",
    END: "END",
    ERROR: "ERROR",
}

_OPTIONAL = 0x40
_F0 = struct.Struct(">HBBIQQQ")
F0_SIZE = _F0.size


class Frame(NamedTuple):
    """What F0 says; the meaning of `a` and `b` depends on the kind (docs/wire.md, section 6)."""

    kind: int
    session: int
    a: int
    b: int


def encode_frame(kind: int, session: int = 0, a: int = 0, b: int = 0) -> bytes:
    """The 32 bytes of F0."""
    return _F0.pack(MAGIC, LAYOUT, kind, 0, session, a, b)


def decode_frame(data: bytes) -> Frame:
    """Read F0; ProtocolError if it is none. An optional kind is returned as it is: see `is_ignorable`."""
    if len(data) != F0_SIZE:
        raise ProtocolError(f"first frame has {len(data)} bytes instead of {F0_SIZE}")
    magic, layout, kind, flags, session, a, b = _F0.unpack(data)
    if magic != MAGIC:
        raise ProtocolError(f"first frame begins with 0x{magic:04x} instead of 0x{MAGIC:04x}")
    if layout != LAYOUT:
        raise ProtocolError(f"frame layout {layout} is not known")
    if flags != 0:
        raise ProtocolError(f"frame flags 0x{flags:08x} are not known")
    if kind not in KIND_NAMES and not kind & _OPTIONAL:
        raise ProtocolError(f"message kind 0x{kind:02x} is not known")
    return Frame(kind, session, a, b)


def is_ignorable(kind: int) -> bool:
    """Whether a kind is not known to us but may be passed over."""
    return kind not in KIND_NAMES and bool(kind & _OPTIONAL)
