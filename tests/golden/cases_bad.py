"""Vectors that a reader must refuse."""

from __future__ import annotations

from cases_batch import closing_record, payment, transaction
from cases_message import STREAM, begin_body
from encoder import KINDS, Raw, frame, pack
from rows import row_change
from tables import ACCOUNTS, AUDIT, EVERYTHING, KNOWN, LEGS, MEASURES, PAYMENTS, described

_SHAPES_KINDS = ("change", "batch")


def _bad(kind: str, name: str, description: str, data, error: str = "format") -> dict:
    case = {"name": f"bad_{kind}_{name}", "description": description, "kind": kind}
    if kind in _SHAPES_KINDS:
        case["shapes"] = KNOWN.hex()
    if kind == "message":
        case["frames"] = [part.hex() for part in data]
    else:
        case["hex"] = data.hex()
    return {**case, "decoded": None, "error": error}


def _frames() -> list:
    good = frame(KINDS["ACK"], 1, 2, 3)
    return [
        _bad("frame", "short", "31 bytes", good[:31]),
        _bad("frame", "long", "33 bytes", good + b"\0"),
        _bad("frame", "empty", "no bytes", b""),
        _bad("frame", "magic", "not PS", frame(KINDS["ACK"], 1, 2, 3, magic=0x5052)),
        _bad("frame", "version", "a layout of F0 that is not known", frame(KINDS["ACK"], 1, 2, 3, layout=2)),
        _bad("frame", "flags", "flags are 0", frame(KINDS["ACK"], 1, 2, 3, flags=1)),
        _bad("frame", "kind", "a kind that is not known and not optional", frame(0x0A, 1, 2, 3)),
        _bad("message", "three_frames", "a frame too many", [frame(KINDS["BYE"], 1), pack({1: ""}), b""]),
        _bad("message", "ack_with_body", "ACK has no second frame", [good, b"\x80"]),
        _bad("message", "end_with_body", "END has no second frame", [frame(KINDS["END"], 1, 2, 3), b"\x80"]),
        _bad("message", "part_without_body", "PART has a second frame", [frame(KINDS["PART"], 1, 5, 1)]),
        _bad("message", "batch_without_body", "BATCH has a second frame", [frame(KINDS["BATCH"], 1, 5, 1)]),
    ]


