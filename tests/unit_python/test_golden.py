"""The golden vectors of tests/golden, read by the package."""

from __future__ import annotations

import json
import math
import pathlib
import struct
import subprocess
import sys
import tracemalloc
from datetime import date, datetime
from uuid import UUID

import pytest

from paysync import CorruptError, ProtocolError, frames, messages
from paysync.dates import microseconds_of, timestamp_text
from paysync.decode import decode_batch, decode_begin, decode_part, decode_shapes
from paysync.decode_change import decode_changes, digest
from paysync.inbox import Inbox
from paysync.session import Session
from paysync.timings import Backoff, Timings
from paysync.values import FORM_ARRAY, FORM_FLOAT4

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
CASES = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*.json"))
}
# The client reads no closing records.
READ = {name: case for name, case in CASES.items() if case["kind"] != "closing"}


def show_time(value) -> str:
    """A datetime or Timestamp as PostgreSQL's text."""
    if not isinstance(value, datetime):
        return str(value)
    return timestamp_text(microseconds_of(value), value.tzinfo is not None)


def show_float(form: int, value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return struct.pack(">f" if form == FORM_FLOAT4 else ">d", value).hex()


def show_value(form: int, value):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [show_value(form, element) for element in value]
    if isinstance(value, float):
        return show_float(form, value)
    if isinstance(value, datetime):
        return show_time(value)
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def show_row(change, values):
    if values is None:
        return None
    forms = {column.name: column.form % FORM_ARRAY for column in change.shape.columns}
    return {name: show_value(forms[name], value) for name, value in values.items()}


def show_change(change, total: int) -> dict:
    shown = {"op": change.op, "channel": change.channel, "command": str(change.command), "digest": f"{total:032x}"}
    if change.op == "event":
        fields = {"type": change.type, "key": change.key, "headers": change.headers, "payload": change.payload}
        return {**shown, **fields}
    shown.update({"shape": str(change.shape.id), "schema": change.schema, "table": change.table})
    if change.op in ("gap", "alter"):
        assert change.key is None and change.old is None
    if change.op == "gap":
        return {**shown, "reason": change.reason}
    if change.op == "alter":
        return {**shown, "previous": str(change.previous.id), "values": show_row(change, change.new)}
    return {
        **shown,
        "key": show_row(change, change.key),
        "old": show_row(change, change.old),
        "new": show_row(change, change.new),
    }


def show_transaction(transaction, expected: dict) -> dict:
    # The package checks counts and digests itself and does not keep them.
    changes = [
        show_change(change, int(wanted["digest"], 16)) for change, wanted in zip(transaction.changes, expected["changes"])
    ]
    assert len(transaction.changes) == len(expected["changes"])
    return {
        "position": str(transaction.position),
        "number": str(transaction.number),
        "xid": str(transaction.xid),
        "time": show_time(transaction.time),
        "origin": transaction.origin,
        "context": transaction.context,
        "total": str(transaction.total),
        "channels": expected["channels"],
        "changes": changes,
    }


def show_shape(shape) -> dict:
    columns = [
        {"name": column.name, "type": column.type, "form": str(column.form), "number": str(column.number)}
        for column in shape.columns
    ]
    return {
        "id": str(shape.id),
        "schema": shape.schema,
        "table": shape.table,
        "channel": shape.channel,
        "columns": columns,
        "key": [str(at) for at in shape.key],
    }


def show_begin(begin) -> dict:
    head = begin.head
    channels = [
        {"name": name, "count": str(count), "digest": f"{digest:032x}"} for name, (count, digest) in begin.manifest.items()
    ]
    return {
        "prev": str(begin.prev),
        "number": str(head.number),
        "epoch": str(head.position.epoch),
        "nonce": head.position.nonce,
        "xid": str(head.xid),
        "time": show_time(head.time),
        "origin": head.origin,
        "context": head.context,
        "total": str(head.total),
        "channels": channels,
        "bytes": str(head.streamed_bytes),
    }


def show_map(value) -> dict:
    return {name: show_field(field) for name, field in value._asdict().items()}


def show_field(field):
    if field is None or isinstance(field, bool):
        return field
    if isinstance(field, list):
        return [str(item) for item in field]
    return field.hex() if isinstance(field, bytes) else str(field)


def show_begin(begin) -> dict:
    head = begin.head
    return {
        "prev": str(begin.prev),
        "number": str(head.position.number),
        "epoch": str(head.position.epoch),
        "nonce": head.position.nonce,
        "xid": str(head.xid),
        "time": show_time(head.time),
        "origin": head.origin,
        "context": head.context,
        "total": str(head.total),
        "channels": [
            {"name": name, "count": str(count), "digest": total.to_bytes(16, "big").hex()}
            for name, (count, total) in begin.manifest.items()
        ],
        "bytes": str(head.streamed_bytes),
    }


def read_frame(parts) -> dict:
    frame = frames.decode_frame(parts[0])
    return {
        "kind": str(frame.kind),
        "name": None if frames.is_ignorable(frame.kind) else frames.KIND_NAMES[frame.kind],
        "session": str(frame.session),
        "a": str(frame.a),
        "b": str(frame.b),
    }


def read(case: dict) -> dict:
    """What the package makes of a case."""
    kind = case["kind"]
    data = bytes.fromhex(case.get("hex", ""))
    shapes = {shape.id: shape for shape in decode_shapes(bytes.fromhex(case["shapes"]))} if "shapes" in case else {}
    if kind == "frame":
        return read_frame([data])
    if kind == "message":
        parts = [bytes.fromhex(part) for part in case["frames"]]
        return {**read_frame(parts), "body": parts[1].hex() if len(parts) == 2 else None}
    if kind == "hello":
        return show_map(messages.decode_hello(data))
    if kind == "welcome":
        return show_map(messages.decode_welcome(data))
    if kind == "begin":
        return show_begin(decode_begin(data))
    if kind == "part":
        part = decode_part(data)
        return {"index": str(part.index), "unfinished": part.unfinished, "data": part.data.hex()}
    if kind == "error":
        return show_map(messages.decode_failure(data))
    if kind == "bye":
        return {"reason": messages.decode_bye(data)}
    if kind == "shapes":
        return {"shapes": [show_shape(shape) for shape in decode_shapes(data)]}
    if kind == "begin":
        return show_begin(decode_begin(data))
    if kind == "part":
        part = decode_part(data)
        return {"index": str(part.index), "unfinished": part.unfinished, "data": part.data.hex()}
    if kind == "change":
        changes, sums = decode_changes(data, shapes)
        if len(changes) != 1:
            raise ProtocolError(f"{len(changes)} changes")
        assert sums == {changes[0].channel: (1, digest(data))}
        return show_change(changes[0], digest(data))
    batch = decode_batch(data)
    expected = (case["decoded"] or {"transactions": []})["transactions"]
    transactions = list(batch.transactions(shapes))
    if case["decoded"] is not None:
        assert len(transactions) == len(expected)
    head = {"prev": str(batch.prev), "last": str(batch.last), "epoch": str(batch.epoch), "nonce": batch.nonce}
    return {**head, "transactions": [show_transaction(*pair) for pair in zip(transactions, expected)]}


def test_generator_gives_the_committed_files(tmp_path):
    """Rule: the vectors are what generate.py writes, no file more or less."""
    subprocess.run([sys.executable, "-B", str(GOLDEN / "generate.py"), str(tmp_path)], check=True)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in GOLDEN.glob("*.json")}
    assert written == committed


