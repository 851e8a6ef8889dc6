"""The wire: bytes a second from the relay's window to a DEALER, packed and sent as the relay does it, beside a plain ROUTER that sends
bodies of the same size."""

import random
import subprocess

from measure import INTERVALS, QUICK, SLICE_SECONDS, SLICES, interval
from peers.base import PROGRAMS

KIB = 1 << 10
# Bytes of changes that a batch is packed up to; the second is the relay's default.
BATCHES = (8 * KIB, 64 * KIB, 256 * KIB)
# Bytes of a transaction's one change: an inserted payments row, and a large row.
TRANSACTIONS = (200, 4000)
MODES = {"plain": "plain ROUTER, one body sent again and again", "copied": "plain ROUTER, each body copied into its message", "relay": "relay"}


def run(mode: str, batch: int, transaction: int) -> tuple:
    """One slice: (MB a second, bytes of a message)."""
    command = [PROGRAMS / "wire", mode, batch, SLICE_SECONDS, transaction]
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    _, messages, size, nanoseconds = done.stdout.split()
    return 1e3 * int(size) / int(nanoseconds), int(size) / int(messages)


def measure() -> str:
    """The table."""
    chance = random.Random(1)
    lines = []
    for transaction in TRANSACTIONS[:1] if QUICK else TRANSACTIONS:
        for batch in BATCHES[1:2] if QUICK else BATCHES:
            found = {mode: [] for mode in MODES}
            for _ in range(SLICES):
                for mode in chance.sample(sorted(MODES), len(MODES)):
                    found[mode].append(run(mode, batch, transaction))
            rates = {mode: [rate for rate, _ in slices] for mode, slices in found.items()}
            against = {mode: [ours / theirs for ours, theirs in zip(rates["relay"], rates[mode])] for mode in ("plain", "copied")}
            body = found["relay"][0][1] / KIB
            lines.append(f"| {transaction} B | {batch // KIB} KiB | {body:.0f} KiB | {' | '.join(interval(rates[mode], 0) for mode in MODES)} | "
                         f"{interval(against['plain'])} | {interval(against['copied'])} |\n")
    return (f"## The wire\n\nA ROUTER and a DEALER in two processes, loopback, 4 MiB of credit granted as subscribers do. Relay: its own packing of batches (one change "
            f"a transaction, from a window in memory), its credit and its send to one session, PLAIN and ZAP; no reading of the outbox. MB/s of bodies; {SLICES} slices of "
            f"{SLICE_SECONDS:g} s of each in random order; {INTERVALS}, ratios turn by turn.\n\n| transaction | batch | body | {' | '.join(MODES.values())} | "
            "relay to one body | relay to copied |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n" + "".join(lines) + "\n")