def _maps() -> list:
    hello = pack({1: 1, 2: 1, 3: STREAM, 4: "3.9f2c41aa:1", 5: 65_536, 6: "x"})
    welcome = {1: 1, 2: STREAM, 3: 3, 4: "9f2c41aa", 5: [], 6: "m", 7: "3.9f2c41aa:1"}
    without = {key: value for key, value in welcome.items() if key != 7}
    return [
        _bad("hello", "truncated", "the last byte is missing", hello[:-1]),
        _bad("hello", "trailing", "a byte too many", hello + b"\xc0"),
        _bad("hello", "array", "an array instead of a map", pack([1, 1])),
        _bad("hello", "map_4g", "a map that claims 4 Gi pairs", b"\xdf\xff\xff\xff\xff" + hello[1:]),
        _bad("hello", "depth", "an unknown key that nests 20,000 deep", b"\x81\x63" + b"\x91" * 20_000 + b"\xc0"),
        _bad("hello", "stream_id", "a stream id of 15 bytes",
             pack({1: 1, 2: 1, 3: STREAM[:15], 4: "3.9f2c41aa:1", 5: 65_536, 6: "x"})),
        _bad("welcome", "missing", "no start position", pack(without)),
        _bad("welcome", "position", "a start position that is none", pack({**welcome, 7: "3.9F2C41AA:1"})),
        _bad("hello", "obeys", "an integer instead of a bool",
             pack({1: 1, 2: 2, 3: STREAM, 4: "3.9f2c41aa:1", 5: 65_536, 6: "x", 7: 1})),
        _bad("welcome", "rewound", "rewound to what is no position", pack({**welcome, 8: "17"})),
        _bad("welcome", "skipped", "a number below 0 is skipped", pack({**welcome, 9: [5, -1]})),
        _bad("welcome", "skipped_4g", "an array that claims 4 Gi numbers",
             pack({**welcome, 9: Raw(b"\xdd\xff\xff\xff\xff")})),
        _bad("begin", "truncated", "the last byte is missing", pack(begin_body())[:-1]),
        _bad("begin", "trailing", "a byte too many", pack(begin_body()) + b"\xc0"),
        _bad("begin", "fields", "a field is missing", pack(begin_body()[:-1])),
        _bad("begin", "prev", "it covers not even its own number", pack(begin_body(prev=5))),
        _bad("begin", "digest", "a digest of 15 bytes", pack(begin_body(channels=[["default", 1, b"x" * 15]]))),
        _bad("begin", "channels_4g", "an array that claims 4 Gi channels",
             pack(begin_body(channels=Raw(b"\xdd\xff\xff\xff\xff")))),
        _bad("begin", "context", "an integer instead of a text", pack(begin_body(context=1))),
        _bad("part", "empty", "a part without a byte", pack([0, False, b""])),
        _bad("part", "long", "a byte more than 256 KiB", pack([0, True, b"x" * (262_144 + 1)])),
        _bad("part", "str", "a str instead of bin", pack([0, False, "x"])),
        _bad("part", "data_4g", "data that claims 4 GiB", pack([0, True, Raw(b"\xc6\xff\xff\xff\xff")])),
        _bad("part", "unfinished", "an integer instead of a bool", pack([0, 1, b"x"])),
        _bad("part", "index", "an index below 0", pack([-1, False, b"x"])),
        _bad("part", "trailing", "a byte too many", pack([0, False, b"x"]) + b"\xc0"),
        _bad("error", "text", "an integer instead of a text", pack({1: 5, 2: "", 3: ""})),
        _bad("error", "str_4g", "a str that claims 4 GiB", b"\x81\x01\xdb\xff\xff\xff\xffabc"),
    ]


