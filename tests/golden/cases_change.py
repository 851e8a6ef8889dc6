"""Vectors of kind change: every operation, the forms 0 to 7 and their edge values."""

from __future__ import annotations

import cases_values
from encoder import Raw, Wide, digest, pack
from rows import change_case, row_change, row_decoded
from tables import ACCOUNTS, ACCOUNTS_ALTERED, AUDIT, EVERYTHING, LEGS, PAYMENTS

NAMES = [column[0] for column in EVERYTHING["columns"]]


def event_change(channel: str, command, kind: str, key, headers: str, payload: str) -> bytes:
    """The bytes of an event."""
    return pack([4, channel, command, kind, key, headers, payload])


def event_decoded(data: bytes, channel: str, command: int, kind: str, key, headers: str, payload: str) -> dict:
    """An event by the conventions of README.md."""
    return {
        "op": "event",
        "channel": channel,
        "command": str(command),
        "type": kind,
        "key": key,
        "headers": headers,
        "payload": payload,
        "digest": digest(data).hex(),
    }


def _insert(name: str, description: str, wire: list, shown: list) -> dict:
    data = row_change(0, EVERYTHING, 0, wire)
    new = dict(zip(NAMES, shown))
    return change_case(name, description, data, row_decoded(data, 0, EVERYTHING, 0, {"id": new["id"]}, None, new))


def _edge_rows() -> list:
    token = bytes(range(16))
    return [
        _insert(
            "insert_every_form",
            "a value of each of the forms 0 to 7",
            [42, "Zoë 💶", True, "12.50", 847_630_800_123_456, 847_630_800_120_000, token, '{"a": 1}', "0.1"],
            ["42", "Zoë 💶", True, "12.50", "2026-11-10 13:00:00.123456", "2026-11-10 13:00:00.12+00",
             "00010203-0405-0607-0809-0a0b0c0d0e0f", '{"a": 1}', "0.1"],
        ),
        _insert(
            "insert_nulls",
            "NULL is nil in every form",
            [1, None, None, None, None, None, None, None, None],
            ["1", None, None, None, None, None, None, None, None],
        ),
        _insert(
            "insert_least",
            "the least values: -2^63, -infinity, -Infinity, empty texts",
            [-(2**63), "", False, "-Infinity", -(2**63), -(2**63), b"\0" * 16, "null", "-Infinity"],
            [str(-(2**63)), "", False, "-Infinity", "-infinity", "-infinity",
             "00000000-0000-0000-0000-000000000000", "null", "-Infinity"],
        ),
        _insert(
            "insert_greatest",
            "the greatest values: 2^63-1, infinity, Infinity; a text whose length is written in more bytes than it needs",
            [2**63 - 1, Raw(b"\xdb\0\0\0\3xyz"), True, "Infinity", 2**63 - 1, 2**63 - 1, b"\xff" * 16, '"\\u0000"', "Infinity"],
            [str(2**63 - 1), "xyz", True, "Infinity", "infinity", "infinity",
             "ffffffff-ffff-ffff-ffff-ffffffffffff", '"\\u0000"', "Infinity"],
        ),
        _insert(
            "insert_first_moment",
            "the first finite moment, BC; NaN; json text with its own spacing and a repeated key",
            [0, "NULL", None, "NaN", -211_813_488_000_000_000, -211_813_488_000_000_000, None, '{ "a":1,\n "a":2 }', "NaN"],
            ["0", "NULL", None, "NaN", "4714-11-24 00:00:00 BC", "4714-11-24 00:00:00+00 BC", None,
             '{ "a":1,\n "a":2 }', "NaN"],
        ),
        _insert(
            "insert_last_moment",
            "the last finite moment; a numeric of many digits with trailing zeros",
            [-1, "a\tb\\", None, "-" + "9" * 60 + ".000", 9_223_371_331_199_999_999, 9_223_371_331_199_999_999, None, "[]", "-0"],
            ["-1", "a\tb\\", None, "-" + "9" * 60 + ".000", "294276-12-31 23:59:59.999999",
             "294276-12-31 23:59:59.999999+00", None, "[]", "-0"],
        ),
        _insert(
            "insert_turn_of_era",
            "the last microsecond of 1 BC, a leap year, and the first of AD 1",
            [-33, "", None, "0", -63_082_281_600_000_001, -63_082_281_600_000_000, None, "0", ""],
            ["-33", "", None, "0", "0001-12-31 23:59:59.999999 BC", "0001-01-01 00:00:00+00", None, "0", ""],
        ),
        _insert(
            "insert_leap_days",
            "29 February, before and after the year 2000, and one microsecond before it",
            [128, "", None, "-0.001", 5_097_600_000_000, -1, None, "0", ""],
            ["128", "", None, "-0.001", "2000-02-29 00:00:00", "1999-12-31 23:59:59.999999+00", None, "0", ""],
        ),
        _insert(
            "insert_long_text",
            "texts of 31, 32, 255 and 256 characters, at the limits of the lengths of msgpack",
            [7, "a" * 31, None, "1" * 32, None, None, None, '"' + "b" * 253 + '"', "c" * 256],
            ["7", "a" * 31, None, "1" * 32, None, None, None, '"' + "b" * 253 + '"', "c" * 256],
        ),
        _insert(
            "insert_wide",
            "integers in 64 bits where fewer would do",
            [Wide(5), None, None, None, Wide(0), Wide(-1), None, None, None],
            ["5", None, None, None, "2000-01-01 00:00:00", "1999-12-31 23:59:59.999999+00", None, None, None],
        ),
    ]


