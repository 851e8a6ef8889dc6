"""to_text(): what PostgreSQL reads from it is the value, bit by bit."""

from __future__ import annotations

import math
import struct
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paysync import ArrayText, Column, Date, Json, Timestamp, to_text
from paysync.dates import INT32_LEAST, INT32_MOST, microseconds_of
from paysync.values import DECODERS, to_float32

# Of what PostgreSQL can store: no NUL in texts, its own ranges of dates and times.
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=12) | st.sampled_from(
    ["", "NULL", "null", "nUlL", '"', "\\", "{}", "{", ",", " a ", "\t", "\v\f", "a\\\"b", "'", "\\x41", "ä,", "\u00a0", "\u2003"]
)
DAYS = st.integers(-2_451_545, 2_145_031_948) | st.sampled_from([INT32_LEAST, INT32_MOST, -730_119, -730_120, 2_921_939, 2_921_940])
MOMENTS = st.integers(-211_813_488_000_000_000, 9_223_371_331_199_999_999) | st.sampled_from([-(2**63), 2**63 - 1])
NUMERICS = st.decimals(allow_nan=False, allow_infinity=False, places=None, min_value=-(10**30), max_value=10**30).filter(
    lambda value: -300 < value.as_tuple().exponent < 30
) | st.sampled_from([Decimal(text) for text in ("NaN", "Infinity", "-Infinity", "0.00", "1E-20", "1E+20", "-0.10")])

# Form: SQL type, strategy of the value as it is on the wire, its binary form as PostgreSQL sends it.
FORMS = {
    0: ("text", TEXT, lambda value: value.encode()),
    1: ("boolean", st.booleans(), lambda value: b"\1" if value else b"\0"),
    2: ("bigint", st.integers(-(2**63), 2**63 - 1), lambda value: struct.pack(">q", value)),
    4: ("timestamp", MOMENTS, lambda value: struct.pack(">q", value)),
    5: ("timestamptz", MOMENTS, lambda value: struct.pack(">q", value)),
    6: ("uuid", st.binary(min_size=16, max_size=16), lambda value: value),
    7: ("json", st.sampled_from(['{"a": [1, "\\u00e4\\"", null]}', '"NULL"', "[]", ' {"b" :1.10} ', "null", '"\\\\"']), lambda value: value.encode()),
    8: ("real", st.floats(width=32), lambda value: struct.pack(">f", value)),
    9: ("double precision", st.floats(), lambda value: struct.pack(">d", value)),
    10: ("bytea", st.binary(max_size=20), lambda value: value),
    11: ("date", DAYS, lambda value: struct.pack(">i", value)),
}
OIDS = {0: 25, 1: 16, 2: 20, 4: 1114, 5: 1184, 6: 2950, 7: 114, 8: 700, 9: 701, 10: 17, 11: 1082}
QUICK = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def server(postgres):
    """A connection whose settings would change the meaning of a careless text."""
    with postgres.connect(autocommit=True) as connection:
        connection.execute("set datestyle = 'SQL, DMY'")
        connection.execute("set timezone = 'Asia/Kathmandu'")
        connection.execute("set bytea_output = 'escape'")
        yield connection


def sent(server, texts, kind: str):
    """What PostgreSQL sends in binary for each text read as a value of type `kind`."""
    rows = server.execute(
        f"select (t)::{kind} from unnest(%s::text[]) with ordinality as u(t, n) order by n", (list(texts),), binary=True
    )
    return [row[0] for row in rows.fetchall()]


@pytest.fixture(scope="module", autouse=True)
def raw(server):
    """Values come as their bytes, not as what psycopg makes of them."""
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    class Bytes(Loader):
        format = Format.BINARY

        def load(self, data):
            return bytes(data)

    for oid in (*OIDS.values(), 1000, 1001, 1005, 1007, 1009, 1016, 1021, 1022, 1115, 1182, 1185, 199, 2951, 1700):
        server.adapters.register_loader(oid, Bytes)


def array_bytes(form: int, value: list, lengths) -> bytes:
    """An array as array_send() writes it."""
    def leaves(part):
        return [leaf for inner in part for leaf in leaves(inner)] if part and isinstance(part[0], list) else part

    elements = leaves(value) if lengths else []
    data = struct.pack(">iiI", len(lengths), int(None in elements), OIDS[form])
    data += b"".join(struct.pack(">ii", length, 1) for length in lengths)
    for element in elements:
        packed = None if element is None else FORMS[form][2](element)
        data += struct.pack(">i", -1) if packed is None else struct.pack(">i", len(packed)) + packed
    return data


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(data=st.data())
def test_single_values_read_back(server, form, data):
    """Rule: PostgreSQL reads exactly the value, whatever its date style, time zone and bytea output."""
    kind, strategy, binary = FORMS[form]
    values = data.draw(st.lists(strategy, min_size=1, max_size=10))
    column = Column("c", kind, form)
    texts = [to_text(DECODERS[form](value), column) for value in values]
    if form in (8, 9):  # one NaN is as good as another
        assert [text == "NaN" for text in texts] == [math.isnan(value) for value in values]
        values = [math.nan if math.isnan(value) else value for value in values]
    assert sent(server, texts, kind) == [binary(value) for value in values]


