"""Dates and times: from the wire's counts to Python's types where those can hold them, and PostgreSQL's text of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Union

from .unpack import INT64_LEAST, INT64_MOST

INT32_MOST = 2**31 - 1
INT32_LEAST = -(2**31)
_EPOCH = datetime(2000, 1, 1)
_EPOCH_UTC = datetime(2000, 1, 1, tzinfo=timezone.utc)
_LEAST = (datetime.min - _EPOCH) // timedelta(microseconds=1)
_MOST = (datetime.max - _EPOCH) // timedelta(microseconds=1)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_FIRST_DAY = date.min.toordinal() - _EPOCH_ORDINAL
_LAST_DAY = date.max.toordinal() - _EPOCH_ORDINAL
_DAY = 86_400_000_000


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


@dataclass(frozen=True, order=True)
class Date:
    """A date that Python's date cannot hold: infinity, before the year 1 or after 9999.

    `days` count from 2000-01-01, as in PostgreSQL; str() gives PostgreSQL's ISO text, which it reads back.
    """

    days: int

    @property
    def is_finite(self) -> bool:
        """False for `infinity` and `-infinity`."""
        return INT32_LEAST < self.days < INT32_MOST

    def __str__(self) -> str:
        return date_text(self.days)


def date_text(days: int) -> str:
    """PostgreSQL's ISO text of days since 2000-01-01."""
    if days == INT32_MOST:
        return "infinity"
    if days == INT32_LEAST:
        return "-infinity"
    text, era = _day_text(days)
    return text + era


def timestamp_text(microseconds: int, with_zone: bool) -> str:
    """PostgreSQL's ISO text of microseconds since 2000-01-01, with `+00` for a timestamptz."""
    if microseconds == INT64_MOST:
        return "infinity"
    if microseconds == INT64_LEAST:
        return "-infinity"
    days, rest = divmod(microseconds, _DAY)
    seconds, fraction = divmod(rest, 1_000_000)
    text, era = _day_text(days)
    text += f" {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if fraction:
        text += f".{fraction:06d}".rstrip("0")
    if with_zone:
        text += "+00"
    return text + era


def to_date(days: int) -> Union[date, Date]:
    """A date, or a Date where that cannot hold it."""
    if _FIRST_DAY <= days <= _LAST_DAY:
        return date.fromordinal(days + _EPOCH_ORDINAL)
    return Date(days)


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


def microseconds_of(moment: datetime) -> int:
    """Microseconds since 2000-01-01, in UTC where `moment` has a zone."""
    return (moment - (_EPOCH if moment.tzinfo is None else _EPOCH_UTC)) // timedelta(microseconds=1)


def _day_text(days: int) -> tuple:
    year, month, day = _civil(days)
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}", "" if year > 0 else " BC"


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