def _row_operations() -> list:
    cases = []

    def add(name, description, op, shape, command, key, old, new, *fields):
        data = row_change(op, shape, command, *fields)
        shown = command.value if isinstance(command, Wide) else command
        cases.append(change_case(name, description, data, row_decoded(data, op, shape, shown, key, old, new)))

    row = {"id": "9", "amount": "1.00", "status": "paid"}
    add("update_same_key", "an update that leaves the key: old is nil, the key comes from new", 1, PAYMENTS, 3,
        {"id": "9"}, None, row, [9, "1.00", "paid"], None)
    add("update_changed_key", "an update that changes the key: the row is found by the old one", 1, PAYMENTS, 3,
        {"id": "8"}, {"id": "8"}, row, [9, "1.00", "paid"], {0: 8})
    add("update_old_row", "old holds more than the key, as a registration may ask for", 1, PAYMENTS, 3,
        {"id": "9"}, {"id": "9", "amount": None, "status": "new"}, row, [9, "1.00", "paid"], {0: 9, 1: None, 2: "new"})
    add("update_changed_column", "old holds a column but not the key, which did not change", 1, PAYMENTS, 3,
        {"id": "9"}, {"status": "new"}, row, [9, "1.00", "paid"], {2: "new"})
    add("update_composite_key", "a key of two columns, not in table order", 1, LEGS, 200,
        {"line": "1", "account": "a"}, {"account": "a", "line": "1"},
        {"account": "b", "line": "1", "amount": "0.0001"}, ["b", 1, "0.0001"], {0: "a", 1: 1})
    add("delete", "a delete holds the key", 2, PAYMENTS, 4, {"id": "9"}, {"id": "9"}, None, {0: 9})
    add("delete_wide", "a delete whose map positions and command are 64 bits wide", 2, LEGS, Wide(2**32 - 2),
        {"line": "-2", "account": "ä"}, {"account": "ä", "line": "-2"}, None, {Wide(0): "ä", Wide(1): Wide(-2)})
    add("truncate", "a truncate has no values", 3, PAYMENTS, 70_000, None, None, None)
    add("update_full", "old holds the whole row, the key changed", 1, PAYMENTS, 3, {"id": "8"},
        {"id": "8", "amount": "1.00", "status": None}, row, [9, "1.00", "paid"], {0: 8, 1: "1.00", 2: None})
    add("delete_full", "a delete that holds the whole row", 2, PAYMENTS, 4, {"id": "9"}, row, None, {0: 9, 1: "1.00", 2: "paid"})
    add("delete_no_key", "a delete from a table without key: a row went, not which", 2, AUDIT, 5, {}, {}, None, {})
    add("update_no_key", "an update of a table without key that tells what changed", 1, AUDIT, 6, {}, {"line": "y"},
        {"at": "2000-01-01 00:00:00+00", "line": "x"}, [0, "x"], {1: "y"})
    add("insert_only", "a table without key", 0, AUDIT, 0, {}, None,
        {"at": "2000-01-01 00:00:00+00", "line": "x"}, [0, "x"])
    return cases


def _events() -> list:
    cases = []
    for name, description, fields in (
        ("event", "an explicit event; headers and payload are texts", ("default", 1, "refund", "p-9", "{}", '{"id": 9}')),
        ("event_without_key", "an event without a key", ("ledger", 0, "day.closed", None, '{"a": "b"}', "null")),
    ):
        data = event_change(*fields)
        cases.append(change_case(name, description, data, event_decoded(data, *fields)))
    return cases


def _notes() -> list:
    cases = []

    def add(name, description, op, shape, command, *fields, **shown):
        data = row_change(op, shape, command, *fields)
        decoded = row_decoded(data, op, shape, command, None, None, None)
        cases.append(change_case(name, description, data, {**{k: decoded[k] for k in decoded if k not in ("key", "old", "new")}, **shown}))

    add("gap", "rows changed that no change tells of", 5, PAYMENTS, 7, "the table was rewritten", reason="the table was rewritten")
    add("gap_empty_reason", "a reason may be empty", 5, AUDIT, 0, "", reason="")
    add("alter", "a rename, a drop and three new columns; ceiling is NULL in all rows", 6, ACCOUNTS_ALTERED, 8, 20,
        {2: 9450, 3: ["a", None]}, previous="20", values={"opened": "2025-11-15", "tags": ["a", None]})
    add("alter_nothing_new", "an alter without new columns", 6, ACCOUNTS, 9, 21, {}, previous="21", values={})
    add("alter_wide", "an alter whose integers are 64 bits wide", 6, ACCOUNTS_ALTERED, 8, Wide(20), {Wide(4): None},
        previous="20", values={"ceiling": None})
    return cases


def cases() -> list:
    """All vectors of this file."""
    return _edge_rows() + _row_operations() + _events() + cases_values.cases() + _notes()
