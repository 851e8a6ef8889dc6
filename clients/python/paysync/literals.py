"""Values back to PostgreSQL's text, for those who write rows into another database."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Callable, Dict, Optional
from uuid import UUID

from .changes import Column
from .dates import Date, Timestamp, microseconds_of, timestamp_text
from .values import (
    FORM_ARRAY,
    FORM_BOOL,
    FORM_BYTES,
    FORM_DATE,
    FORM_FLOAT4,
    FORM_FLOAT8,
    FORM_INT,
    FORM_JSON,
    FORM_NUMERIC,
    FORM_TEXT,
    FORM_TIMESTAMP,
    FORM_TIMESTAMPTZ,
    FORM_UUID,
    ArrayText,
    dimensions,
    to_float32,
)

# What makes array_in() take an element for something else if it stands there without quotes.
_SPECIAL = frozenset('{}",\\ \t\n\v\f\r')


def to_text(value: Any, column: Column) -> Optional[str]:
    """The text from which PostgreSQL reads exactly `value` into a column of this type; None for NULL.

    Pass it as a parameter, e.g. `%s::text::numeric(12,2)`, or quote it as a literal: it is not quoted here. `value` is one
    of the column's form, as a change has it; TypeError or ValueError if it is not.
    """
    if value is None:
        return None
    if column.form < FORM_ARRAY:
        return _WRITERS[column.form](value)
    if type(value) is ArrayText:
        return str(value)
    writer = _WRITERS[column.form - FORM_ARRAY]
    return _array(_expect(value, list), len(dimensions(value)), writer)


def _array(value: list, depth: int, writer: Callable[[Any], str]) -> str:
    if depth > 1:
        return "{" + ",".join([_array(inner, depth - 1, writer) for inner in value]) + "}"
    return "{" + ",".join(["NULL" if item is None else _quoted(writer(item)) for item in value]) + "}"


def _quoted(text: str) -> str:
    if text and _SPECIAL.isdisjoint(text) and text.upper() != "NULL":
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _expect(value: Any, *kinds: type) -> Any:
    # A bool is an int and a datetime is a date to Python, but not to PostgreSQL.
    misfit = isinstance(value, bool) and bool not in kinds or isinstance(value, datetime) and datetime not in kinds
    if misfit or not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{type(value).__name__} instead of {names}")
    return value


def _numeric(value: Any) -> str:
    if _expect(value, Decimal).is_nan():
        return "NaN"
    return format(value, "f")


def _special_float(value: float) -> Optional[str]:
    if math.isnan(value):
        return "NaN"
    return None if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _float8(value: Any) -> str:
    return _special_float(_expect(value, float)) or repr(float(value))


def _float4(value: Any) -> str:
    if not math.isnan(_expect(value, float)) and to_float32(value) != value:
        raise ValueError(f"{value!r} is no float of 32 bits")
    return _special_float(value) or _shortest_float32(value)


def _shortest_float32(value: float) -> str:
    """The shortest text that is read back as this float32, also by way of a float64: hence its neighbours are asked too."""
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        near = float(text)
        neighbours = (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf))
        if all(to_float32(number) == value for number in neighbours):
            return text
    return f"{value:.9g}"


def _moment(value: Any, with_zone: bool) -> str:
    if isinstance(_expect(value, datetime, Timestamp), Timestamp):
        has_zone, microseconds = value.with_zone, value.microseconds
    else:
        has_zone, microseconds = value.tzinfo is not None, microseconds_of(value)
    if has_zone is not with_zone:
        raise ValueError(f"{value} {'has a' if has_zone else 'has no'} time zone")
    return timestamp_text(microseconds, with_zone)


_WRITERS: Dict[int, Callable[[Any], str]] = {
    FORM_TEXT: lambda value: str(_expect(value, str)),
    FORM_BOOL: lambda value: "t" if _expect(value, bool) else "f",
    FORM_INT: lambda value: str(_expect(value, int)),
    FORM_NUMERIC: _numeric,
    FORM_TIMESTAMP: lambda value: _moment(value, False),
    FORM_TIMESTAMPTZ: lambda value: _moment(value, True),
    FORM_UUID: lambda value: str(_expect(value, UUID)),
    FORM_JSON: lambda value: str(_expect(value, str)),
    FORM_FLOAT4: _float4,
    FORM_FLOAT8: _float8,
    FORM_BYTES: lambda value: "\\x" + _expect(value, bytes).hex(),
    FORM_DATE: lambda value: str(value) if isinstance(value, Date) else _expect(value, date).isoformat(),
}
