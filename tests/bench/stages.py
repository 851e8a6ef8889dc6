"""Where the time goes from COMMIT to the callback: what the processes on the way wait for, when they wake each other, and how many calls
that takes. It is seen from outside, by a library that is loaded before libc (preload/calls.cpp)."""

import os
import signal
from pathlib import Path

import conditions
import workspace
from calls import (CONDITION, EPOLL_WAIT, FDATASYNC, KILL, NAMES, POLL, SEND, WRITE, Calls, watched)
from harness import Relay, wait_for
from harness.program import Program
from measure import INTERVALS, SLICE_SECONDS, SLICES, Readers, cpu_seconds, interval, percentile
from peers.base import PROGRAMS
from workloads import PAYMENTS

RATE = 200
SEED = int(os.environ.get("SEED", "1"))
EVENT_BYTES = 8  # what is written to an event descriptor, to wake another thread
# What happens, in order, and whose doing it is. Each stage ends with the moment it is named for.
STAGES = (("statement sent", "writer"),
          ("its backend begins to flush COMMIT", "server"),
          ("COMMIT is flushed", "disk"),
          ("the leader's latch is set", "server"),
          ("the leader's backend is awake", "kernel"),
          ("snapshot, closing scan, fence and tick row are made, the log's pages are handed over", "server"),
          ("the tick is flushed", "disk"),
          ("head and page go to the relay", "server"),
          ("the relay is awake", "kernel"),
          ("page read, inspected and packed, message queued", "relay"),
          ("its socket's thread is awake", "kernel"),
          ("written to the subscriber's connection", "libzmq"),
          ("the subscriber's socket's thread is awake", "kernel"),
          ("read, queued", "libzmq"),
          ("its connection's thread is awake", "kernel"),
          ("decoded, the caller is awake", "client, kernel"),
          ("the caller has the transaction", "client"))


class Watched:
    """A relay, a subscriber and a server whose calls are noted."""

    def __init__(self, server, folder: Path, notes: Path):
        self.server, self.folder, self.notes = server, folder, notes
        self.database = server.create_database("stages")
        self.database.execute(PAYMENTS)
        self.database.execute("create extension paysync")
        self.database.execute("select paysync.register('payments'), paysync.create_subscriber('reader0')")

    def backend(self, condition: str) -> int:
        """The backend for which the condition holds."""
        asked = f"select pid from pg_stat_activity where datname = 'stages' and {condition}"
        return wait_for(lambda: self.database.execute(asked), 20, condition)[0][0]

    def run_slice(self, seed: int) -> dict:
        """One slice: for each stage its durations in microseconds, and counts."""
        self.database.execute("truncate payments")
        self.server.execute("checkpoint")
        relay = Relay(self.database, self.folder, name=f"relay{seed}")
        relay.command = watched(relay.command, self.notes)
        readers = Readers(self.folder, relay.endpoint, "reader", 1)
        readers.command = watched(readers.command, self.notes)
        pace = Program(self.folder, f"pace{seed}", [PROGRAMS / "pace", self.database.conninfo(), RATE, SLICE_SECONDS, 1, seed, 1])
        with relay, readers:
            leader = self.backend("application_name = 'paysync-relay leader'")
            used = cpu_seconds(relay.process.pid)
            pace.launch()
            writer = self.backend("starts_with(query, 'insert')")
            assert pace.wait_for_exit(SLICE_SECONDS + 60) == 0, pace.log()[-2000:]
            commits = [tuple(map(int, line.split())) for line in pace.out().splitlines()]
            wait_for(lambda: {id for id, _, _ in commits} <= readers.seen().keys(), 60, "the subscriber has the slice")
            used = cpu_seconds(relay.process.pid) - used
            seen = {id: round(1e9 * times[0]) for id, times in readers.seen().items()}
        began, ended = commits[0][1], max(seen.values())
        calls = {name: Calls(self.notes, pid, began, ended) for name, pid in
                 {"writer": writer, "leader": leader, "relay": relay.process.pid, "subscriber": readers.process.pid}.items()}
        way = Way(calls)
        found = [chain for chain in (way.of(sent, seen[id]) for id, sent, _ in lone(commits, seen)) if chain]
        return {"stages": [[(chain[i + 1] - chain[i]) / 1e3 for chain in found] for i in range(len(STAGES) - 1)],
                "whole": [(chain[-1] - chain[0]) / 1e3 for chain in found],
                "after": [(seen[id] - answered) / 1e3 for id, _, answered in commits],
                "found": len(found), "cpu": 1e6 * used / len(commits),
                "calls": {name: [len(of.by_kind[kind]) / len(commits) for kind in range(len(NAMES))] for name, of in calls.items()}}


def lone(commits: list, seen: dict) -> list:
    """The commits that nothing else was under way with: what woke whom is certain for these."""
    alone = []
    for before, this, after in zip(commits, commits[1:], commits[2:]):
        if seen[before[0]] < this[1] and seen[this[0]] < after[1]:
            alone.append(this)
    return alone


