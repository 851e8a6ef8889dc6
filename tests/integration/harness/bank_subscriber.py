"""The bank's subscriber, a process of its own: follows the stream until the last transaction, then compares with the source.

Usage: bank_subscriber.py RELAY NAME DSN. Prints one JSON object a line: first {"ready": true}, once the copy of the source is
taken (nothing may have been written after create_subscriber), then progress, at the end {"differences": [...]}. Exit status 0
when the source and the mirror are equal.
"""

import json
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "lib"),
                str(Path(__file__).parents[3] / "clients" / "python")]

import psycopg  # noqa: E402

from harness.bank import Mirror, read_source  # noqa: E402
from paysync import Subscriber  # noqa: E402

PROGRESS_EVERY = 0.2
# Longer than a relay takes to come back and the client takes to see it.
SILENCE = 60


def say(**facts) -> None:
    """Print one line for the process that started us."""
    print(json.dumps(facts), flush=True)


def follow(mirror: Mirror, subscriber: Subscriber) -> None:
    """Apply and acknowledge until the last transaction is there."""
    told = heard = time.monotonic()
    while not mirror.is_complete:
        transaction = subscriber.receive(timeout=1)
        now = time.monotonic()
        if transaction is None:
            assert now - heard < SILENCE, f"nothing came for {SILENCE} s after number {mirror.number}"
            continue
        heard = now
        mirror.apply(transaction)
        subscriber.acknowledge(transaction.position)
        if now - told >= PROGRESS_EVERY or mirror.is_complete:
            told = now
            behind = (datetime.now(timezone.utc) - transaction.time).total_seconds()
            say(transactions=mirror.transactions, position=str(transaction.position), seconds_behind=behind)


def main(relay: str, name: str, dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        mirror = Mirror(read_source(connection))
    say(ready=True)
    # Its own position: an acknowledgement that was lost with a relay must not bring a transaction twice.
    subscriber = Subscriber(relay, name, own_position=True)
    try:
        follow(mirror, subscriber)
    finally:
        subscriber.close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        differences = mirror.differences(read_source(connection))
    say(differences=differences, transactions=mirror.transactions)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
