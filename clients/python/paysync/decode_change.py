"""From the bytes of changes to changes, with the counts and digests that they have."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import msgpack
import xxhash

from .changes import Change, Shape
from .errors import ProtocolError
from .values import Json

# PostgreSQL's own limit for a target list is 1664 entries. No row has more, so for all but long array values what a hostile
# header can make msgpack allocate stays small however deep it nests; those are passed over once before.
_MOST_ELEMENTS = 1664
DIGEST_MODULUS = 2**128
_OPS = ("insert", "update", "delete", "truncate", "event", "gap", "alter")
_FIELDS = (4, 5, 4, 3, 7, 4, 5)
_EVENT, _GAP, _ALTER = 4, 5, 6


def digest(data: Union[bytes, memoryview]) -> int:
    """The 128-bit digest of one change's bytes."""
    return xxhash.xxh3_128_intdigest(data)


Data = Union[bytes, bytearray, memoryview]


def whole_changes(data: Data) -> int:
    """The length of the whole changes at the beginning of `data`, whose last change goes on elsewhere."""
    probe, end = _unpacker(data, len(data)), 0
    try:
        while True:
            probe.skip()
            end = probe.tell()
    except msgpack.OutOfData:
        return end
    except Exception as error:
        raise ProtocolError(f"malformed change: {error or type(error).__name__}") from None


def decode_changes(data: Data, shapes: Mapping[int, Shape]) -> Tuple[List[Change], Dict[str, Tuple[int, int]]]:
    """Read changes that stand one behind the other; also, for each channel, their count and the sum of their digests."""
    data = memoryview(data)
    changes: List[Change] = []
    sums: Dict[str, Tuple[int, int]] = {}
    start = begin = 0
    unpacker, probe = _unpacker(data, _MOST_ELEMENTS), None
    while start < len(data):
        try:
            if probe is not None:
                probe.skip()
            fields = unpacker.unpack()
        except ProtocolError:
            raise
        except Exception as error:  # the module raises whatever it likes: ValueError, StackError, OutOfData, TypeError …
            if probe is not None or not isinstance(error, ValueError):
                raise ProtocolError(f"malformed change: {error or type(error).__name__}") from None
            # Malformed, or an array that is longer. The module makes a list as long as a header claims; skip() makes nothing.
            # Where it comes to the end of a change all elements are there, and what unpacking takes is bounded by them.
            begin = start
            probe, unpacker = _unpacker(data[begin:], len(data)), _unpacker(data[begin:], len(data))
            continue
        change = _to_change(fields, shapes)
        changes.append(change)
        end = begin + unpacker.tell()
        count, total = sums.get(change.channel, (0, 0))
        sums[change.channel] = (count + 1, (total + digest(data[start:end])) % DIGEST_MODULUS)
        start = end
    return changes, sums


def _unpacker(data: Data, most_elements: int) -> msgpack.Unpacker:
    unpacker = msgpack.Unpacker(
        max_buffer_size=max(len(data), 1),
        max_str_len=len(data),
        max_bin_len=len(data),
        max_array_len=min(len(data), most_elements),
        max_map_len=min(len(data), _MOST_ELEMENTS),
        max_ext_len=0,
        strict_map_key=False,
        object_pairs_hook=_unique,
    )
    unpacker.feed(data)
    return unpacker


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
    if not 0 <= op < len(_OPS):
        raise ProtocolError(f"malformed change: operation {op} is not known")
    if len(fields) != _FIELDS[op]:
        raise ProtocolError(f"malformed change: {_OPS[op]} with {len(fields)} fields")
    shape = _shape(fields[1], shapes)
    change = Change(shape.channel, _OPS[op], shape.schema, shape.table, command=_command(fields[2]), shape=shape)
    if op < 2:
        change.new = _to_row(shape, fields[3])
    if op == 1 or op == 2:
        change.old = _to_old(shape, fields[-1])
    if op < 3:
        change.key = _to_key(shape, change.old, change.new)
    elif op == _GAP:
        if type(fields[3]) is not str:
            raise ProtocolError("malformed change: the reason of a gap is no str")
        change.reason = fields[3]
    elif op == _ALTER:
        change.previous = _shape(fields[3], shapes)
        change.new = _to_columns(shape, fields[4])
    return change


def _shape(shape_id: Any, shapes: Mapping[int, Shape]) -> Shape:
    shape = shapes.get(shape_id) if type(shape_id) is int else None
    if shape is None:
        raise ProtocolError(f"malformed change: shape {str(shape_id)[:40]} was not described")
    return shape


def _to_event(fields: list) -> Change:
    if len(fields) != _FIELDS[_EVENT]:
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
    return None if values is None else _to_columns(shape, values)


def _to_columns(shape: Shape, values: Any) -> Dict[str, Any]:
    if type(values) is not dict or not all(0 <= at < len(shape.names) for at in values):
        raise ProtocolError(f'malformed change: values do not fit the columns of "{shape.table}"')
    return {
        shape.names[at]: None if values[at] is None else shape.decoders[at](values[at]) for at in sorted(values)
    }


def _to_key(shape: Shape, old: Optional[dict], new: Optional[dict]) -> Dict[str, Any]:
    told = [name for name in shape.key_names if name in old] if old else ()
    row = old if told or new is None else new
    if len(told) != len(shape.key_names) and row is not new:
        # A delete must say which row went; an update that tells a part of the old key leaves open whether the rest changed.
        raise ProtocolError(f'malformed change: old values hold {len(told)} of {len(shape.key_names)} key columns of "{shape.table}"')
    return {name: row[name] for name in shape.key_names} if row else {}
