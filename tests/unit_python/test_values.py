"""Positions, the forms' Python values, and random bytes."""

from __future__ import annotations

import struct
import tracemalloc
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paysync import ArrayText, Date, Json, PaysyncError, Position, ProtocolError, Timestamp, frames, messages
from paysync.changes import Column, Shape
from paysync.dates import INT32_LEAST, INT32_MOST, date_text, timestamp_text, to_date, to_timestamp, to_timestamptz
from paysync.decode import decode_batch, decode_shapes
from paysync.decode_change import decode_changes
from paysync.unpack import INT64_LEAST, INT64_MOST, Reader
from paysync.values import DECODERS

SHAPE = Shape(
    7, "public", "t", "default", (Column("id", "bigint", 2, 1), Column("j", "jsonb", 7, 2), Column("n", "real[]", 24, 3)), (0,)
)


@pytest.mark.parametrize("text", ["3.9f2c41aa:184467", "1.00000000:0", f"{INT64_MOST}.ffffffff:{INT64_MOST}"])
def test_position_round_trip(text):
    """Rule: a position is one text."""
    assert str(Position.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "3.9f2c41aa", "3.9f2c41aa:", "3.9F2C41AA:1", "3.9f2c41a:1", "03.9f2c41aa:1", "0.9f2c41aa:1", "3.9f2c41aa:01", "-3.9f2c41aa:1",
     "3.9f2c41aa:-1", "3.9f2c41aa:1 ", "3.9f2c41aa:1\n", "3.9f2c41aa:1_0", "3.9f2c41aa:٣", f"1.00000000:{2**63}", "latest"],
)
def test_position_refused(text):
    """Rule: other spellings are no position."""
    with pytest.raises(ValueError):
        Position.parse(text)


def test_position_distance():
    """Rule: the number alone gives order and distance."""
    assert Position.parse("3.9f2c41aa:12").number - Position.parse("3.9f2c41aa:2").number == 10


@given(st.datetimes())
def test_datetimes_come_back(moment):
    """Rule: every moment Python can hold comes as a datetime, to the microsecond."""
    microseconds = (moment - datetime(2000, 1, 1)) // timedelta(microseconds=1)
    assert to_timestamp(microseconds) == moment
    assert to_timestamptz(microseconds) == moment.replace(tzinfo=timezone.utc)
    text = timestamp_text(microseconds, False)
    assert datetime.fromisoformat(text[:19]) == moment.replace(microsecond=0)
    assert ("." in text) == bool(moment.microsecond) and not text.endswith("0" if "." in text else "x")


