"""What capture costs writers, beside peers: throughput, processor time of the server and log bytes of W1 and W2, each slice between
two without capture."""

import contextlib
from functools import partial
from pathlib import Path

import conditions
import paired
import pgbench
import workspace
from harness import wait_for
from measure import INTERVALS, QUICK, SLICE_SECONDS, SLICES, cpu_seconds, interval
from peers import HandWritten, Notifying, Paysync, PaysyncWithReader, Peer, PgQ, PgQWithConsumer, Pgoutput, decoderbufs, wal2json
from server_use import Use

ALL = (HandWritten, Notifying, PgQ, PgQWithConsumer, Pgoutput, wal2json, decoderbufs, Paysync, PaysyncWithReader)
# The fewest that show where we stand: one that a team would write, the server's own, and ours.
FEW = (HandWritten, Pgoutput, Paysync, PaysyncWithReader)
# Workload, clients, synchronous_commit, peers.
RUNS = ((pgbench.W1, 8, "off", ALL), (pgbench.W1, 1, "off", FEW), (pgbench.W1, 64, "off", FEW), (pgbench.W1, 8, "on", FEW), (pgbench.W2, 8, "off", FEW))
FEW_RUNS = ((pgbench.W1, 8, "off", FEW),)


class Side:
    """A database in which one peer captures."""

    def __init__(self, servers: dict, peer: Peer, workload: pgbench.Workload, folder: Path, name: str):
        self.server, self.peer, self.workload, self.folder = servers[peer.wal_level], peer, workload, folder
        self.database = self.server.create_database(name)
        for statement in workload.create:
            self.database.execute(statement)
        peer.prepare(self.database, workload.tables)

    def run_slice(self, clients: int) -> dict:
        """One slice from empty tables, behind a checkpoint; what it used until its consumer had everything, the server and the
        programs beside it."""
        for statement in self.workload.begin:
            self.database.execute(statement)
        self.peer.reset(self.database)
        with self.peer.consumer(self.database, self.folder) as consumer, self.database.connect() as watch:
            watch.execute("checkpoint")
            beside = [program.process.pid for program in consumer.programs]
            use, began = Use(self.server, watch), sum(map(cpu_seconds, beside))
            count, rate = pgbench.run(self.database, self.folder, self.workload, clients, SLICE_SECONDS)
            written = use.log_bytes()
            wait_for(lambda: consumer.caught_up(watch), 600, "the consumer has the slice")
            found = {"rate": rate, "cpu": 1e6 * use.seconds() / count, "log": written / count}
            return {**found, "beside": 1e6 * (sum(map(cpu_seconds, beside)) - began) / count} if beside else found


def compare(servers: dict, folder: Path, workload: pgbench.Workload, clients: int, peers: list) -> tuple:
    """(Slices of the baseline, the ratios of each peer.)"""
    stem = f"{workload.name.lower()}_{clients}_"
    nothing = Side(servers, Peer(), workload, folder, stem + "none")
    sides = {peer.name: Side(servers, peer, workload, folder, stem + str(number)) for number, peer in enumerate(peers)}
    bases, ratios = paired.compare(lambda: nothing.run_slice(clients), {name: partial(side.run_slice, clients) for name, side in sides.items()})
    for side in (nothing, *sides.values()):
        side.server.drop_database(side.database.name)
    return bases, ratios


def table(bases: list, ratios: dict, peers: list) -> str:
    """Of one workload: the baseline as it is, peers as ratios to it."""
    lines = [f"| {Peer.name} | {interval([one['rate'] for one in bases], 0)}/s | {interval([one['cpu'] for one in bases], 0)} µs | "
             f"{interval([one['log'] for one in bases], 0)} B | |\n"]
    for peer in peers:
        if peer.missing():
            lines.append(f"| {peer.name} | {peer.missing()} | | | |\n")
            continue
        found = ratios[peer.name]
        beside = f"{interval([one['beside'] for one in found], 0)} µs" if "beside" in found[0] else ""
        lines.append(f"| {peer.name} | {' | '.join(interval([one[what] for one in found]) for what in ('rate', 'cpu', 'log'))} | {beside} |\n")
    return ("| system | throughput | server's processor time | log | its programs' processor time |\n| --- | --- | --- | --- | --- |\n" + "".join(lines))


def measure() -> str:
    """The tables."""
    folder = workspace.base() / "writers"
    chosen = FEW_RUNS if QUICK else RUNS
    parts = []
    everybody = [kind() for _, _, _, kinds in chosen for kind in kinds]
    with contextlib.ExitStack() as stack:
        servers = conditions.servers(folder, everybody, stack)
        for workload, clients, durable, kinds in chosen:
            for server in servers.values():
                server.configure({"synchronous_commit": durable})
                server.reload()
            peers = [kind() for kind in kinds]
            here = [peer for peer in peers if not peer.missing()]
            bases, ratios = compare(servers, folder, workload, clients, here)
            parts.append(f"### {workload.name}, {clients} {'client' if clients == 1 else 'clients'}, synchronous_commit {durable}\n\n"
                         f"{table(bases, ratios, peers)}\n")
        about = conditions.of_server(servers["replica"])
    return (f"## Writers\n\npgbench, prepared statements; {SLICES} slices of {max(1, round(SLICE_SECONDS))} s of each system in random order, each between "
            f"two of no capture; ratios to the mean of these two, {INTERVALS}. No capture, and the last column: as it is, a script. Processor time is "
            "that of all the server's processes until the consumer has the slice; relay, ticker and consumer, which run on the same processors as everything "
            "else, stand in the last column. Slots: on a server of their own with wal_level logical, which they need.\n\n"
            f"{''.join(parts)}{conditions.of_peers(everybody)}{about}")
