"""From the forms of the wire to Python values, without loss."""

from __future__ import annotations

import json
import re
import struct
from decimal import Decimal
from typing import Any, Callable, Dict, List
from uuid import UUID

from .dates import INT32_LEAST, INT32_MOST, to_date, to_timestamp, to_timestamptz
from .errors import ProtocolError
from .unpack import INT64_LEAST, INT64_MOST

FORM_TEXT = 0
FORM_BOOL = 1
FORM_INT = 2
FORM_NUMERIC = 3
FORM_TIMESTAMP = 4
FORM_TIMESTAMPTZ = 5
FORM_UUID = 6
FORM_JSON = 7
FORM_FLOAT4 = 8
FORM_FLOAT8 = 9
FORM_BYTES = 10
FORM_DATE = 11
# A form with this flag is that of an array of such values.
FORM_ARRAY = 16

# PostgreSQL's arrays have at most six dimensions.
MOST_DIMENSIONS = 6

_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?|NaN|-?Infinity", re.ASCII)
_FLOAT32 = struct.Struct(">f")


class Json(str):
    """The exact text of a json or jsonb value, a str; parse it with `loads` and your own choice of number types."""

    __slots__ = ()

    def loads(self, **options: Any) -> Any:
        """json.loads on the text; e.g. parse_float=Decimal keeps amounts exact."""
        return json.loads(self, **options)


class ArrayText(str):
    """An array with a lower bound other than 1, as PostgreSQL prints it: `[0:1]={a,b}`. No list of Python can stand for it."""

    __slots__ = ()


def _expect(kind: type, value: Any) -> Any:
    # type() and not isinstance(): to Python a bool is an int.
    if type(value) is not kind:
        raise ProtocolError(f"malformed value: {type(value).__name__} instead of {kind.__name__}")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or not INT64_LEAST <= value <= INT64_MOST:
        raise ProtocolError("malformed value: no integer of 64 bits")
    return value


def _numeric(value: Any) -> Decimal:
    if not _NUMERIC.fullmatch(_expect(str, value)):
        raise ProtocolError(f'malformed value: "{value[:80]}" is no numeric')
    return Decimal(value)


def _uuid(value: Any) -> UUID:
    if len(_expect(bytes, value)) != 16:
        raise ProtocolError(f"malformed value: uuid of {len(value)} bytes")
    return UUID(bytes=value)


def to_float32(value: float) -> float:
    """The nearest float32, as a float; an infinity above the greatest."""
    try:
        return _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _float4(value: Any) -> float:
    if to_float32(_expect(float, value)) != value and value == value:
        raise ProtocolError("malformed value: no float of 32 bits")
    return value


def _date(value: Any) -> Any:
    if not INT32_LEAST <= _expect(int, value) <= INT32_MOST:
        raise ProtocolError("malformed value: no integer of 32 bits")
    return to_date(value)


def dimensions(value: list) -> List[int]:
    """The lengths of an array's dimensions, the outermost first; none of an empty array. ValueError if they are uneven."""
    lengths: List[int] = []
    inner: Any = value
    while type(inner) is list and inner:
        lengths.append(len(inner))
        if len(lengths) > MOST_DIMENSIONS:
            raise ValueError(f"array of more than {MOST_DIMENSIONS} dimensions")
        inner = inner[0]
    if len(lengths) > 1:
        _check_even(value, lengths, 1)
    return lengths


def _check_even(value: list, lengths: List[int], depth: int) -> None:
    for inner in value:
        if type(inner) is not list or len(inner) != lengths[depth]:
            raise ValueError("array whose parts are of different lengths")
        if depth + 1 < len(lengths):
            _check_even(inner, lengths, depth + 1)


def _array(element: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def elements(value: list, depth: int) -> list:
        if depth > 1:
            return [elements(inner, depth - 1) for inner in value]
        return [None if item is None else element(item) for item in value]

    def decode(value: Any) -> Any:
        if type(value) is str:
            return ArrayText(value)
        try:
            lengths = dimensions(_expect(list, value))
        except ValueError as error:
            raise ProtocolError(f"malformed value: {error}") from None
        return elements(value, len(lengths))

    return decode


DECODERS: Dict[int, Callable[[Any], Any]] = {
    FORM_TEXT: lambda value: _expect(str, value),
    FORM_BOOL: lambda value: _expect(bool, value),
    FORM_INT: _integer,
    FORM_NUMERIC: _numeric,
    FORM_TIMESTAMP: lambda value: to_timestamp(_integer(value)),
    FORM_TIMESTAMPTZ: lambda value: to_timestamptz(_integer(value)),
    FORM_UUID: _uuid,
    FORM_JSON: lambda value: Json(_expect(str, value)),
    FORM_FLOAT4: _float4,
    FORM_FLOAT8: lambda value: _expect(float, value),
    FORM_BYTES: lambda value: _expect(bytes, value),
    FORM_DATE: _date,
}
DECODERS.update({FORM_ARRAY + form: _array(decoder) for form, decoder in list(DECODERS.items())})
