"""What compressing the outbox would save and take: payloads as capture writes them, packed by the server's own method, lz4 and zstd, a
record at a time, with a dictionary, and in pieces of several sizes. Instructions by callgrind, bytes of the log as they are."""

import os
import re
import struct
import subprocess
from pathlib import Path

import conditions
import workspace
from measure import SLICES, scaled
from peers.base import PROGRAMS, package_version
from workloads import PAYMENT, PAYMENTS, insert_payments

# Transactions of one row are twice as many: an insert and an update.
PAIRS, ROWS = 4000, 20_000
KIB = 1 << 10
NO_REP = "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000"
# The first is a chunk as it is; larger ones would have to be cut over several rows after packing.
PIECES = (8112, 32 * KIB, 64 * KIB)
# Of what was written so many payloads are packed, from its beginning and its end: records, chunks.
SAMPLES = {"single": 2000, "bulk": 100}
ALONE = tuple((method, "none") for method in ("pglz", "lz4", "zstd1", "zstd3"))
WITH_DICTIONARY = tuple((method, dictionary) for dictionary in ("trained", "previous") for method in ("lz4", "zstd1", "zstd3"))
WORDS = {"none": "", "trained": ", trained dictionary of 4 KiB", "previous": ", record before as dictionary"}
# The rows of other benchmarks have the same text. Here it differs as in payments: what is chosen from few, addresses, numbers, ids.
DIFFERING = """(random() * 1e4)::numeric(12,2), (array['EUR', 'USD', 'GBP', 'CHF'])[1 + (random() * 3)::int], 'pending', now(), now(),
 'order-2026-11-23-' || lpad((random() * 1e12)::bigint::text, 12, '0') || '-web',
 jsonb_build_object('channel', (array['web', 'app', 'pos'])[1 + (random() * 2)::int], 'attempt', 1 + (random() * 3)::int,
  'device', (array['android', 'ios', 'windows'])[1 + (random() * 2)::int], 'address', host('192.0.0.0'::inet + (random() * 65535)::int),
  'session', substr(md5(random()::text), 1, 16)), gen_random_uuid()"""
# The hardest: hardly more in common than names of keys. The reference is masked by a token of its own.
TOKENS = """(random() * 1e6)::numeric(12,2), (array['EUR', 'USD', 'GBP', 'CHF'])[1 + (random() * 3)::int], 'pending', now(), now(),
 'order-' || substr(md5(random()::text), 1, 28),
 json_build_object('channel', 'web', 'device', md5(random()::text), 'session', md5(random()::text), 'token', gen_random_uuid())::jsonb,
 gen_random_uuid()"""
MASKED = """, masks => '{"reference": {"mask": "hmac", "key": "bench"}}', new_columns => 'include'"""
KEY = "select paysync.set_mask_key('bench', decode(repeat('5a', 32), 'hex'))"
UPDATE = "update payments set status = 'settled', updated_at = now()"
ROWS_OF = {"payments of one text": (PAYMENT, ""), "payments that differ": (DIFFERING, ""), "payments of random tokens": (TOKENS, MASKED)}
SEGMENTS = range(8)
CLOSING = " union all ".join(f"select {slot}, ctid, payload from paysync.closing_{slot}" for slot in SEGMENTS)
CHUNKS = " union all ".join(f"select xid, part, payload from paysync.chunk_{slot} where part > 0" for slot in SEGMENTS)


def write_single(session, values: str) -> int:
    """Autocommitted inserts and updates; how many transactions."""
    pairs = scaled(PAIRS, 400)
    for number in range(1, pairs + 1):
        session.execute(f"insert into payments values ({number}, {number * 7}, {values})")
        session.execute(f"{UPDATE} where id = {number}")
    return 2 * pairs


def write_bulk(session, values: str) -> int:
    """One INSERT of all rows and one UPDATE; how many changes."""
    rows = scaled(ROWS, 1000)
    session.execute(insert_payments(1, rows).replace(PAYMENT, values))
    session.execute(UPDATE)
    return 2 * rows


def logged(database, write, values: str) -> float:
    """Bytes of the log a change, from an empty table."""
    with database.connect() as session:
        session.execute("truncate payments")
        session.execute("checkpoint")
        began = session.execute("select pg_current_wal_insert_lsn()").fetchone()[0]
        count = write(session, values)
        return float(session.execute("select pg_current_wal_insert_lsn() - %s::pg_lsn", (began,)).fetchone()[0]) / count


def saved(path: Path, payloads: list) -> Path:
    """A file of records behind their lengths, as the program reads them."""
    path.write_bytes(b"".join(struct.pack("=I", len(payload)) + bytes(payload) for payload in payloads))
    return path


