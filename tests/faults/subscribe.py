"""A subscriber that is killed and comes back, a process of its own; it writes down all that it is handed.

Usage: subscribe.py KIND LEDGER SUBSCRIBER ENDPOINT[,ENDPOINT] OPTIONS
KIND is `own` (it keeps its position, in one transaction with the deliveries), `database` (the database keeps it) or `target`
(run() of the client, into the database that LEDGER is the connection string of). OPTIONS is JSON: `rows` (keep the changes),
`streams` (take every transaction in parts), `obeys` (go back where a replay was asked for). Exit status 4: refused; 5: the relay
holds that another session of this subscriber is alive, so come back later.
"""

import json
import random
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "clients" / "python")]

import psycopg  # noqa: E402

import paysync  # noqa: E402
from faults import target  # noqa: E402
from faults.ledger import Ledger  # noqa: E402

TIMINGS = paysync.Timings(backoff_most=0.5)
BUSY = 303
REFUSED, COME_BACK = 4, 5


class Sink:
    """Takes transactions in parts into the ledger."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self.position = None

    def begin(self, head) -> None:
        self.position = head.position
        self.ledger.begin(head.position.number, str(head.position), head.xid, head.total)

    def changes(self, changes) -> None:
        self.ledger.changes(changes)

    def commit(self) -> None:
        self.ledger.end()

    def abort(self) -> None:
        self.ledger.give_up()


def take_whole(subscriber, ledger: Ledger, timeout: float):
    """Take one transaction into the ledger; its position, or None."""
    transaction = subscriber.receive(timeout)
    if transaction is None:
        return None
    ledger.begin(transaction.number, str(transaction.position), transaction.xid, transaction.total)
    ledger.changes(transaction.changes)
    ledger.end()
    return transaction.position


def dawdle() -> None:
    """Be slow, now and then: part of what is tried. Nothing is waited for."""
    if random.random() < 0.02:
        time.sleep(random.random() / 4)


def follow(kind: str, ledger: Ledger, subscriber, streams: bool) -> None:
    """Take, store, acknowledge, for ever: sometimes one by one, sometimes several in one transaction of the ledger."""
    sink = Sink(ledger)
    stored = position = None
    while True:
        for _ in range(random.choice((1, 1, 5, 20))):
            timeout = 0.2 if position is None else 0
            if streams:
                took = sink.position if subscriber.receive_into(sink, timeout) else None
            else:
                took = take_whole(subscriber, ledger, timeout)
            if took is None:
                break
            position = took
        if ledger.taking:
            continue  # half of a transaction cannot be stored
        if kind == "own":
            # Where nothing was for us the position goes on too, and what lies before it may be emptied once acknowledged.
            position = position or subscriber.position
        if position is None or position == stored:
            continue
        ledger.commit(*((subscriber.stream_id, position) if kind == "own" else ()))
        dawdle()
        subscriber.acknowledge(position)
        stored, position = position, None


def run_ledger(kind: str, path: str, name: str, endpoints: list, options: dict) -> None:
    """Follow into a file until refused."""
    ledger = Ledger(Path(path), options.get("rows", False))
    place = ledger.place() if kind == "own" else None
    stream_id, position = place or (None, None)
    more = {"obeys_rewinds": True} if options.get("obeys") else {}
    with paysync.Subscriber(endpoints, name, position=position, stream_id=stream_id, own_position=kind == "own",
                            timings=TIMINGS, **more) as subscriber:
        try:
            follow(kind, ledger, subscriber, options.get("streams", False))
        except paysync.PaysyncError as error:
            if ledger.connection.in_transaction:
                ledger.connection.execute("rollback")
            if getattr(error, "code", None) != BUSY:
                ledger.fact("refused", f"{type(error).__name__} {error}".replace("\n", " "))
            raise


def main(kind: str, path: str, name: str, endpoints: str, options: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if kind == "target":
            target.run(path, name, endpoints.split(","), TIMINGS)
        else:
            run_ledger(kind, path, name, endpoints.split(","), json.loads(options))
    except paysync.PaysyncError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return COME_BACK if getattr(error, "code", None) == BUSY else REFUSED
    except psycopg.Error as error:
        # The target's server is as mortal as the source's; whoever watches over us starts us again.
        print(f"the target: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
