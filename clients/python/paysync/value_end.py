"""Where a msgpack value ends whose bytes come in pieces; it keeps none of them, and looks at each once."""

from __future__ import annotations

from typing import List, Optional, Union

from .errors import ProtocolError

_DEEPEST = 16
# Bytes of a value's front, by its first byte from 0xC0 on; 0: there is no such value.
_FRONT = (1, 0, 1, 1, 2, 3, 5, 2, 3, 5, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 1, 1, 1, 1, 1, 2, 3, 5, 3, 5, 3, 5)


class ValueEnd:
    """Finds the end of one value."""

    def __init__(self) -> None:
        self._left: List[int] = [1]  # values still to pass, by depth
        self._front = b""
        self._body = 0

    def feed(self, data: Union[bytes, bytearray, memoryview]) -> Optional[int]:
        """The offset in `data` at which it ends, or None if it goes on behind it. ProtocolError if it is malformed."""
        at, length = 0, len(data)
        left = self._left
        while True:
            if self._body:
                step = min(self._body, length - at)
                at += step
                self._body -= step
                if self._body:
                    return None
            while left and not left[-1]:
                left.pop()
            if not left:
                return at
            if at == length:
                return None
            tag = self._front[0] if self._front else data[at]
            wanted = 1 if tag < 0xC0 or tag >= 0xE0 else _FRONT[tag - 0xC0]
            if not wanted:
                raise ProtocolError(f"malformed change: type byte 0x{tag:02x} does not exist")
            front = self._front + bytes(data[at : at + wanted - len(self._front)])
            at += len(front) - len(self._front)
            if len(front) < wanted:
                self._front = front
                return None
            self._front = b""
            left[-1] -= 1
            inside = self._open(tag, int.from_bytes(front[1:], "big"))
            if inside:
                if len(left) > _DEEPEST:
                    raise ProtocolError("malformed change: nested too deep")
                left.append(inside)

    def _open(self, tag: int, number: int) -> int:
        """Note the bytes that follow a front; returns how many values follow it."""
        if 0x80 <= tag <= 0x8F:
            return 2 * (tag & 15)
        if 0x90 <= tag <= 0x9F:
            return tag & 15
        if 0xA0 <= tag <= 0xBF:
            self._body = tag & 31
        elif 0xC4 <= tag <= 0xC6 or 0xD9 <= tag <= 0xDB:
            self._body = number
        elif 0xC7 <= tag <= 0xC9:
            self._body = number + 1
        elif 0xD4 <= tag <= 0xD8:
            self._body = 1 + (1 << (tag - 0xD4))
        elif tag in (0xDC, 0xDD):
            return number
        elif tag in (0xDE, 0xDF):
            return 2 * number
        return 0
