"""How fast a backlog is taken, beside peers: of single-row transactions, and of bulk statements. Everybody's backlog is written by the
same procedure, with whatever of the system numbers it running, for a consumer that is away; then consumers come and take it in turn."""

import random
from dataclasses import dataclass
from pathlib import Path

import conditions
import workspace
from measure import INTERVALS, QUICK, SLICES, interval, scaled
from peers import HandWritten, PaysyncWithReader, Peer, PgQWithConsumer, Pgoutput, decoderbufs, wal2json
from workloads import PAYMENTS, insert_payments

KINDS = (PaysyncWithReader, HandWritten, PgQWithConsumer, Pgoutput, wal2json, decoderbufs)
FEW = KINDS[:4]
CHANGES = 1_000_000
FILL = f"""create procedure fill(changes bigint, size bigint) language plpgsql as $$ begin
    for before in 0 .. changes - 1 by size loop
        {insert_payments("before + 1", "least(before + size, changes)")};
        commit;
    end loop; end $$"""


@dataclass
class Backlog:
    """So many changes, in transactions of one statement of `each` rows."""

    what: str
    changes: int
    each: int


class Side:
    """A database with a backlog, and consumers for whom it is kept."""

    def __init__(self, server, peer: Peer, folder: Path, name: str, backlog: Backlog):
        self.peer, self.folder, self.backlog = peer, folder, backlog
        self.database = server.create_database(name)
        self.consumers = [f"consumer{number}" for number in range(SLICES + 1)]
        for statement in (PAYMENTS, FILL):
            self.database.execute(statement)
        peer.prepare(self.database)
        for consumer in self.consumers:
            peer.claim(self.database, consumer)
        with peer.serving(self.database, folder):
            with self.database.connect() as session:
                session.execute("set synchronous_commit = off")
                session.execute("call fill(%s, %s)", (backlog.changes, backlog.each))
            peer.settle(self.database)

    def drain(self) -> float:
        """The next consumer takes everything; changes a second."""
        with self.peer.serving(self.database, self.folder):
            return self.backlog.changes / self.peer.drain(self.database, self.folder, self.consumers.pop(), self.backlog.changes)


def of_backlog(server, folder: Path, backlog: Backlog, peers: list) -> str:
    """The table of one backlog."""
    here = [peer for peer in peers if not peer.missing()]
    stem = f"drain{backlog.each}_"
    sides = {peer.name: Side(server, peer, folder, stem + str(number), backlog) for number, peer in enumerate(here)}
    server.execute("checkpoint")
    chance = random.Random(1)
    rates = {name: [] for name in sides}
    for turn in range(-1, SLICES):
        for name in chance.sample(sorted(sides), len(sides)):
            found = sides[name].drain()
            if turn >= 0:  # the first fills caches
                rates[name].append(found)
    for side in sides.values():
        server.drop_database(side.database.name)
    others = [name for name in rates if name != PaysyncWithReader.name]
    fastest = max(others, key=lambda name: sorted(rates[name])[len(rates[name]) // 2])
    lines = []
    for peer in peers:
        if peer.missing():
            lines.append(f"| {peer.name} | {peer.missing()} | |\n")
            continue
        ratios = [one / best for one, best in zip(rates[peer.name], rates[fastest])]
        lines.append(f"| {peer.name} | {interval(rates[peer.name], 0)} | {interval(ratios)} |\n")
    return (f"### {backlog.changes:,} changes, {backlog.what}\n\n| system | changes a second | ratio to the fastest peer, turn by turn |\n"
            f"| --- | --- | --- |\n{''.join(lines)}\n")


def measure() -> str:
    """The tables."""
    changes = scaled(CHANGES, 10_000)
    backlogs = [Backlog("a transaction each", changes, 1), Backlog("10,000 a statement and transaction", changes, 10_000),
                Backlog("200,000 a statement and transaction", changes, 200_000)]
    folder = workspace.base() / "drain"
    peers = [kind() for kind in (FEW if QUICK else KINDS)]
    with conditions.server(folder / "pg", wal_level="logical") as server:
        parts = [of_backlog(server, folder, backlog, peers) for backlog in (backlogs[:2] if QUICK else backlogs)]
        about = conditions.of_server(server)
    return (f"## Draining a backlog\n\nInserts of a 10-column payments row. {SLICES} turns, in each everybody once in random order; a consumer's start is part of its "
            "time; relay and ticker run already, everything has its tick. The outbox is read by key in pages of 10,000 and nothing is deleted; PgQ by its batches; "
            "slots by pg_recvlogical into /dev/null; paysync by a C++ subscriber that decodes every value and acknowledges every transaction; "
            f"{INTERVALS}.\n\n{''.join(parts)}{conditions.of_peers(peers)}{about}")
