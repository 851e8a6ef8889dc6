"""The maps that travel as second frame of HELLO, WELCOME, ERROR and BYE."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

import msgpack

from .errors import ProtocolError
from .position import Position
from .unpack import Reader

_VERSION_MOST = 255
_WINDOW_MOST = 2**40


class Hello(NamedTuple):
    """What a subscriber says first. `stream_id` (16 bytes) and `position` come together or not at all."""

    lowest: int
    highest: int
    stream_id: Optional[bytes]
    position: Optional[str]
    window: int
    software: str
    obeys_rewinds: bool = False


class Welcome(NamedTuple):
    """The relay's answer; `position` is where the session goes on after.

    `rewound`: a replay was asked for from there. `skipped`: numbers after `position` that never come.
    """

    version: int
    stream_id: bytes
    epoch: int
    nonce: str
    channels: List[str]
    subscriber: str
    position: Position
    rewound: Optional[Position] = None
    skipped: Sequence[int] = ()


class Failure(NamedTuple):
    """The texts of an ERROR; each may be empty."""

    message: str
    detail: str
    hint: str


def encode_hello(hello: Hello) -> bytes:
    """The second frame of HELLO."""
    fields = dict(enumerate(hello, start=1))
    if not hello.obeys_rewinds:
        del fields[7]
    return msgpack.packb(fields, use_bin_type=True)


def decode_hello(data: bytes) -> Hello:
    """Read the second frame of HELLO; for tools and tests that stand in for a relay."""
    reader = Reader(data, "HELLO")
    found = _read_map(
        reader,
        {
            1: lambda: reader.integer(0, _VERSION_MOST),
            2: lambda: reader.integer(0, _VERSION_MOST),
            3: lambda: reader.binary_or_nil(16),
            4: reader.text_or_nil,
            5: lambda: reader.integer(0, _WINDOW_MOST),
            6: reader.text,
            7: reader.boolean,
        },
    )
    _require(found, (1, 2, 5), "HELLO")
    if (found.get(3) is None) != (found.get(4) is None):
        raise ProtocolError("malformed HELLO: stream id and position come only together")
    return Hello(found[1], found[2], found.get(3), found.get(4), found[5], found.get(6, ""), found.get(7, False))


def decode_welcome(data: bytes) -> Welcome:
    """Read the second frame of WELCOME."""
    reader = Reader(data, "WELCOME")
    found = _read_map(
        reader,
        {
            1: lambda: reader.integer(0, _VERSION_MOST),
            2: lambda: reader.binary(16),
            3: lambda: reader.integer(0),
            4: reader.text,
            5: lambda: [reader.text() for _ in range(reader.array())],
            6: reader.text,
            7: reader.text,
            8: reader.text,
            9: lambda: [reader.integer(0) for _ in range(reader.array())],
        },
    )
    _require(found, range(1, 8), "WELCOME")
    try:
        Position(found[3], found[4], 0)
        start = Position.parse(found[7])
        rewound = Position.parse(found[8]) if 8 in found else None
    except ValueError as error:
        raise ProtocolError(f"malformed WELCOME: {error}") from None
    return Welcome(found[1], found[2], found[3], found[4], found[5], found[6], start, rewound, found.get(9, []))


def decode_failure(data: bytes) -> Failure:
    """Read the second frame of ERROR."""
    reader = Reader(data, "ERROR")
    found = _read_map(reader, {1: reader.text, 2: reader.text, 3: reader.text})
    return Failure(found.get(1, ""), found.get(2, ""), found.get(3, ""))


def decode_bye(data: bytes) -> str:
    """Read the second frame of BYE: its reason."""
    reader = Reader(data, "BYE")
    return _read_map(reader, {1: reader.text}).get(1, "")


def _read_map(reader: Reader, known: Dict[int, Callable]) -> dict:
    found: dict = {}
    for _ in range(reader.map()):
        key = reader.integer()
        if key in found:
            raise reader.fail(f"key {key} comes twice")
        if key in known:
            found[key] = known[key]()
        else:
            reader.skip()
    reader.end()
    return found


def _require(found: dict, keys, what: str) -> None:
    for key in keys:
        if key not in found:
            raise ProtocolError(f"malformed {what}: key {key} is missing")