def wakes_thread(call) -> bool:
    """Whether it may be a write to an event descriptor, on which another thread waits."""
    return call.result == EVENT_BYTES


class Way:
    """The calls by which a transaction is followed from process to process."""

    def __init__(self, calls: dict):
        writer, leader, relay, subscriber = (calls[name] for name in ("writer", "leader", "relay", "subscriber"))
        self.writer_flush = writer.of(FDATASYNC)
        self.latch = writer.of(KILL, lambda call: call.about == signal.SIGURG)
        self.leader_wait = leader.of(EPOLL_WAIT)
        self.leader_flush = leader.of(FDATASYNC)
        self.leader_send = leader.of(SEND)
        self.relay_wait = relay.of(POLL, relay.on_main)
        self.relay_wake = relay.of(WRITE, lambda call: relay.on_main(call) and wakes_thread(call))
        self.relay_thread_wait = relay.of(EPOLL_WAIT)
        self.relay_send = relay.of(SEND, relay.beside_main)
        self.subscriber_thread_wait = subscriber.of(EPOLL_WAIT)
        self.subscriber_wake = subscriber.of(WRITE, wakes_thread)
        self.connection_wait = subscriber.of(POLL)
        self.caller_wait = subscriber.of(CONDITION)

    def of(self, sent: int, seen: int) -> list | None:
        """The moments of STAGES for one transaction, nanoseconds; None where they are not in order: something else happened too."""
        chain = [sent]

        def then(moment: int | None) -> int:
            chain.append(-1 if moment is None else moment)
            return chain[-1]

        flush = then(self.writer_flush.first_begun(sent))
        then(self.writer_flush.first_ended(flush))
        latch = then(self.latch.first_begun(sent))
        awake = then(self.leader_wait.first_ended(latch))
        flush = then(self.leader_flush.first_begun(awake))
        then(self.leader_flush.first_ended(flush))
        # Seen from behind: the last message that left for the subscriber is the one with the transaction.
        written = self.relay_send.last_begun(seen) or -1
        page = then(self.leader_send.last_begun(written))
        awake = then(self.relay_wait.first_ended(page))
        queued = then(self.relay_wake.first_begun(awake))
        then(self.relay_thread_wait.first_ended(queued))
        then(written)
        awake = then(self.subscriber_thread_wait.first_ended(written))
        queued = then(self.subscriber_wake.first_begun(awake))
        then(self.connection_wait.first_ended(queued))
        then(self.caller_wait.last_ended(seen))
        then(seen)
        return chain if all(one <= other for one, other in zip(chain, chain[1:])) else None


def of_stages(slices: list) -> str:
    """The table: a row a stage, and what the rows together are."""
    def row(name: str, doing: str, pick) -> str:
        cells = [interval([percentile(pick(one), fraction) for one in slices], 0) for fraction in (0.5, 0.99)]
        return f"| {name} | {doing} | {cells[0]} | {cells[1]} |\n"

    rows = [row(name, doing, lambda one, i=i: one["stages"][i]) for i, (name, doing) in enumerate(STAGES[1:])]
    return ("| until | time of | p50, µs | p99, µs |\n| --- | --- | --- | --- |\n" + "".join(rows)
            + row("from sending the statement to the callback", "", lambda one: one["whole"])
            + row("from COMMIT's answer to the callback, of all transactions", "", lambda one: one["after"]))


def of_calls(slices: list) -> str:
    """The table of calls a transaction."""
    names = list(slices[0]["calls"])
    rows = []
    for kind, name in enumerate(NAMES):
        cells = [interval([one["calls"][process][kind] for one in slices], 1) for process in names]
        rows.append(f"| {name} | {' | '.join(cells)} |\n")
    return f"| call | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}\n" + "".join(rows)


def measure() -> str:
    """Both tables."""
    folder = workspace.base() / "stages"
    notes = workspace.base() / "calls"
    notes.mkdir()
    notes.chmod(0o777)
    with conditions.server(folder, watched([], notes), synchronous_commit="on") as server:
        way = Watched(server, folder, notes)
        slices = [way.run_slice(SEED + turn) for turn in range(-1, SLICES)][1:]  # the first fills caches
        about = conditions.of_server(server)
    return (f"## From COMMIT to the callback, stage by stage\n\n{RATE} transactions/s of one row, one writer, one subscriber; {SLICES} slices of {SLICE_SECONDS:g} s, seed {SEED}; "
            f"{INTERVALS}. Counted are the {interval([one['found'] for one in slices], 0)} transactions of a slice that nothing else was under way with. A stage's p99 is its own, so "
            f"they add up to more than the whole's.\n\n{of_stages(slices)}\nCalls for each transaction; the relay took {interval([one['cpu'] for one in slices], 0)} µs of processor time "
            f"for each.\n\n{of_calls(slices)}\n{about}")
