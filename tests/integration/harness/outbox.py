"""The stream read without a relay: ticks cut and chunks put together here, by docs/outbox.md and the Python client's decoder."""

import struct
from datetime import datetime, timedelta, timezone

import msgpack

from paysync import Position, Transaction
from paysync.decode import decode_changes, decode_shapes

EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)
REORDER = 1
MAX_BYTES = 16 << 20


class Outbox:
    """Leads a database's stream in a session of its own, as a subscriber that is made here. `read()` gives what is new."""

    def __init__(self, database, subscriber: str = "outbox", channels: str = "{default}"):
        self.session = database.connect()
        self.subscriber = subscriber
        self.session.execute("select paysync.create_subscriber(%s, %s)", (subscriber, channels))
        self.epoch, self.head = self.session.execute("select epoch, head from paysync.lead('tests')").fetchone()
        self.number = self.start = self.head
        self.shapes = {}

    def read(self) -> list:
        """All transactions that have committed by now and were not read before."""
        self._cut()
        transactions, part = [], -1
        rows = []
        while self.number < self.head:
            found = self.session.execute("select number, epoch, nonce, xid, part, payload from paysync.read_transactions(%s, %s, %s)",
                                         (self.number + 1, part, MAX_BYTES)).fetchall()
            for row in found:
                if rows and row[0] != rows[0][0]:
                    transactions.append(self._decode(rows))
                    rows = []
                rows.append(row)
            assert found, f"number {self.number + 1} is not there, or not whole"
            part = rows[-1][4]
            self.number = rows[0][0] - 1
            if rows[0][0] == self.head and is_whole(rows):
                transactions.append(self._decode(rows))
                self.number = self.head
        return transactions

    def skip(self) -> int:
        """Pass over what is new without reading it; the number of the last transaction, counted from where this subscriber began."""
        self._cut()
        self.number = self.head
        return self.head - self.start

    def _cut(self) -> None:
        before = -1
        while self.head != before:
            before = self.head
            [self.head] = self.session.execute("call paysync.next_tick(%s::bigint, 0, 0, %s::bigint)", (self.epoch, before)).fetchone()

    def acknowledge(self) -> None:
        """Let go of what was read, and of the segments that held it."""
        self.session.execute("select paysync.acknowledge(%s, array[name], %s, '{true}', array[revision], '{null}') from paysync.subscriber where name = %s",
                             (self.epoch, [self.number], self.subscriber))
        self.session.execute("select paysync.maintain()")

    def _decode(self, rows: list) -> Transaction:
        number, epoch, nonce, xid, part, payload = rows[0]
        assert part == 0, f"transaction {number} begins with part {part}"
        closing, tail = read_closing(payload)
        _, time, origin, context, flags, parts, size, count, digest, manifest_parts, channels, shapes = closing
        assert len(rows) == 1 + parts, f"transaction {number} has {len(rows) - 1} parts instead of {parts}"
        payloads = [row[5] for row in rows[1:]]
        if manifest_parts:
            channels, shapes = msgpack.unpackb(b"".join(payloads[-manifest_parts:]), strict_map_key=False)
            payloads = payloads[:-manifest_parts]
        data = b"".join(payloads) + tail
        assert len(data) == size, f"transaction {number} has {len(data)} bytes instead of {size}"
        self._learn(shapes, data)
        changes, sums = decode_changes(data, self.shapes)
        expected = {name: (of_channel, int.from_bytes(sum_, "big")) for name, of_channel, sum_ in channels}
        assert sums == expected, f"transaction {number} holds {sums}, its closing record says {expected}"
        assert len(changes) == count
        assert sum(sum_ for _, sum_ in sums.values()) % 2**128 == int.from_bytes(digest, "big")
        if flags & REORDER:
            changes.sort(key=lambda change: change.command)
        else:
            assert all(one.command <= other.command for one, other in zip(changes, changes[1:])), f"transaction {number} is unsorted"
        return Transaction(Position(epoch, nonce, number), xid, EPOCH + timedelta(microseconds=time), origin, context, count, changes)

    def _learn(self, shapes: list, data: bytes) -> None:
        missing = [shape for shape in shapes if shape not in self.shapes]
        if missing:
            rows = self.session.execute("select id, description from paysync.read_shapes(%s)", (missing,)).fetchall()
            assert len(rows) == len(missing), f"shapes {missing} are not all described"
            frame = b"\xdd" + struct.pack(">I", len(rows)) + b"".join(b"\x92" + msgpack.packb(row[0]) + bytes(row[1]) for row in rows)
            self.shapes.update({shape.id: shape for shape in decode_shapes(frame)})

    def close(self) -> None:
        """End the session, and the lease with it."""
        self.session.close()

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def read_closing(payload: bytes) -> tuple:
    """The closing record at the start of part 0, and the bytes behind it."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(payload), strict_map_key=False)
    unpacker.feed(payload)
    closing = unpacker.unpack()
    assert len(closing) == 12 and closing[0] == 1, f"unknown closing record {closing[:1]}"
    return closing, bytes(payload[unpacker.tell():])


def is_whole(rows: list) -> bool:
    """Whether all parts of a transaction are there."""
    closing, _ = read_closing(rows[0][5])
    return len(rows) == 1 + closing[5]
