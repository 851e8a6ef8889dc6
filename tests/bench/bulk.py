"""W3: what capture costs bulk statements, beside peers: one INSERT … SELECT and one UPDATE of all its rows, processor time a row."""

import contextlib
from functools import partial
from pathlib import Path

import conditions
import paired
import workspace
from harness import wait_for
from measure import INTERVALS, SLICES, interval, scaled
from peers import HandWritten, Paysync, PaysyncWithReader, Peer, PgQ, Pgoutput, wal2json
from server_use import Use, own_seconds
from workloads import PAYMENTS, insert_payments

ROWS = 200_000
UPDATE = "update payments set status = 'settled', updated_at = now()"
KINDS = (HandWritten, PgQ, Pgoutput, wal2json, Paysync, PaysyncWithReader)
COLUMNS = {"insert": "INSERT, its backend", "update": "UPDATE, its backend", "all insert": "INSERT, all of the server", "all update": "UPDATE, all of the server"}


class Side:
    """A database in which one peer captures."""

    def __init__(self, servers: dict, peer: Peer, folder: Path, name: str):
        self.server, self.peer, self.folder = servers[peer.wal_level], peer, folder
        self.database = self.server.create_database(name)
        self.database.execute(PAYMENTS)
        peer.prepare(self.database)

    def run_slice(self, rows: int) -> dict:
        """One slice from an empty table, behind a checkpoint: microseconds a row of the backend, and of all processes until the consumer
        has what was written."""
        self.database.execute("truncate payments")
        self.peer.reset(self.database)
        found = {}
        with self.peer.consumer(self.database, self.folder) as consumer, self.database.connect() as session, \
                self.database.connect() as watch:
            for what, statement in (("insert", insert_payments(1, rows)), ("update", UPDATE)):
                watch.execute("checkpoint")
                use, backend = Use(self.server, watch), own_seconds(session.info.backend_pid)
                session.execute(statement)
                found[what] = 1e6 * (own_seconds(session.info.backend_pid) - backend) / rows
                wait_for(lambda: consumer.caught_up(watch), 600, "the consumer has the slice")
                found["all " + what] = 1e6 * use.seconds() / rows
        return found


def measure() -> str:
    """The table."""
    folder = workspace.base() / "bulk"
    rows = scaled(ROWS, 1000)
    peers = [kind() for kind in KINDS]
    here = [peer for peer in peers if not peer.missing()]
    with contextlib.ExitStack() as stack:
        servers = conditions.servers(folder, here, stack, synchronous_commit="off")
        nothing = Side(servers, Peer(), folder, "side_none")
        sides = {peer.name: Side(servers, peer, folder, f"side{number}") for number, peer in enumerate(here)}
        bases, ratios = paired.compare(lambda: nothing.run_slice(rows), {name: partial(side.run_slice, rows) for name, side in sides.items()})
        about = conditions.of_server(servers["replica"])
    lines = [f"| {Peer.name}, µs | {' | '.join(interval([one[what] for one in bases]) for what in COLUMNS)} |\n"]
    for peer in peers:
        lines.append(f"| {peer.name} | {peer.missing()} | | | |\n" if peer.missing() else
                     f"| {peer.name} | {' | '.join(interval([one[what] for one in ratios[peer.name]]) for what in COLUMNS)} |\n")
    return (f"## Bulk statements\n\nOne INSERT … SELECT of {rows:,} rows, then one UPDATE of all; processor time a row: of the backend, and of all the server's "
            f"processes until the consumer has it. {SLICES} slices of each system in random order, each between two of no capture; ratios to the mean of these two. Slots: on a server of their own with wal_level logical, which they need. "
            f"{INTERVALS[0].upper()}{INTERVALS[1:]}.\n\n| system | {' | '.join(COLUMNS.values())} |\n| --- | --- | --- | --- | --- |\n{''.join(lines)}\n"
            f"{conditions.of_peers(peers)}{about}")
