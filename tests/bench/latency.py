"""From COMMIT to a consumer, beside peers: one writing program for all, compiled readers, durable commits and durable ticks."""

import os
import random
from pathlib import Path

import conditions
import workspace
from harness import wait_for
from harness.program import Program
from measure import INTERVALS, QUICK, SLICE_SECONDS, SLICES, interval, percentile
from peers import Notifying, PaysyncWithReader, Peer, Pgoutput
from peers.base import PROGRAMS
from workloads import PAYMENTS

KINDS = (PaysyncWithReader, Pgoutput, Notifying)
# Transactions a second, and the connections that they are shared out to: one could not commit so many durably.
RATES = ((200, 1), (1000, 4), (5000, 16))
FEW_RATES = RATES[:2]
SEED = int(os.environ.get("SEED", "1"))


class Side:
    """A database in which one peer captures and one consumer follows."""

    def __init__(self, server, peer: Peer, folder: Path, name: str):
        self.peer, self.folder = peer, folder
        self.database = server.create_database(name)
        self.database.execute(PAYMENTS)
        peer.prepare(self.database)

    def run_slice(self, rate: int, connections: int, seed: int) -> dict:
        """One slice from empty tables: percentiles in milliseconds, from the COMMIT's answer and from when the statement was sent; and
        the rate that was reached."""
        self.database.execute("truncate payments")
        self.peer.reset(self.database)
        self.database.server.execute("checkpoint")
        pace = Program(self.folder, "pace", [PROGRAMS / "pace", self.database.conninfo(), rate, SLICE_SECONDS, connections, seed, 1])
        with self.peer.followed(self.database, self.folder) as follower:
            pace.launch()
            try:
                assert pace.wait_for_exit(SLICE_SECONDS + 120) == 0, pace.log()[-2000:]
                committed = [tuple(map(int, line.split())) for line in pace.out().splitlines()]
                ids = {id for id, _, _ in committed}
                wait_for(lambda: ids <= follower.seen().keys(), 120, f"{self.peer.follower} has the slice")
            finally:
                pace.kill()
            seen = follower.seen()
        after = [1e3 * seen[id][0] - answered / 1e6 for id, _, answered in committed]
        whole = [1e3 * seen[id][0] - sent / 1e6 for id, sent, _ in committed]
        took = (max(answered for _, _, answered in committed) - min(sent for _, sent, _ in committed)) / 1e9
        return {"p50": percentile(after, 0.5), "p99": percentile(after, 0.99), "whole p50": percentile(whole, 0.5),
                "whole p99": percentile(whole, 0.99), "rate": len(committed) / took}


def of_rate(sides: dict, rate: int, connections: int) -> str:
    """The rows of one rate; slices in random order, the same moments of writing for all of a turn."""
    chance = random.Random(SEED)
    found = {name: [] for name in sides}
    for turn in range(-1, SLICES):
        for name in chance.sample(sorted(sides), len(sides)):
            one = sides[name].run_slice(rate, connections, SEED + 1000 * turn + 1000)
            if turn >= 0:  # the first fills caches
                found[name].append(one)
    columns = (("p50", 2), ("p99", 2), ("whole p50", 2), ("whole p99", 2), ("rate", 0))
    return "".join(f"| {rate:,} | {name} | {' | '.join(interval([one[what] for one in slices], digits) for what, digits in columns)} |\n"
                   for name, slices in found.items())


def measure() -> str:
    """The table."""
    folder = workspace.base() / "latency"
    peers = [kind() for kind in KINDS]
    with conditions.server(folder / "pg", wal_level="logical", synchronous_commit="on") as server:
        sides = {peer.follower: Side(server, peer, folder, f"side{number}") for number, peer in enumerate(peers)}
        rows = "".join(of_rate(sides, rate, connections) for rate, connections in (FEW_RATES if QUICK else RATES))
        about = conditions.of_server(server)
    return (f"## From COMMIT to a consumer\n\nOne program writes for all: single inserts, at moments drawn before from an exponential distribution, over "
            f"{', '.join(str(connections) for _, connections in RATES)} connections for the three rates. {SLICES} slices of {SLICE_SECONDS:g} s of each system in random "
            f"order, seed {SEED}; milliseconds, percentiles of each slice, of these {INTERVALS}. Below zero: the consumer was sooner than the writer. Readers "
            "are C++; a time counts when the row is decoded; the table's outbox is read where the notification says that there is something.\n\n"
            "| tx/s | system | p50 from COMMIT's answer | p99 | p50 from sending the statement | p99 | reached tx/s |\n| --- | --- | --- | --- | --- | --- | --- |\n"
            f"{rows}\n{conditions.of_peers(peers)}{about}")
