"""A bounded reader of msgpack for everything but the changes themselves: it asks for a type and gets it, or raises.

No length is believed before that many bytes are there, so a claim of 4 GiB costs nothing.
"""

from __future__ import annotations

import struct
from typing import Optional

from .errors import ProtocolError

INT64_MOST = 2**63 - 1
INT64_LEAST = -(2**63)
_DEEPEST = 16

_INTEGERS = {
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
_LENGTHS = {1: struct.Struct(">B"), 2: struct.Struct(">H"), 4: struct.Struct(">I")}
_FIXED_EXT = {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_STR = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BIN = {0xC4: 1, 0xC5: 2, 0xC6: 4}


class Reader:
    """Reads one value after the other from `data`; every method raises ProtocolError and names `what` it reads."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def fail(self, message: str) -> ProtocolError:
        """The error to raise for this input."""
        return ProtocolError(f"malformed {self._what}: {message}", f"At byte {self._at} of {len(self._data)}.")

    def end(self) -> None:
        """Refuse bytes behind the last value."""
        if self._at != len(self._data):
            raise self.fail(f"{len(self._data) - self._at} bytes too many")

    def array(self) -> int:
        """The number of elements of an array, each of which takes a byte at least."""
        count = self._header(0x90, 0x0F, {0xDC: 2, 0xDD: 4}, "array")
        if count > len(self._data) - self._at:
            raise self.fail(f"array of {count} elements does not fit")
        return count

    def fields(self, *counts: int) -> int:
        """The head of an array that has exactly so many elements, or one of several counts; which one."""
        found = self.array()
        if found not in counts:
            raise self.fail(f"array of {found} elements instead of {' or '.join(map(str, counts))}")
        return found

    def map(self) -> int:
        """The number of pairs of a map, each of which takes two bytes at least."""
        count = self._header(0x80, 0x0F, {0xDE: 2, 0xDF: 4}, "map")
        if count * 2 > len(self._data) - self._at:
            raise self.fail(f"map of {count} pairs does not fit")
        return count

    def integer(self, least: int = INT64_LEAST, most: int = INT64_MOST) -> int:
        """An integer of any width, within bounds."""
        tag = self._byte()
        if tag <= 0x7F:
            value = tag
        elif tag >= 0xE0:
            value = tag - 0x100
        elif tag in _INTEGERS:
            form = _INTEGERS[tag]
            value = form.unpack(self._take(form.size))[0]
        else:
            raise self.fail(f"type byte 0x{tag:02x} instead of an integer")
        if not least <= value <= most:
            raise self.fail(f"integer {value} is out of range")
        return value

    def boolean(self) -> bool:
        """A boolean."""
        tag = self._byte()
        if tag not in (0xC2, 0xC3):
            raise self.fail(f"type byte 0x{tag:02x} instead of a boolean")
        return tag == 0xC3

    def text(self) -> str:
        """A str, valid UTF-8."""
        raw = self._take(self._header(0xA0, 0x1F, _STR, "str"))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail("str is not UTF-8") from None

    def text_or_nil(self) -> Optional[str]:
        """A str, or None for nil."""
        return None if self._nil() else self.text()

    def binary(self, length: Optional[int] = None) -> bytes:
        """A bin, of exactly `length` bytes if that is given."""
        raw = self._take(self._header(None, 0, _BIN, "bin"))
        if length is not None and len(raw) != length:
            raise self.fail(f"bin of {len(raw)} bytes instead of {length}")
        return raw

    def binary_or_nil(self, length: int) -> Optional[bytes]:
        """A bin of `length` bytes, or None for nil."""
        return None if self._nil() else self.binary(length)

    def skip(self, depth: int = 0) -> None:
        """Pass over one value of any type, e.g. that of an unknown map key."""
        if depth > _DEEPEST:
            raise self.fail("nested too deep")
        tag = self._byte()
        if tag <= 0x7F or tag >= 0xE0 or tag in (0xC0, 0xC2, 0xC3):
            return
        if tag in _INTEGERS:
            self._take(_INTEGERS[tag].size)
        elif tag in (0xCA, 0xCB):
            self._take(4 if tag == 0xCA else 8)
        elif tag in _FIXED_EXT:
            self._take(_FIXED_EXT[tag])
        elif tag in (0xC7, 0xC8, 0xC9):
            self._take(self._length(1 << (tag - 0xC7)) + 1)
        else:
            self._at -= 1
            self._skip_sized(tag, depth)

    def _skip_sized(self, tag: int, depth: int) -> None:
        if tag & 0xE0 == 0xA0 or tag in _STR:
            self._take(self._header(0xA0, 0x1F, _STR, "str"))
        elif tag in _BIN:
            self.binary()
        elif tag & 0xF0 == 0x90 or tag in (0xDC, 0xDD):
            for _ in range(self.array()):
                self.skip(depth + 1)
        elif tag & 0xF0 == 0x80 or tag in (0xDE, 0xDF):
            for _ in range(self.map() * 2):
                self.skip(depth + 1)
        else:
            raise self.fail(f"type byte 0x{tag:02x} does not exist")

    def _header(self, short: Optional[int], mask: int, long: dict, name: str) -> int:
        tag = self._byte()
        if short is not None and tag & ~mask & 0xFF == short:
            return tag & mask
        if tag not in long:
            raise self.fail(f"type byte 0x{tag:02x} instead of {name}")
        return self._length(long[tag])

    def _length(self, width: int) -> int:
        return _LENGTHS[width].unpack(self._take(width))[0]

    def _nil(self) -> bool:
        if self._data[self._at : self._at + 1] != b"\xc0":
            return False
        self._at += 1
        return True

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise self.fail(f"{count} bytes are not there")
        start = self._at
        self._at += count
        return self._data[start : self._at]
