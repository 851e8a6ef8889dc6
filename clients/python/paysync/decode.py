"""From the bytes of SHAPES and BATCH to shapes and transactions, checked against their counts and digests."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, Iterator, List, Mapping, NamedTuple, Tuple

from .changes import Column, Shape, Transaction
from .dates import to_timestamptz
from .decode_change import decode_changes
from .errors import CorruptError, ProtocolError
from .position import Position
from .unpack import INT64_MOST, Reader
from .values import DECODERS

_MOST_NUMBER = 2**15 - 1


def decode_shapes(data: bytes) -> List[Shape]:
    """Read the second frame of SHAPES; ProtocolError also for a form that this version does not know."""
    reader = Reader(data, "SHAPES")
    shapes = []
    for _ in range(reader.array()):
        reader.fields(2)
        shapes.append(_read_shape(reader, reader.integer(1)))
    reader.end()
    return shapes


def _read_shape(reader: Reader, shape_id: int) -> Shape:
    reader.fields(5)
    schema, table, channel = reader.text(), reader.text(), reader.text()
    columns = []
    for _ in range(reader.array()):
        # Sources of version 0.1 tell no numbers.
        has_number = reader.fields(3, 4) == 4
        name, kind, form = reader.text(), reader.text(), reader.integer()
        column = Column(name, kind, form, reader.integer(1, _MOST_NUMBER) if has_number else 0)
        if column.form not in DECODERS:
            raise ProtocolError(
                f'column "{column.name}" of "{schema}.{table}" has the unknown form {column.form}',
                "Its values cannot be read without guessing.",
                "Use a newer version of this package.",
            )
        columns.append(column)
    key = tuple(reader.integer(0, len(columns) - 1) for _ in range(reader.array()))
    numbers = [column.number for column in columns if column.number]
    if len(set(numbers)) != len(numbers):
        raise reader.fail(f'shape of "{schema}.{table}" gives two columns one number')
    if len({column.name for column in columns}) != len(columns) or len(set(key)) != len(key):
        raise reader.fail(f'shape of "{schema}.{table}" names a column twice')
    return Shape(shape_id, schema, table, channel, tuple(columns), key)


class Batch(NamedTuple):
    """A BATCH whose head was read: numbers `prev`+1 to `last` of one history, with `count` transactions still to read."""

    prev: int
    last: int
    epoch: int
    nonce: str
    count: int
    reader: Reader

    def transactions(self, shapes: Mapping[int, Shape]) -> Iterator[Transaction]:
        """Read the transactions one by one, each whole and checked; to be called once."""
        number = self.prev
        for left in range(self.count, 0, -1):
            transaction = _read_transaction(self, shapes)
            if not number < transaction.number <= self.last:
                raise self.reader.fail(f"number {transaction.number} is out of order")
            number = transaction.number
            if left == 1:
                self.reader.end()
            yield transaction


def decode_batch(data: bytes) -> Batch:
    """Read the head of the second frame of BATCH."""
    reader = Reader(data, "BATCH")
    reader.fields(5)
    prev, last = reader.integer(0), reader.integer(0)
    epoch, nonce = reader.integer(0), reader.text()
    count = reader.array()
    if last < prev:
        raise reader.fail(f"last number {last} is below {prev}")
    if count == 0:
        reader.end()
    try:
        Position(epoch, nonce, last)
    except ValueError as error:
        raise reader.fail(str(error)) from None
    return Batch(prev, last, epoch, nonce, count, reader)


def _read_transaction(batch: Batch, shapes: Mapping[int, Shape]) -> Transaction:
    reader = batch.reader
    reader.fields(8)
    position = Position(batch.epoch, batch.nonce, reader.integer(0))
    xid = reader.integer(0, 2 * INT64_MOST + 1)
    time = to_timestamptz(reader.integer())
    origin, context = reader.text_or_nil(), reader.text_or_nil()
    total = reader.integer(0)
    manifest: Dict[str, Tuple[int, int]] = {}
    for _ in range(reader.array()):
        reader.fields(3)
        name, count = reader.text(), reader.integer(0)
        if name in manifest:
            raise reader.fail(f'channel "{name}" comes twice')
        manifest[name] = (count, int.from_bytes(reader.binary(16), "big"))
    if not isinstance(time, datetime):
        raise reader.fail(f"time {time} is out of range")
    changes, found = decode_changes(reader.binary(), shapes)
    _check_manifest(str(position), manifest, found)
    if total < len(changes):
        raise reader.fail(f"total {total} is below the {len(changes)} changes")
    return Transaction(position, xid, time, origin, context, total, changes)


def _check_manifest(position: str, manifest: dict, found: dict) -> None:
    for name in manifest.keys() | found.keys():
        expected, actual = manifest.get(name, (0, 0)), found.get(name, (0, 0))
        if expected != actual:
            raise CorruptError(
                f'transaction {position} is not what was recorded in channel "{name}"',
                f"Recorded are {expected[0]} changes with digest {expected[1]:032x}, "
                f"received {actual[0]} with {actual[1]:032x}.",
                "Nothing of it was handed out. Compare with paysync.peek() on the source.",
                position,
            )