@QUICK
@given(values=st.lists(NUMERICS, min_size=1, max_size=10))
def test_numerics_read_back(server, values):
    """Rule: a numeric keeps every digit and its scale."""
    texts = [to_text(value, Column("c", "numeric", 3)) for value in values]
    shown = [row[0] for row in server.execute("select t::numeric::text from unnest(%s::text[]) with ordinality as u(t, n) order by n", (texts,))]
    for value, text in zip(values, shown):
        if value.is_finite():
            assert Decimal(text) == value and text.lstrip("-0") == format(value.copy_abs(), "f").lstrip("0"), (value, text)
        else:
            assert text == str(value)


def nested(element, lengths):
    """Arrays of arrays of these lengths."""
    for length in reversed(lengths):
        element = st.lists(element, min_size=length, max_size=length)
    return element


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(data=st.data())
def test_arrays_read_back(server, form, data):
    """Rule: so do arrays, of up to six dimensions, with NULLs and with elements that look like syntax."""
    kind, strategy, _ = FORMS[form]
    if form in (8, 9):
        strategy = strategy.filter(lambda value: not math.isnan(value))
    lengths = data.draw(st.lists(st.integers(1, 3), max_size=6).filter(lambda lengths: math.prod(lengths) <= 60))
    value = data.draw(nested(st.none() | strategy, lengths)) if lengths else []
    text = to_text(DECODERS[16 + form](value), Column("c", kind + "[]", 16 + form))
    if lengths or form != 7:
        assert sent(server, [text], kind + "[]") == [array_bytes(form, value, lengths)]


@QUICK
@given(values=st.lists(st.none() | TEXT, max_size=6))
def test_array_of_text_is_what_the_server_prints(server, values):
    """Rule: an array's text is the server's own, so only what must be quoted is."""
    text = to_text(values, Column("c", "text[]", 16))
    assert server.execute("select %s::text[]::text", (text,)).fetchone()[0] == text


def test_array_text_reads_back(server):
    """Rule: an array with other lower bounds comes as text and goes as the same text."""
    text = server.execute("select (array_fill('a b'::text, '{2,1}', '{0,-3}'))::text").fetchone()[0]
    assert text.startswith("[0:1][-3:-3]=")
    assert to_text(DECODERS[16](text), Column("c", "text[]", 16)) == text
    assert isinstance(DECODERS[16](text), ArrayText)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(max_examples=500)
def test_float4_is_shortest(value):
    """Rule: the text of a float4 is read back as the same float32, and no text of fewer digits is."""
    text = to_text(value, Column("c", "real", 8))
    assert to_float32(float(text)) == value and math.copysign(1, float(text)) == math.copysign(1, value)
    digits = len(text.split("e")[0].replace("-", "").replace(".", "").lstrip("0").rstrip("0")) or 1
    if digits > 1:
        assert to_float32(float(f"{value:.{digits - 1}g}")) != value


@pytest.mark.parametrize("value, form, text", [
    (0.1, 9, "0.1"), (to_float32(0.1), 8, "0.1"), (16777216.0, 8, "16777216"), (1e20, 9, "1e+20"), (-0.0, 8, "-0"), (-0.0, 9, "-0.0"),
    (math.inf, 8, "Infinity"), (-math.inf, 9, "-Infinity"), (b"\0\xff", 10, "\\x00ff"), (date(33, 4, 3), 11, "0033-04-03"),
    (Date(INT32_MOST), 11, "infinity"), (Date(-730_120), 11, "0001-12-31 BC"), (None, 3, None), (True, 1, "t"), (Json('{"a":1}'), 7, '{"a":1}'),
    (datetime(2026, 1, 2, 3, 4, 5, 60000, timezone(timedelta(hours=2))), 5, "2026-01-02 01:04:05.06+00"), (Decimal("1E-7"), 3, "0.0000001"),
    ([], 16, "{}"), ([None, "NULL", ""], 16, '{NULL,"NULL",""}'), ([[True], [None]], 17, "{{t},{NULL}}"), ([b"\1"], 26, '{"\\\\x01"}'),
    (ArrayText("[0:0]={1}"), 18, "[0:0]={1}"),
])  # fmt: skip
def test_texts(value, form, text):
    """Rule: the texts are PostgreSQL's."""
    assert to_text(value, Column("c", "any", form)) == text


@pytest.mark.parametrize("value, form", [
    (1, 1), (True, 2), ("1", 2), (1.0, 2), (1.0, 3), (1, 3), (datetime(2026, 1, 1), 5), (datetime(2026, 1, 1, tzinfo=timezone.utc), 4),
    (Timestamp(2**63 - 1, True), 4), (datetime(2026, 1, 1), 11), (date(2026, 1, 1), 4), ("x", 6), (0.1, 8), (1, 9), ("x", 10), ("a", 16),
    (("a",), 16), ([["a"], "b"], 16), ([["a"], []], 16), ([[]], 16), ([1], 16), ([[["a"]], [["b", "c"]]], 16), ([[[[[[["a"]]]]]]], 16),
    (uuid.uuid4(), 0), (b"a", 0),
])  # fmt: skip
def test_misfits_are_refused(value, form):
    """Rule: a value that is not of the column's form is refused, never written as something else."""
    with pytest.raises((TypeError, ValueError)):
        to_text(value, Column("c", "any", form))


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_moments_of_any_zone(moment, minutes):
    """Rule: a timestamptz in another zone is the same moment."""
    zone = timezone(timedelta(minutes=minutes))
    text = to_text(moment.replace(tzinfo=zone), Column("c", "timestamptz", 5))
    assert text == str(Timestamp(microseconds_of(moment) - minutes * 60_000_000, True))
