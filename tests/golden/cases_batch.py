"""Vectors of kind batch and closing."""

from __future__ import annotations

from cases_change import event_change, event_decoded
from encoder import Wide, digest, pack
from rows import row_change, row_decoded
from tables import KNOWN, LEGS, PAYMENTS

TIME = 847_630_800_123_456
TIME_SHOWN = "2026-11-10 13:00:00.123456+00"


def payment(number: int, command: int = 0) -> tuple:
    """An insert into payments: its channel, bytes and decoded form."""
    data = row_change(0, PAYMENTS, command, [number, "12.50", "pending"])
    new = {"id": str(number), "amount": "12.50", "status": "pending"}
    return "default", data, row_decoded(data, 0, PAYMENTS, command, {"id": str(number)}, None, new)


def leg(account: str, line: int, command: int = 0) -> tuple:
    """A delete from legs."""
    data = row_change(2, LEGS, command, {0: account, 1: line})
    old = {"account": account, "line": str(line)}
    return "ledger", data, row_decoded(data, 2, LEGS, command, old, old, None)


def event(payload: str, command: int = 0) -> tuple:
    """An event in channel default."""
    fields = ("default", command, "note", None, "{}", payload)
    data = event_change(*fields)
    return "default", data, event_decoded(data, *fields)


def manifest(changes: list) -> list:
    """The list of channels: name, count, digest."""
    names = list(dict.fromkeys(channel for channel, _, _ in changes))
    by_name = {name: [data for channel, data, _ in changes if channel == name] for name in names}
    return [[name, len(by_name[name]), digest(*by_name[name])] for name in names]


def manifest_shown(channels: list) -> list:
    """The same by the conventions of README.md."""
    return [{"name": name, "count": str(count), "digest": total.hex()} for name, count, total in channels]


def transaction(number, changes: list, total=None, origin=None, context=None) -> list:
    """A transaction as it stands in a batch."""
    data = b"".join(data for _, data, _ in changes)
    return [number, 742, TIME, origin, context, len(changes) if total is None else total, manifest(changes), data]


def transaction_shown(number: int, changes: list, total=None, origin=None, context=None) -> dict:
    """The same by the conventions of README.md."""
    return {
        "position": f"3.9f2c41aa:{number}",
        "number": str(number),
        "xid": "742",
        "time": TIME_SHOWN,
        "origin": origin,
        "context": context,
        "total": str(len(changes) if total is None else total),
        "channels": manifest_shown(manifest(changes)),
        "changes": [shown for _, _, shown in changes],
    }


def _batch(name: str, description: str, body: list, shown: list) -> dict:
    prev, last = (str(field.value if isinstance(field, Wide) else field) for field in body[:2])
    return {
        "name": "batch_" + name,
        "description": description,
        "kind": "batch",
        "shapes": KNOWN.hex(),
        "hex": pack(body).hex(),
        "decoded": {"prev": prev, "last": last, "epoch": "3", "nonce": "9f2c41aa", "transactions": shown},
    }


def _wrapping() -> list:
    # Two events whose digests add up to more than 2^128, so that the carry is lost.
    first = event("0")
    for number in range(1, 1000):
        second = event(str(number))
        if int.from_bytes(digest(first[1]), "big") + int.from_bytes(digest(second[1]), "big") >= 2**128:
            return [first, second]
    raise AssertionError("no pair found")


def _batches() -> list:
    epoch = [3, "9f2c41aa"]
    one = [payment(1)]
    mixed = [payment(1), leg("a", 1, 1), payment(2, 2), leg("b", -2, 2), event('"done"', 3)]
    wrapping = _wrapping()
    wide = transaction(Wide(12), one)
    wide[1], wide[2], wide[5] = Wide(742), Wide(TIME), Wide(1)
    greatest = 2**63 - 1
    return [
        _batch("empty", "nothing for us in 10 to 19: the position advances", [9, 19, *epoch, []], []),
        _batch("one", "one transaction of one change", [0, 1, *epoch, [transaction(1, one)]], [transaction_shown(1, one)]),
        _batch("channels", "one transaction in two channels; the source transaction had 9 changes",
               [183, 190, *epoch, [transaction(184, mixed, 9, "eu", "trace-1")]],
               [transaction_shown(184, mixed, 9, "eu", "trace-1")]),
        _batch("several", "three transactions with holes between them",
               [100, 200, *epoch, [transaction(n, [payment(n), payment(n + 1, 1)], context="") for n in (101, 150, 199)]],
               [transaction_shown(n, [payment(n), payment(n + 1, 1)], context="") for n in (101, 150, 199)]),
        _batch("digest_wraps", "the sum of the digests passes 2^128", [5, 6, *epoch, [transaction(6, wrapping)]],
               [transaction_shown(6, wrapping)]),
        _batch("wide", "integers in 64 bits", [Wide(11), Wide(12), Wide(3), "9f2c41aa", [wide]], [transaction_shown(12, one)]),
        _batch("greatest", "the greatest number", [greatest - 1, greatest, *epoch, [transaction(greatest, one)]],
               [transaction_shown(greatest, one)]),
    ]


def closing_record(changes: list, flags: int = 0, parts: int = 0, elsewhere: bool = False) -> list:
    """A closing record (docs/outbox.md)."""
    data = [data for _, data, _ in changes]
    shapes = sorted({7 if channel == "default" else 300 for channel, _, shown in changes if shown["op"] != "event"})
    return [1, TIME, "eu", None, flags, parts, len(b"".join(data)), len(changes), digest(*data), 2 if elsewhere else 0,
            None if elsewhere else manifest(changes), None if elsewhere else shapes]


def _closing(name: str, description: str, record: list, tail: bytes) -> dict:
    fields = ("format", "time", "origin", "context", "flags", "parts", "bytes", "changes", "digest", "manifest_parts")
    shown = dict(zip(fields, record))
    shown = {name: str(value) if isinstance(value, int) else value for name, value in shown.items()}
    shown["time"] = TIME_SHOWN
    shown["digest"] = record[8].hex()
    shown["channels"] = None if record[10] is None else manifest_shown(record[10])
    shown["shapes"] = None if record[11] is None else [str(shape) for shape in record[11]]
    shown["tail"] = tail.hex()
    return {"name": "closing_" + name, "description": description, "kind": "closing",
            "hex": (pack(record) + tail).hex(), "decoded": shown}


def _closings() -> list:
    changes = [payment(1), leg("a", 1, 1), event("1", 2)]
    stream = b"".join(data for _, data, _ in changes)
    nested = [payment(1, 0), payment(2, 1), payment(3, 0)]
    nested_stream = b"".join(data for _, data, _ in nested)
    return [
        _closing("whole", "the whole stream stands behind the record", closing_record(changes), stream),
        _closing("reorder", "the stream is not in its final order; its first 20 bytes are in an earlier part",
                 closing_record(nested, flags=1, parts=1), nested_stream[20:]),
        _closing("manifest_elsewhere", "channels and shapes are in the last two parts; all changes in earlier ones",
                 closing_record(changes, parts=3, elsewhere=True), b""),
    ]


def cases() -> list:
    """All vectors of this file."""
    return _batches() + _closings()
