"""What waits for the application: batches, and the pieces of a transaction that comes in parts, as they are decoded."""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from .changes import Change, Shape, Transaction, TransactionHead
from .decode import Batch, Begin, check_manifest
from .decode_change import DIGEST_MODULUS, decode_changes, whole_changes
from .errors import ProtocolError
from .value_end import ValueEnd

#: PostgreSQL's values have 1 GB at most, and what it writes at once little more; longer ones nobody captured.
MOST_CHANGE_BYTES = 1100 * 1024 * 1024

#: What take() gives where what was taken of a transaction in parts does not count.
VOID = object()


class Delivery:
    """A batch on its way to the application, `size` bytes on the wire."""

    def __init__(self, batch: Batch, shapes: Mapping[int, Shape], size: int) -> None:
        self.batch = batch
        self.size = size
        self.left = batch.count
        self._transactions: Iterator[Transaction] = batch.transactions(shapes)
        self._next: Optional[Transaction] = None

    def look(self) -> Optional[Transaction]:
        """The next transaction, the same until `passed`; None if none is left."""
        if self._next is None and self.left:
            self._next = next(self._transactions)
        return self._next

    def passed(self) -> None:
        """Go on to the next."""
        self._next = None
        self.left -= 1


class Piece:
    """BEGIN, PART or END of transaction `number`, `size` bytes on the wire; what it is not is None."""

    def __init__(
        self,
        number: int,
        size: int,
        shapes: Mapping[int, Shape],
        begin: Optional[Begin] = None,
        data: Optional[bytes] = None,
        unfinished: bool = False,
    ) -> None:
        self.number = number
        self.size = size
        self.shapes = shapes
        self.begin = begin
        self.data = data
        self.unfinished = unfinished

    @property
    def ends(self) -> bool:
        """Whether it is the END."""
        return self.begin is None and self.data is None


class OpenTransaction:
    """A transaction in parts while it comes: decodes parts, and compares what came with what was announced.

    It holds no more than the beginning of a change that goes on in the next part.
    """

    def __init__(self, begin: Begin) -> None:
        self.head: TransactionHead = begin.head
        self._manifest = begin.manifest
        self._found: Dict[str, Tuple[int, int]] = {}
        self._cut: Optional[bytearray] = None
        self._end = ValueEnd()
        self.bytes = 0

    def add(self, piece: Piece) -> List[Change]:
        """The changes that end in a part, in order."""
        data = memoryview(piece.data)
        self.bytes += len(data)
        changes: List[Change] = []
        if self._cut is not None:
            end = self._end.feed(data)
            self._cut += data if end is None else data[:end]
            if len(self._cut) > MOST_CHANGE_BYTES:
                raise ProtocolError(f"a change of transaction {self.head.position} is longer than any row can be")
            if end is not None:
                whole, self._cut = self._cut, None
                changes += self._decode(whole, piece)
                data = data[end:]
        if self._cut is None and len(data):
            end = whole_changes(data) if piece.unfinished else len(data)
            if end:
                changes += self._decode(data[:end], piece)
            if end < len(data):
                self._cut, self._end = bytearray(data[end:]), ValueEnd()
                if self._end.feed(self._cut) is not None:
                    raise ProtocolError("malformed change: it is whole, and can not be read")
        if piece.unfinished != (self._cut is not None):
            where = "inside of a change" if self._cut is not None else "with a whole change"
            raise ProtocolError(f"part of transaction {self.head.position} ends {where}")
        return changes

    def finish(self) -> None:
        """Raise CorruptError unless all came that was announced."""
        check_manifest(str(self.head.position), self._manifest, self._found)

    def _decode(self, data, piece: Piece) -> List[Change]:
        changes, sums = decode_changes(data, piece.shapes)
        for name, (count, total) in sums.items():
            known, so_far = self._found.get(name, (0, 0))
            self._found[name] = (known + count, (so_far + total) % DIGEST_MODULUS)
            if known + count > self._manifest.get(name, (0, 0))[0]:
                self.finish()
        return changes
