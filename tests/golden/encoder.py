"""Writes the bytes of the vectors: a msgpack writer that lets the case choose widths, F0, digests.

It shares no code with any reader, on purpose.
"""

from __future__ import annotations

import struct

import xxhash


class Wide:
    """An integer written in 64 bits, whatever its value."""

    def __init__(self, value: int) -> None:
        self.value = value


class Float32:
    """A float of 32 bits."""

    def __init__(self, value: float) -> None:
        self.value = value


class Raw:
    """Bytes that stand in the output as they are."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def pack(value) -> bytes:
    """The shortest msgpack encoding of None, bool, int, str, bytes, list, dict, Wide and Raw; float has 64 bits, Float32 32."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, Wide):
        return struct.pack(">Bq", 0xD3, value.value) if value.value < 0 else struct.pack(">BQ", 0xCF, value.value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, Float32):
        return struct.pack(">Bf", 0xCA, value.value)
    if isinstance(value, Raw):
        return value.data
    if isinstance(value, str):
        data = value.encode("utf-8")
        return _head(len(data), 0xA0, 31, ((0xD9, ">B"), (0xDA, ">H"), (0xDB, ">I"))) + data
    if isinstance(value, bytes):
        return _head(len(value), 0, -1, ((0xC4, ">B"), (0xC5, ">H"), (0xC6, ">I"))) + value
    if isinstance(value, list):
        return _head(len(value), 0x90, 15, ((0xDC, ">H"), (0xDD, ">I"))) + b"".join(map(pack, value))
    if isinstance(value, dict):
        pairs = b"".join(pack(key) + pack(item) for key, item in value.items())
        return _head(len(value), 0x80, 15, ((0xDE, ">H"), (0xDF, ">I"))) + pairs
    raise TypeError(type(value).__name__)


def _integer(value: int) -> bytes:
    if 0 <= value <= 0x7F or -32 <= value < 0:
        return struct.pack(">B", value & 0xFF)
    forms = ((0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"))
    if value < 0:
        forms = ((0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q"))
    return _sized(value, forms)


def _head(length: int, short: int, most: int, forms) -> bytes:
    return bytes([short | length]) if length <= most else _sized(length, forms)


def _sized(value: int, forms) -> bytes:
    for tag, form in forms:
        try:
            return bytes([tag]) + struct.pack(form, value)
        except struct.error:
            continue
    raise OverflowError(value)


KINDS = {
    "HELLO": 0x01,
    "ACK": 0x02,
    "PING": 0x03,
    "PONG": 0x04,
    "BYE": 0x05,
    "WELCOME": 0x81,
    "BATCH": 0x82,
    "SHAPES": 0x83,
    "BEGIN": 0x84,
    "PART": 0x85,
    "END": 0x86,
    "ERROR": 0x8F,
}


def frame(
    kind: int, session: int = 0, a: int = 0, b: int = 0, magic: int = 0x5053, layout: int = 1, flags: int = 0
) -> bytes:
    """F0."""
    return struct.pack(">HBBIQQQ", magic, layout, kind, flags, session, a, b)


def digest(*changes: bytes) -> bytes:
    """The digest of changes: the sum of their 128-bit XXH3 modulo 2^128, most significant byte first."""
    total = sum(int.from_bytes(xxhash.xxh3_128_digest(change), "big") for change in changes)
    return (total % 2**128).to_bytes(16, "big")