@given(st.integers(INT64_LEAST, INT64_MOST))
def test_every_timestamp_is_exact(microseconds):
    """Rule: what Python cannot hold comes as a Timestamp with its exact microseconds, and never as an exception."""
    value = to_timestamptz(microseconds)
    if isinstance(value, Timestamp):
        assert value.microseconds == microseconds and value.with_zone
        assert str(value) == timestamp_text(microseconds, True)
    else:
        assert (value - datetime(2000, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) == microseconds


@pytest.mark.parametrize(
    "microseconds, text, finite",
    [(INT64_MOST, "infinity", False), (INT64_LEAST, "-infinity", False),
     (-211_813_488_000_000_000, "4714-11-24 00:00:00 BC", True), (252_455_616_000_000_000, "10000-01-01 00:00:00", True)],
)
def test_timestamps_out_of_reach(microseconds, text, finite):
    """Rule: infinity, BC and years after 9999 keep PostgreSQL's text."""
    value = to_timestamp(microseconds)
    assert isinstance(value, Timestamp) and str(value) == text and value.is_finite is finite


@pytest.mark.parametrize("text", ["0", "-0.00", "12.50", "9" * 200 + "." + "9" * 200, "Infinity", "-Infinity"])
def test_numeric_is_exact(text):
    """Rule: a numeric keeps every digit and its scale."""
    value = DECODERS[3](text)
    assert isinstance(value, Decimal) and str(value) == text


@pytest.mark.parametrize("text", ["", "1e5", "1.", ".5", "nan", "sNaN", "inf", " 1", "1_0", "٣", "--1", "-NaN"])
def test_numeric_refused(text):
    """Rule: what Decimal would also take, but PostgreSQL never prints, is refused."""
    with pytest.raises(ProtocolError):
        DECODERS[3](text)


@given(st.integers(INT32_LEAST, INT32_MOST))
def test_every_date_is_exact(days):
    """Rule: a date is Python's where that can hold it, else a Date with its exact days and PostgreSQL's text."""
    value = to_date(days)
    if isinstance(value, Date):
        assert value.days == days and str(value) == date_text(days)
        assert value.is_finite or str(value) in ("infinity", "-infinity")
    else:
        assert (value - date(2000, 1, 1)).days == days and date_text(days) == value.isoformat()
    if INT32_LEAST < days < INT32_MOST:
        assert timestamp_text(days * 86_400_000_000, False) == date_text(days).replace(" BC", "") + " 00:00:00" + (
            " BC" if date_text(days).endswith("BC") else "")


@pytest.mark.parametrize("days, text", [
    (INT32_MOST, "infinity"), (INT32_LEAST, "-infinity"), (-2_451_545, "4714-11-24 BC"), (2_145_031_948, "5874897-12-31"),
    (-730_120, "0001-12-31 BC"), (2_921_940, "10000-01-01"),
])
def test_dates_out_of_reach(days, text):
    """Rule: infinity, BC and years after 9999 keep PostgreSQL's text; their neighbours are dates."""
    assert isinstance(to_date(days), Date) and str(to_date(days)) == text
    assert to_date(-730_119) == date.min and to_date(2_921_939) == date.max


@given(st.floats(width=32), st.floats())
def test_floats_keep_their_bits(single, double):
    """Rule: a float4 is a float of exactly its value, a float8 is itself; a float that has no 32 bits is no float4."""
    assert struct.pack(">d", DECODERS[8](single)) == struct.pack(">d", single)
    assert DECODERS[9](double) is double
    for value in (0.1, 1e300, -5e-324):
        with pytest.raises(ProtocolError):
            DECODERS[8](value)


def test_bytes_and_arrays():
    """Rule: bytea is bytes; arrays are lists of lists; one with other lower bounds is its text."""
    assert DECODERS[10](b"\0\xff") == b"\0\xff"
    assert DECODERS[16]([]) == [] and DECODERS[19](["1.50", None]) == [Decimal("1.50"), None]
    assert DECODERS[18]([[1, None], [3, 4]]) == [[1, None], [3, 4]]
    assert type(DECODERS[18]("[0:0]={1}")) is ArrayText
    assert DECODERS[27]([0, INT32_MOST]) == [date(2000, 1, 1), Date(INT32_MOST)]


def column_of(form):
    """A shape of one column."""
    return {7: Shape(7, "public", "t", "default", (Column("c", "any", form),), ())}


def insert(*values) -> bytes:
    """Inserts into that column, one behind the other."""
    return b"".join(msgpack.packb([0, 7, 0, [value]]) for value in values)


@given(st.lists(st.sampled_from([0, 1, 1663, 1664, 1665, 5000]), min_size=1, max_size=8))
@settings(max_examples=40)
def test_long_arrays_among_short_ones(lengths):
    """Rule: an array value may be longer than a row, and what stands around it is read as ever."""
    changes, sums = decode_changes(insert(*(list(range(length)) for length in lengths)), column_of(18))
    assert [change.new["c"] for change in changes] == [list(range(length)) for length in lengths]
    assert sums["default"][0] == len(lengths)


def test_a_long_array_does_not_hide_what_is_wrong():
    """Rule: behind a long array the rest is checked as before it: cut off, malformed, of another form."""
    good = insert(list(range(2000)), [1])
    for bad in (good[:-1], good + b"\xc1", good + insert(["x"]), insert(list(range(2000)))[:-1], insert(list(range(2000)) + ["x"])):
        with pytest.raises(ProtocolError):
            decode_changes(bad, column_of(18))


@pytest.mark.parametrize("head, depth", [(b"\xdd\x00\xff\xff\xff", 1), (b"\xdd\x00\xff\xff\xff", 900), (b"\xdc\xff\xff", 500), (b"\xdc\x06\x80", 1000)])
def test_claims_of_elements_cost_nothing(head, depth):
    """Rule: however deep arrays that claim elements nest, nothing is made of what is not there."""
    data = b"\x94\x00\x07\x00\x91" + head * depth + b"\xc0" * (1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            decode_changes(data, column_of(18))
        assert tracemalloc.get_traced_memory()[1] < 40 * len(data)
    finally:
        tracemalloc.stop()


def test_json_stays_text():
    """Rule: json is its exact text; parsing it is the user's choice."""
    value = DECODERS[7]('{ "a": 1.10, "a": 2 }')
    assert value == '{ "a": 1.10, "a": 2 }' and isinstance(value, Json)
    assert Json('{"a": 1.10}').loads(parse_float=Decimal) == {"a": Decimal("1.10")}


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_random_bytes_never_crash(data):
    """Rule: whatever comes, a reader gives a value or one of the package's errors."""
    for decode in (
        frames.decode_frame,
        messages.decode_hello,
        messages.decode_welcome,
        messages.decode_failure,
        messages.decode_bye,
        decode_shapes,
        lambda raw: list(decode_batch(raw).transactions({})),
        lambda raw: decode_changes(raw, {7: SHAPE}),
    ):
        try:
            decode(data)
        except PaysyncError:
            pass


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(INT64_LEAST, 2**64 - 1),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.integers(-2, 9) | st.text(max_size=2), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(st.tuples(st.integers(-1, 8), st.just(7) | VALUES, st.just(0) | VALUES, VALUES, VALUES), st.integers(3, 5))
@settings(max_examples=300)
def test_random_changes_never_crash(fields, count):
    """Rule: well-formed msgpack that is no change is refused like any other rubbish."""
    try:
        changes, _ = decode_changes(msgpack.packb(list(fields[:count])), {7: SHAPE})
    except PaysyncError:
        return
    assert changes[0].op in ("insert", "update", "delete", "truncate", "gap", "alter")


@given(VALUES)
def test_skip_passes_over_any_value(value):
    """Rule: an unknown key's value is passed over whatever it is."""
    reader = Reader(msgpack.packb(value), "value")
    reader.skip()
    reader.end()