def _shapes() -> list:
    def changed(edit) -> bytes:
        shape = described(PAYMENTS)
        edit(shape)
        return pack([shape])

    def form(number):
        def edit(shape):
            shape[1][3][1][2] = number

        return edit

    def number(value):
        def edit(shape):
            shape[1][3][1].append(value)

        return edit

    def twice(shape):
        for column in shape[1][3]:
            column.append(4)

    def key(shape):
        shape[1][4] = [3]

    good = pack([described(PAYMENTS)])
    return [
        _bad("shapes", "form", "form 12 is not known: stop, do not guess", changed(form(12))),
        _bad("shapes", "form_array", "form 28, arrays of form 12, is not known", changed(form(28))),
        _bad("shapes", "form_nested", "form 32: arrays have no form of their own as elements", changed(form(32))),
        _bad("shapes", "form_greatest", "form 2^64-1", changed(form(2**64 - 1))),
        _bad("shapes", "number", "columns are numbered from 1", changed(number(0))),
        _bad("shapes", "number_negative", "a negative number", changed(number(-1))),
        _bad("shapes", "number_large", "a number of more than 15 bits", changed(number(2**15))),
        _bad("shapes", "number_nil", "a number that is nil", changed(number(None))),
        _bad("shapes", "number_twice", "two columns of one number", changed(twice)),
        _bad("shapes", "column_fields", "a column of five fields", changed(lambda shape: shape[1][3][1].extend([4, 5]))),
        _bad("shapes", "key", "a key position behind the last column", changed(key)),
        _bad("shapes", "id", "ids are positive", changed(lambda shape: shape.__setitem__(0, 0))),
        _bad("shapes", "truncated", "half of it", good[: len(good) // 2]),
        _bad("shapes", "trailing", "a byte too many", good + b"\0"),
        _bad("shapes", "array_4g", "a list that claims 4 Gi shapes", b"\xdd\xff\xff\xff\xff" + good[1:]),
    ]


def _changes() -> list:
    good = row_change(0, PAYMENTS, 0, [1, "1.00", "x"])
    unknown = {**PAYMENTS, "id": 8}

    def insert(*row) -> bytes:
        return row_change(0, PAYMENTS, 0, list(row))

    def every(at: int, value) -> bytes:
        row = [None] * 9
        row[0], row[at] = 1, value
        return row_change(0, EVERYTHING, 0, row)

    return [
        _bad("change", "empty", "no bytes", b""),
        _bad("change", "truncated", "the last byte is missing", good[:-1]),
        _bad("change", "trailing", "a byte behind the change", good + b"\xc1"),
        _bad("change", "not_array", "a map", pack({0: 7})),
        _bad("change", "no_fields", "an empty array", pack([])),
        _bad("change", "op", "operation 7 is not known", pack([7, 7, 0])),
        _bad("change", "fields", "an insert with an element too many", pack([0, 7, 0, [1, "1.00", "x"], None])),
        _bad("change", "shape", "a shape that was not described", row_change(0, unknown, 0, [1, "1.00", "x"])),
        _bad("change", "row_short", "a value is missing", insert(1, "1.00")),
        _bad("change", "row_long", "a value too many", insert(1, "1.00", "x", None)),
        _bad("change", "row_nil", "an insert without a row", pack([0, 7, 0, None])),
        _bad("change", "old_position", "an old value of column 3 of 3", row_change(2, PAYMENTS, 0, {0: 1, 3: 1})),
        _bad("change", "old_negative", "an old value of column -1", row_change(2, PAYMENTS, 0, {0: 1, -1: 1})),
        _bad("change", "delete_without_key", "a delete must hold the key", row_change(2, PAYMENTS, 0, {1: "1.00"})),
        _bad("change", "text_is_int", "form text, an integer", every(1, 5)),
        _bad("change", "text_not_utf8", "form text, bytes that are not UTF-8", every(1, Raw(b"\xa2\xff\xfe"))),
        _bad("change", "bool_is_int", "form bool, an integer", every(2, 1)),
        _bad("change", "int_is_bool", "form int, a boolean", insert(True, "1.00", "x")),
        _bad("change", "int_is_float", "form int, a float", insert(Raw(b"\xcb\x3f\xf0\0\0\0\0\0\0"), "1.00", "x")),
        _bad("change", "int_too_large", "form int, 2^63", insert(2**63, "1.00", "x")),
        _bad("change", "numeric_is_int", "form numeric, an integer", insert(1, 1, "x")),
        _bad("change", "timestamp_is_ext", "form timestamptz, msgpack's own timestamp", every(5, Raw(b"\xd6\xff\0\0\0\1"))),
        _bad("change", "uuid_short", "form uuid, 15 bytes", every(6, b"\0" * 15)),
        _bad("change", "uuid_is_text", "form uuid, a text", every(6, "00010203-0405-0607-0809-0a0b0c0d0e0f")),
        _bad("change", "json_is_map", "form json, a map instead of its text", every(7, {1: 1})),
        _bad("change", "reserved", "the byte 0xc1 is no msgpack", every(1, Raw(b"\xc1"))),
        _bad("change", "array_4g", "an array that claims 4 Gi elements", b"\xdd\xff\xff\xff\xff" + good[1:]),
        _bad("change", "row_4g", "a row that claims 4 Gi values", pack([0, 7, 0, Raw(b"\xdd\xff\xff\xff\xff\x01")])),
        _bad("change", "str_4g", "a str that claims 4 GiB", every(1, Raw(b"\xdb\xff\xff\xff\xff"))),
        _bad("change", "bin_4g", "a bin that claims 4 GiB", every(6, Raw(b"\xc6\xff\xff\xff\xff"))),
        _bad("change", "map_4g", "a map that claims 4 Gi pairs", pack([2, 7, 0, Raw(b"\xdf\xff\xff\xff\xff\x00\x01")])),
        _bad("change", "ext_4g", "an ext that claims 4 GiB", every(1, Raw(b"\xc9\xff\xff\xff\xff\x01"))),
        _bad("change", "depth", "arrays nested 100,000 deep", b"\x94\x00\x07\x00" + b"\x91" * 100_000 + b"\xc0"),
        _bad("change", "depth_wide", "arrays nested 2,000 deep that claim 65,535 elements each",
             b"\x94\x00\x07\x00" + b"\xdc\xff\xff" * 2_000 + b"\xc0" * 65_535),
    ]


def _values() -> list:
    names = [column[0] for column in MEASURES["columns"]]

    def one(column: str, value) -> bytes:
        return row_change(0, MEASURES, 0, [value if name == column else 1 if name == "id" else None for name in names])

    return [
        _bad("change", "float4_is_int", "form float4, an integer", one("small", 1)),
        _bad("change", "float4_wide", "form float4, a float that has no 32 bits", one("small", 0.1)),
        _bad("change", "float8_is_str", "form float8, a text", one("large", "0.1")),
        _bad("change", "float8_truncated", "form float8, three bytes are missing", one("large", 0.1).rstrip(b"\xc0")[:-3]),
        _bad("change", "bytes_is_str", "form bytes, a text", one("raw", "\\x00")),
        _bad("change", "date_large", "form date, 2^31", one("day", 2**31)),
        _bad("change", "date_small", "form date, -2^31-1", one("day", -(2**31) - 1)),
        _bad("change", "date_is_bool", "form date, a boolean", one("day", True)),
        _bad("change", "array_is_map", "an array, a map", one("names", {1: "a"})),
        _bad("change", "array_is_int", "an array, a single element", one("counts", 1)),
        _bad("change", "array_is_bin", "an array, bytes", one("parts", b"a")),
        _bad("change", "array_element", "an array of text that holds an integer", one("names", ["a", 1])),
        _bad("change", "array_element_nested", "the same, in the second dimension", one("names", [["a"], [1]])),
        _bad("change", "array_not_utf8", "an array of text that is not UTF-8", one("names", [Raw(b"\xa1\xff")])),
        _bad("change", "array_text_not_utf8", "an array as text that is not UTF-8", one("names", Raw(b"\xa1\xff"))),
        _bad("change", "array_uneven", "parts of different lengths", one("names", [["a", "b"], ["c"]])),
        _bad("change", "array_uneven_deep", "parts of different lengths, two levels down", one("names", [[["a"], ["b"]], [["c"], ["d", "e"]]])),
        _bad("change", "array_mixed", "an array beside an element", one("names", [["a"], "b"])),
        _bad("change", "array_mixed_first", "an element beside an array", one("names", ["a", ["b"]])),
        _bad("change", "array_nil_beside", "nil where an array must stand", one("names", [["a"], None])),
        _bad("change", "array_deeper", "one part is deeper than the first", one("names", [["a"], [["b"]]])),
        _bad("change", "array_shallower", "one part is less deep than the first", one("names", [[["a"]], ["b"]])),
        _bad("change", "array_holds_empty", "only a whole array is empty", one("names", [[], []])),
        _bad("change", "array_of_empty", "an empty part beside one that is not", one("names", [["a"], []])),
        _bad("change", "array_dimensions", "seven dimensions", one("flags", [[[[[[[True]]]]]]])),
        _bad("change", "array_value_4g", "an array value that claims 4 Gi elements", one("counts", Raw(b"\xdd\xff\xff\xff\xff\x01"))),
        _bad("change", "array_value_depth", "claims of 65,535 elements, 900 deep",
             one("counts", Raw(b"\xdc\xff\xff" * 900 + b"\xc0" * 65_535))),
    ]


def _notes() -> list:
    return [
        _bad("change", "gap_reason", "a reason that is no str", row_change(5, PAYMENTS, 0, None)),
        _bad("change", "gap_not_utf8", "a reason that is not UTF-8", row_change(5, PAYMENTS, 0, Raw(b"\xa1\xff"))),
        _bad("change", "gap_fields", "a gap without reason", row_change(5, PAYMENTS, 0)),
        _bad("change", "gap_shape", "a gap of a shape that was not described", pack([5, 8, 0, ""])),
        _bad("change", "alter_previous", "a previous shape that was not described", row_change(6, ACCOUNTS, 0, 22, {})),
        _bad("change", "alter_previous_nil", "no previous shape", row_change(6, ACCOUNTS, 0, None, {})),
        _bad("change", "alter_values_nil", "values that are nil", row_change(6, ACCOUNTS, 0, 21, None)),
        _bad("change", "alter_position", "a value of column 3 of 3", row_change(6, ACCOUNTS, 0, 21, {3: "x"})),
        _bad("change", "alter_value", "a value of another form", row_change(6, ACCOUNTS, 0, 21, {1: 5})),
        _bad("change", "alter_fields", "an alter without values", row_change(6, ACCOUNTS, 0, 21)),
        _bad("change", "delete_part_of_key", "a delete that holds one of two key columns", row_change(2, LEGS, 0, {0: "a"})),
        _bad("change", "delete_empty", "a delete of a table with a key that holds nothing", row_change(2, PAYMENTS, 0, {})),
        _bad("change", "update_part_of_key", "old values that hold one of two key columns",
             row_change(1, LEGS, 0, ["b", 1, "0"], {0: "a"})),
        _bad("change", "old_twice", "old values that hold a column twice",
             row_change(1, PAYMENTS, 0, [1, "0", "x"], Raw(b"\x82\x02\xa1a\x02\xa1b"))),
        _bad("change", "old_is_array", "old values that are an array", row_change(1, AUDIT, 0, [0, "x"], ["y"])),
    ]


def _batches() -> list:
    one = [payment(1)]

    def batch(*transactions, prev=0, last=9, nonce="9f2c41aa") -> bytes:
        return pack([prev, last, 3, nonce, list(transactions)])

    def edited(at: int, value) -> bytes:
        fields = transaction(1, one)
        fields[at] = value
        return batch(fields)

    good = batch(transaction(1, one))
    name, count, total = transaction(1, one)[6][0]
    wrong = bytes([total[0] ^ 1]) + total[1:]
    return [
        _bad("batch", "truncated", "the last byte is missing", good[:-1]),
        _bad("batch", "trailing", "a byte too many", good + b"\0"),
        _bad("batch", "fields", "six fields", pack([0, 1, 3, "9f2c41aa", [], None])),
        _bad("batch", "prev", "last below prev", batch(prev=10)),
        _bad("batch", "order", "numbers not ascending", batch(transaction(2, one), transaction(1, one))),
        _bad("batch", "twice", "a number twice", batch(transaction(2, one), transaction(2, one))),
        _bad("batch", "beyond", "a number above last", batch(transaction(10, one))),
        _bad("batch", "before", "a number that is not above prev", batch(transaction(1, one), prev=1)),
        _bad("batch", "nonce", "a nonce of seven digits", batch(transaction(1, one), nonce="9f2c41a")),
        _bad("batch", "data_truncated", "the changes end in the middle of one", edited(7, one[0][1][:-1])),
        _bad("batch", "data_4g", "data that claims 4 GiB", edited(7, Raw(b"\xc6\xff\xff\xff\xff"))),
        _bad("batch", "transactions_4g", "a list that claims 4 Gi transactions",
             pack([0, 9, 3, "9f2c41aa", Raw(b"\xdd\xff\xff\xff\xff")])),
        _bad("batch", "depth", "arrays nested 20,000 deep", pack([0, 9, 3, "9f2c41aa", Raw(b"\x91" * 20_000 + b"\xc0")])),
        _bad("batch", "digest", "one bit of the digest is another", edited(6, [[name, count, wrong]]), "corrupt"),
        _bad("batch", "count", "two changes recorded, one there", edited(6, [[name, 2, total]]), "corrupt"),
        _bad("batch", "channel", "a change in a channel that is not recorded", edited(6, []), "corrupt"),
        _bad("batch", "channel_missing", "a recorded channel has no change",
             edited(6, [[name, count, total], ["ledger", 1, total]]), "corrupt"),
    ]


def _closings() -> list:
    good = closing_record([payment(1)])
    return [
        _bad("closing", "truncated", "half of it", pack(good)[:40]),
        _bad("closing", "format", "format 2 is not known", pack([2, *good[1:]])),
        _bad("closing", "digest", "a digest of 15 bytes", pack([*good[:8], good[8][:15], *good[9:]])),
    ]


def cases() -> list:
    """All vectors of this file."""
    return _frames() + _maps() + _shapes() + _changes() + _values() + _notes() + _batches() + _closings()