@pytest.mark.parametrize("name", [name for name, case in READ.items() if case["decoded"] is not None])
def test_good_vector(name):
    """Rule: a good vector is read as it says."""
    assert read(READ[name]) == READ[name]["decoded"]


@pytest.mark.parametrize(
    "name", [name for name, case in READ.items() if case["decoded"] is None and case["kind"] != "message"]
)
def test_bad_vector(name):
    """Rule: a bad vector is refused with the error it says, and no length is believed."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError if READ[name]["error"] == "corrupt" else ProtocolError):
            read(READ[name])
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [name for name in READ if name.startswith("bad_message_")])
def test_bad_message(name):
    """Rule: a message with the wrong number of frames is refused."""
    session = Session(
        Inbox(None, False, lambda: None), Backoff(Timings()), Timings(),
        window=65536, instance=1, software="test", stream_id=None,
    )
    session.hello(0.0)
    with pytest.raises(ProtocolError):
        session.handle([bytes.fromhex(part) for part in READ[name]["frames"]], 0.0)


@pytest.mark.parametrize("name", [name for name in READ if name.startswith("hello_")])
def test_hello_round_trip(name):
    """Rule: what the package writes as HELLO reads back the same."""
    hello = messages.decode_hello(bytes.fromhex(READ[name]["hex"]))
    assert messages.decode_hello(messages.encode_hello(hello)) == hello


def test_hello_bytes():
    """Rule: the package's HELLO is, byte for byte, the vector's."""
    for name in ("hello_resume", "hello_new"):
        data = bytes.fromhex(READ[name]["hex"])
        assert messages.encode_hello(messages.decode_hello(data)) == data


def test_uuid_is_a_uuid():
    """Rule: form uuid gives UUID objects."""
    case = READ["change_insert_every_form"]
    shapes = {shape.id: shape for shape in decode_shapes(bytes.fromhex(case["shapes"]))}
    changes, _ = decode_changes(bytes.fromhex(case["hex"]), shapes)
    assert changes[0].new["token"] == UUID(bytes=bytes(range(16)))
