"""Vectors of kind change for the forms 8 to 11 and for arrays."""

from __future__ import annotations

import struct

from encoder import Float32, Raw, Wide
from rows import change_case, row_change, row_decoded
from tables import MEASURES

NAMES = [column[0] for column in MEASURES["columns"]]


def single(value: float) -> str:
    """A finite float32 by the conventions of README.md."""
    return struct.pack(">f", value).hex()


def double(value: float) -> str:
    """A finite float64 by the same."""
    return struct.pack(">d", value).hex()


def _insert(name: str, description: str, values: dict) -> dict:
    """An insert of `values`: column to a pair of what is packed and what is shown; the others are NULL."""
    values = {"id": (1, "1"), **values}
    data = row_change(0, MEASURES, 0, [values.get(column, (None, None))[0] for column in NAMES])
    new = {column: values.get(column, (None, None))[1] for column in NAMES}
    return change_case(name, description, data, row_decoded(data, 0, MEASURES, 0, {"id": "1"}, None, new))


def _single_values() -> list:
    return [
        _insert("insert_measures", "a value of each of the forms 8 to 11", {
            "small": (Float32(0.1), single(0.1)), "large": (0.1, double(0.1)),
            "raw": (b"\0\xff'\\", "00ff275c"), "day": (9450, "2025-11-15")}),
        _insert("insert_float_nan", "not a number; no bytes; the last day and the first", {
            "small": (Float32(float("nan")), "NaN"), "large": (float("nan"), "NaN"), "raw": (b"", ""),
            "day": (Wide(2_145_031_948), "5874897-12-31"),
            "days": ([-2_451_545, 0, -1, -730_120, -730_119],
                     ["4714-11-24 BC", "2000-01-01", "1999-12-31", "0001-12-31 BC", "0001-01-01"])}),
        _insert("insert_float_infinite", "the infinities", {
            "small": (Float32(float("inf")), "Infinity"), "large": (float("-inf"), "-Infinity"),
            "factors": ([Float32(float("-inf"))], ["-Infinity"]), "day": (2**31 - 1, "infinity"),
            "days": ([-(2**31), 2**31 - 1], ["-infinity", "infinity"])}),
        _insert("insert_float_least", "negative zero and the least that is greater than zero", {
            "small": (Float32(-0.0), "80000000"), "large": (-0.0, "8000000000000000"),
            "factors": ([Float32(2.0**-149), Float32(-(2.0**-149))], ["00000001", "80000001"])}),
        _insert("insert_float_greatest", "the greatest floats", {
            "small": (Raw(b"\xca\x7f\x7f\xff\xff"), "7f7fffff"),
            "large": (Raw(b"\xcb\x7f\xef\xff\xff\xff\xff\xff\xff"), "7fefffffffffffff")}),
    ]


def _arrays() -> list:
    token = bytes(range(16))
    long_list = list(range(-5, 2_000))
    return [
        _insert("insert_arrays", "arrays of one dimension, some with NULLs", {
            "names": (["a", "", None, "NULL", "ä,\"\\{}"], ["a", "", None, "NULL", "ä,\"\\{}"]),
            "flags": ([True, None, False], [True, None, False]),
            "counts": ([2**63 - 1, -1, None], [str(2**63 - 1), "-1", None]),
            "amounts": (["12.50", "NaN"], ["12.50", "NaN"]),
            "moments": ([847_630_800_120_000, 2**63 - 1], ["2026-11-10 13:00:00.12+00", "infinity"]),
            "tokens": ([token], ["00010203-0405-0607-0809-0a0b0c0d0e0f"]),
            "documents": (['{"a": [1]}', "null"], ['{"a": [1]}', "null"]),
            "factors": ([Float32(1.5), None], [single(1.5), None]),
            "parts": ([b"", b"\xff"], ["", "ff"]),
            "days": ([9450, None], ["2025-11-15", None])}),
        _insert("insert_arrays_empty", "empty arrays, and arrays that hold nothing but NULL", {
            "names": ([], []), "counts": ([None], [None]), "documents": ([[None], [None]], [[None], [None]])}),
        _insert("insert_arrays_nested", "two, three and six dimensions", {
            "names": ([["a", None], ["b", "c"]], [["a", None], ["b", "c"]]),
            "counts": ([[[1], [2], [3]], [[4], [5], [6]]], [[["1"], ["2"], ["3"]], [["4"], ["5"], ["6"]]]),
            "flags": ([[[[[[True, False]]]]]], [[[[[[True, False]]]]]])}),
        _insert("insert_arrays_as_text", "lower bounds other than 1: the array as its output function prints it", {
            "names": ("[0:1]={a,NULL}", "[0:1]={a,NULL}"), "days": ("[-1:-1]={2025-11-15}", "[-1:-1]={2025-11-15}")}),
        _insert("insert_arrays_long", "an array longer than any row, its length in 16 and in 32 bits", {
            "counts": (long_list, [str(number) for number in long_list]),
            "flags": (Raw(b"\xdd\0\0\0\1\xc3"), [True])}),
    ]


def cases() -> list:
    """All vectors of this file."""
    return _single_values() + _arrays()