class Source:
    """Payloads of one kind of rows, and the log that a change takes with capture and without."""

    def __init__(self, server, folder: Path, name: str, values: str, options: str):
        plain, captured = (server.create_database(f"{name.replace(' ', '_')}_{kind}") for kind in ("plain", "captured"))
        plain.execute(PAYMENTS)
        for statement in (PAYMENTS, "create extension paysync", KEY, f"select paysync.register('payments'{options})",
                          "select paysync.create_subscriber('reader0')"):
            captured.execute(statement)
        self.log = {}
        for write, rows_of in ((write_single, CLOSING), (write_bulk, CHUNKS)):
            without, with_capture = logged(plain, write, values), logged(captured, write, values)
            payloads = [bytes(row[-1]) for row in captured.execute(f"select * from ({rows_of}) as r order by 1, 2")]
            # Single transactions have no chunks, the bulk ones hardly anything else.
            changes = scaled(PAIRS, 400) * 2 if write is write_single else scaled(ROWS, 1000) * 2
            assert write is write_bulk or len(payloads) == changes + 1, f"{len(payloads)} records"
            # The first record is TRUNCATE's.
            payloads = payloads[1:] if write is write_single else payloads
            half = SAMPLES[write.__name__.removeprefix("write_")] // 2
            sample = payloads if len(payloads) < 2 * half else payloads[:half] + payloads[-half:]
            self.log[write] = (without, with_capture, sum(map(len, payloads)) / changes,
                               saved(folder / f"{name}_{write.__name__}".replace(" ", "_"), sample))


def instructions(function: str, command: list) -> int:
    """Of one function of the program and what it calls."""
    # callgrind counts each byte of "rep movsb" as an instruction: the C library is told to do without.
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
                           f"--toggle-collect={function}", *command], check=True, capture_output=True, text=True, env={**os.environ, "GLIBC_TUNABLES": NO_REP})
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def line(source: Source, write, method: str, dictionary: str, piece: int) -> str:
    """A row of the table: one method on one kind of payload."""
    without, with_capture, bytes_a_change, file = source.log[write]
    passes = max(3, SLICES)

    def command(count: int) -> list:
        return [str(word) for word in (PROGRAMS / "compression", method, dictionary, piece, count, file)]

    done = subprocess.run(command(passes), check=True, capture_output=True, text=True)
    pieces, size, packed, packing, unpacking = map(int, done.stdout.split())
    changes = pieces if piece == 0 else size / bytes_a_change
    pack, unpack = (instructions(name, command(1)) / changes for name in ("pack_pieces", "unpack_pieces"))
    kept = bytes_a_change * packed / size
    log = with_capture - bytes_a_change + kept
    label = f"{method}{WORDS[dictionary]}"
    return (f"| {label} | {f'{piece:,} B' if piece else 'record'} | {kept:,.0f} | {size / packed:.2f} | {pack:,.0f} | {unpack:,.0f} | {packing / changes:,.0f} | "
            f"{unpacking / changes:,.0f} | {log / without:.2f} |\n")


def table(source: Source, write, kinds: list) -> str:
    """All methods on one kind of payload."""
    without, with_capture, bytes_a_change, _ = source.log[write]
    lines = [f"| as it is | {'record' if write is write_single else '8,112 B'} | {bytes_a_change:,.0f} | 1.00 | | | | | {with_capture / without:.2f} |\n"]
    lines += [line(source, write, method, dictionary, piece) for piece, (method, dictionary) in kinds]
    return (f"The log: {without:,.0f} B a change without capture, {with_capture:,.0f} with it.\n\n"
            "| method | packed at a time | payload, bytes a change | ratio | instructions a change to pack | to unpack | ns a change to pack | to unpack | log |\n"
            f"| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n{''.join(lines)}\n")


def measure() -> str:
    """The tables."""
    folder = workspace.base() / "compression"
    parts = []
    with conditions.server(folder, synchronous_commit="off") as server:
        for name, (values, options) in ROWS_OF.items():
            source = Source(server, folder, name, values, options)
            single = [(0, kind) for kind in ALONE + WITH_DICTIONARY]
            bulk = [(piece, kind) for piece in PIECES for kind in ALONE]
            parts.append(f"### {name.capitalize()}, a transaction each: closing records\n\n{table(source, write_single, single)}"
                         f"### {name.capitalize()}, one INSERT and one UPDATE: chunks\n\n{table(source, write_bulk, bulk)}")
        about = conditions.of_server(server)
    versions = ", ".join(f"{package} {package_version(package)}" for package in ("liblz4-1", "libzstd1"))
    return ("## Compressing what is captured\n\nPayloads as capture wrote them, packed and unpacked by a program of its own; pglz: the server's. 2,000 records, of which half are packed and the other half trains the dictionary; 100 chunks. "
            "Contexts are kept from piece to piece; zstd's frames have no magic number, size or checksum. Instructions under callgrind; times are the quickest of "
            f"{max(3, SLICES)} passes. Log: ratio to no capture, from the bytes measured without and with capture, less what a payload becomes smaller by; that part is calculated.\n\n"
            f"{''.join(parts)}{versions}. {about}")
