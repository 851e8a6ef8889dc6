"""From the bytes of SHAPES and BATCH to shapes and transactions, checked against their counts and digests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import msgpack
import xxhash

from .changes import Change, Column, Shape, Transaction
from .errors import CorruptError, ProtocolError
from .position import Position
from .unpack import INT64_MOST, Reader
from .values import DECODERS, Json, to_timestamptz

# PostgreSQL's own limit for a target list is 1664 entries and no change has a longer array, so what a hostile header
# can make msgpack allocate stays small however deep it nests.
_MOST_ELEMENTS = 1664
_DIGEST_MODULUS = 2**128
_ROW_OPS = ("insert", "update", "delete", "truncate")
_ROW_FIELDS = (4, 5, 4, 3)
_EVENT = 4
_EVENT_FIELDS = 7


def digest(data: bytes) -> int:
    """The 128-bit digest of one change's bytes."""
    return xxhash.xxh3_128_intdigest(data)


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
        reader.fields(3)
        column = Column(reader.text(), reader.text(), reader.integer())
        if column.form not in DECODERS:
            raise ProtocolError(
                f'column "{column.name}" of "{schema}.{table}" has the unknown form {column.form}',
                "Its values cannot be read without guessing.",
                "Use a newer version of this package.",
            )
        columns.append(column)
    key = tuple(reader.integer(0, len(columns) - 1) for _ in range(reader.array()))
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


def decode_changes(data: bytes, shapes: Mapping[int, Shape]) -> Tuple[List[Change], Dict[str, Tuple[int, int]]]:
    """Read changes that stand one behind the other; also, for each channel, their count and the sum of their digests."""
    changes: List[Change] = []
    sums: Dict[str, Tuple[int, int]] = {}
    if not data:
        return changes, sums
    unpacker = msgpack.Unpacker(
        max_buffer_size=len(data),
        max_str_len=len(data),
        max_bin_len=len(data),
        max_array_len=min(len(data), _MOST_ELEMENTS),
        max_map_len=min(len(data), _MOST_ELEMENTS),
        max_ext_len=0,
        strict_map_key=False,
        object_pairs_hook=_unique,
    )
    unpacker.feed(data)
    start = 0
    while start < len(data):
        try:
            fields = unpacker.unpack()
        except ProtocolError:
            raise
        except Exception as error:  # the module raises whatever it likes: ValueError, StackError, OutOfData, TypeError …
            raise ProtocolError(f"malformed change: {error or type(error).__name__}") from None
        change = _to_change(fields, shapes)
        changes.append(change)
        end = unpacker.tell()
        count, total = sums.get(change.channel, (0, 0))
        sums[change.channel] = (count + 1, (total + digest(data[start:end])) % _DIGEST_MODULUS)
        start = end
    return changes, sums


def _unique(pairs: list) -> dict:
    # A map with one key twice would otherwise pass with the last value.
    result = {}
    for key, value in pairs:
        if type(key) is not int or key in result:
            raise ProtocolError("malformed change: a map key is no integer or comes twice")
        result[key] = value
    return result


def _to_change(fields: Any, shapes: Mapping[int, Shape]) -> Change:
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        raise ProtocolError("malformed change: no array that begins with an operation")
    op = fields[0]
    if op == _EVENT:
        return _to_event(fields)
    if not 0 <= op < len(_ROW_OPS):
        raise ProtocolError(f"malformed change: operation {op} is not known")
    if len(fields) != _ROW_FIELDS[op]:
        raise ProtocolError(f"malformed change: {_ROW_OPS[op]} with {len(fields)} fields")
    shape = shapes.get(fields[1]) if type(fields[1]) is int else None
    if shape is None:
        raise ProtocolError(f"malformed change: shape {str(fields[1])[:40]} was not described")
    change = Change(shape.channel, _ROW_OPS[op], shape.schema, shape.table, command=_command(fields[2]), shape=shape)
    if op < 2:
        change.new = _to_row(shape, fields[3])
    if op == 1 or op == 2:
        change.old = _to_old(shape, fields[-1])
    if op < 3:
        change.key = _to_key(shape, change.old, change.new)
    return change


def _to_event(fields: list) -> Change:
    if len(fields) != _EVENT_FIELDS:
        raise ProtocolError(f"malformed change: event with {len(fields)} fields")
    _, channel, command, kind, key, headers, payload = fields
    if not all(type(text) is str for text in (channel, kind, headers, payload)) or type(key) not in (str, type(None)):
        raise ProtocolError("malformed change: a field of an event is no str")
    return Change(
        channel, "event", key=key, type=kind, headers=Json(headers), payload=Json(payload), command=_command(command)
    )


def _command(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**32:
        raise ProtocolError("malformed change: command id is out of range")
    return value


def _to_row(shape: Shape, values: Any) -> Dict[str, Any]:
    if type(values) is not list or len(values) != len(shape.names):
        raise ProtocolError(f'malformed change: row does not have the {len(shape.names)} columns of "{shape.table}"')
    return {
        name: None if value is None else decoder(value)
        for name, decoder, value in zip(shape.names, shape.decoders, values)
    }


def _to_old(shape: Shape, values: Any) -> Optional[Dict[str, Any]]:
    if values is None:
        return None
    if type(values) is not dict or not all(0 <= at < len(shape.names) for at in values):
        raise ProtocolError(f'malformed change: old values do not fit the columns of "{shape.table}"')
    return {
        shape.names[at]: None if values[at] is None else shape.decoders[at](values[at]) for at in sorted(values)
    }


def _to_key(shape: Shape, old: Optional[dict], new: Optional[dict]) -> Dict[str, Any]:
    key = {}
    for at in shape.key:
        name = shape.names[at]
        if old is not None and name in old:
            key[name] = old[name]
        elif new is not None:
            key[name] = new[name]
        else:
            raise ProtocolError(f'malformed change: delete without key column "{name}" of "{shape.table}"')
    return key
