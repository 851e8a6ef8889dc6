"""From the forms of the wire to Python values, without loss."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable, Dict, Union
from uuid import UUID

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

_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?|NaN|-?Infinity", re.ASCII)
_EPOCH = datetime(2000, 1, 1)
_EPOCH_UTC = datetime(2000, 1, 1, tzinfo=timezone.utc)
_LEAST = (datetime.min - _EPOCH) // timedelta(microseconds=1)
_MOST = (datetime.max - _EPOCH) // timedelta(microseconds=1)
_DAY = 86_400_000_000


class Json(str):
    """The exact text of a json or jsonb value, a str; parse it with `loads` and your own choice of number types."""

    __slots__ = ()

    def loads(self, **options: Any) -> Any:
        """json.loads on the text; e.g. parse_float=Decimal keeps amounts exact."""
        return json.loads(self, **options)


@dataclass(frozen=True, order=True)
class Timestamp:
    """A timestamp that Python's datetime cannot hold: infinity, before the year 1 or after 9999.

    `microseconds` count from 2000-01-01 00:00:00, as in PostgreSQL; str() gives PostgreSQL's ISO text, which it reads back.
    """

    microseconds: int
    with_zone: bool = False

    @property
    def is_finite(self) -> bool:
        """False for `infinity` and `-infinity`."""
        return INT64_LEAST < self.microseconds < INT64_MOST

    def __str__(self) -> str:
        return timestamp_text(self.microseconds, self.with_zone)


def timestamp_text(microseconds: int, with_zone: bool) -> str:
    """PostgreSQL's ISO text of microseconds since 2000-01-01, with `+00` for a timestamptz."""
    if microseconds == INT64_MOST:
        return "infinity"
    if microseconds == INT64_LEAST:
        return "-infinity"
    days, rest = divmod(microseconds, _DAY)
    year, month, day = _civil(days)
    seconds, fraction = divmod(rest, 1_000_000)
    text = f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}"
    text += f" {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if fraction:
        text += f".{fraction:06d}".rstrip("0")
    if with_zone:
        text += "+00"
    return text if year > 0 else text + " BC"


def to_timestamp(microseconds: int) -> Union[datetime, Timestamp]:
    """A naive datetime, or a Timestamp where that cannot hold it."""
    if _LEAST <= microseconds <= _MOST:
        return _EPOCH + timedelta(microseconds=microseconds)
    return Timestamp(microseconds)


def to_timestamptz(microseconds: int) -> Union[datetime, Timestamp]:
    """A datetime in UTC, or a Timestamp where that cannot hold it."""
    if _LEAST <= microseconds <= _MOST:
        return _EPOCH_UTC + timedelta(microseconds=microseconds)
    return Timestamp(microseconds, True)


def _civil(days: int) -> tuple:
    """Year (0 is 1 BC), month and day of a day counted from 2000-01-01, in the Gregorian calendar without end.

    Counts from 1 March of year 0, so that the leap day is the last day of a year, in cycles of 400 years.
    """
    era, day_of_era = divmod(days + 730_425, 146_097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    year += era * 400
    return (year + 1, month - 9, day) if month >= 10 else (year, month + 3, day)


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


DECODERS: Dict[int, Callable[[Any], Any]] = {
    FORM_TEXT: lambda value: _expect(str, value),
    FORM_BOOL: lambda value: _expect(bool, value),
    FORM_INT: _integer,
    FORM_NUMERIC: _numeric,
    FORM_TIMESTAMP: lambda value: to_timestamp(_integer(value)),
    FORM_TIMESTAMPTZ: lambda value: to_timestamptz(_integer(value)),
    FORM_UUID: _uuid,
    FORM_JSON: lambda value: Json(_expect(str, value)),
}
