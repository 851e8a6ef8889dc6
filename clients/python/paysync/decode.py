"""From the bytes of SHAPES, BATCH, BEGIN and PART to shapes and transactions, checked against their counts and digests."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, Iterator, List, Mapping, NamedTuple, Tuple

from .changes import Column, Shape, Transaction, TransactionHead
from .dates import to_timestamptz
from .decode_change import decode_changes
from .errors import CorruptError, ProtocolError
from .position import Position
from .unpack import INT64_MOST, Reader
from .values import DECODERS

_MOST_NUMBER = 2**15 - 1
_MOST_PART = 256 * 1024


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


#: By channel: the number of changes, and the sum of their digests.
Manifest = Dict[str, Tuple[int, int]]


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
    head, manifest = _read_head(reader, Position(batch.epoch, batch.nonce, reader.integer(0)))
    changes, found = decode_changes(reader.binary(), shapes)
    check_manifest(str(head.position), manifest, found)
    _check_total(reader, head)
    return head.with_changes(changes)


def _read_head(reader: Reader, position: Position) -> Tuple[TransactionHead, Manifest]:
    xid = reader.integer(0, 2 * INT64_MOST + 1)
    time = to_timestamptz(reader.integer())
    origin, context = reader.text_or_nil(), reader.text_or_nil()
    total = reader.integer(0)
    manifest: Manifest = {}
    for _ in range(reader.array()):
        reader.fields(3)
        name, count = reader.text(), reader.integer(0)
        if name in manifest:
            raise reader.fail(f'channel "{name}" comes twice')
        manifest[name] = (count, int.from_bytes(reader.binary(16), "big"))
    if not isinstance(time, datetime):
        raise reader.fail(f"time {time} is out of range")
    count = sum(count for count, _ in manifest.values())
    return TransactionHead(position, xid, time, origin, context, total, count), manifest


def _check_total(reader: Reader, head: TransactionHead) -> None:
    if head.total < head.count:
        raise reader.fail(f"total {head.total} is below the {head.count} changes")


class Begin(NamedTuple):
    """A BEGIN: the transaction that comes in parts, going on after `prev`, and what was recorded with it by channel."""

    prev: int
    head: TransactionHead
    manifest: Manifest


def decode_begin(data: bytes) -> Begin:
    """Read the second frame of BEGIN."""
    reader = Reader(data, "BEGIN")
    reader.fields(11)
    prev, number = reader.integer(0), reader.integer(0)
    epoch, nonce = reader.integer(0), reader.text()
    if number <= prev:
        raise reader.fail(f"number {number} is not after {prev}")
    try:
        position = Position(epoch, nonce, number)
    except ValueError as error:
        raise reader.fail(str(error)) from None
    head, manifest = _read_head(reader, position)
    _check_total(reader, head)
    head.streamed_bytes = reader.integer(0)
    reader.end()
    return Begin(prev, head, manifest)


class Part(NamedTuple):
    """A PART: `unfinished` says that the last change in `data` goes on in the next one."""

    index: int
    unfinished: bool
    data: bytes


def decode_part(data: bytes) -> Part:
    """Read the second frame of PART."""
    reader = Reader(data, "PART")
    reader.fields(3)
    part = Part(reader.integer(0), reader.boolean(), reader.binary())
    reader.end()
    if not 0 < len(part.data) <= _MOST_PART:
        raise reader.fail(f"data of {len(part.data)} bytes")
    return part


def check_manifest(position: str, manifest: Manifest, found: Manifest) -> None:
    """CorruptError unless count and digest of each channel are what was recorded."""
    for name in manifest.keys() | found.keys():
        expected, actual = manifest.get(name, (0, 0)), found.get(name, (0, 0))
        if expected != actual:
            raise CorruptError(
                f'transaction {position} is not what was recorded in channel "{name}"',
                f"Recorded are {expected[0]} changes with digest {expected[1]:032x}, "
                f"received {actual[0]} with {actual[1]:032x}.",
                "Nothing of it counts. Compare with paysync.peek() on the source.",
                position,
            )
