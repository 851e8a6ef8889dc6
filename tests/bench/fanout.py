"""Many subscribers at the head: what a transaction costs the relay for 1, 16 and 64 of them, how soon it is there, and what one that
stands still and one that never reads, over a backlog, do to the others."""

import contextlib
import os
import signal

import workspace
from harness import Postgres, Relay, wait_for
from measure import MIB, SLICE_SECONDS, SLICES, Peaks, Readers, cpu_seconds, interval, percentile, private_bytes, scaled
from workloads import RATE, Writer, delays, prepare, write_backlog

COUNTS = [1, 16, 64]
# Latencies of more subscribers than this would say how many processors the machine has.
LATENCY_UP_TO = 16
CHANGES_BEHIND = 10_000_000


def slice_of(writer: Writer, relay: Relay, readers: Readers) -> dict:
    """One slice: processor time of the relay a transaction (microseconds), p50 and p99 (milliseconds)."""
    before = cpu_seconds(relay.process.pid)
    committed = writer.write(SLICE_SECONDS)
    last = max(committed)
    wait_for(lambda: len(readers.seen().get(last, ())) == readers.count, 120, "all have the slice")
    spent = cpu_seconds(relay.process.pid) - before
    times = delays(committed, readers.seen())
    return {"cpu": 1e6 * spent / len(committed), "p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}


def of_counts(server: Postgres, folder) -> str:
    """The table by number of subscribers; their slices alternate."""
    database = server.create_database("counts")
    prepare(database, [f"r{count}_{number}" for count in COUNTS for number in range(count)])
    results = {count: [] for count in COUNTS}
    with Relay(database, folder, name="relay_counts") as relay:
        writer = Writer(database)
        for turn in range(-1, SLICES):
            for count in COUNTS:
                with Readers(folder, relay.endpoint, f"r{count}_", count) as readers:
                    found = slice_of(writer, relay, readers)
                    if turn >= 0:  # the first fills caches
                        results[count].append(found)
    lines = []
    for count, slices in results.items():
        latency = [interval([one[name] for one in slices]) if count <= LATENCY_UP_TO else "" for name in ("p50", "p99")]
        lines.append(f"| {count} | {interval([one['cpu'] for one in slices], 0)} | {latency[0]} | {latency[1]} |\n")
    return "| subscribers | relay, µs of processor a transaction | p50, ms | p99, ms |\n| --- | --- | --- | --- |\n" + "".join(lines)


def over_backlog(server: Postgres, folder) -> str:
    """The table of 16 subscribers with and without two bad ones that have a backlog before them."""
    database = server.create_database("behind")
    prepare(database, ["stopped0", "idle0"])
    changes = scaled(CHANGES_BEHIND, 10_000)
    with Relay(database, folder, name="relay_behind") as relay, contextlib.ExitStack() as stack:
        idle_relay = private_bytes(relay.process.pid)
        write_backlog(database, changes)
        for number in range(LATENCY_UP_TO):  # which begin behind it
            database.execute("select paysync.create_subscriber(%s)", (f"good{number}",))
        writer = Writer(database)
        readers = stack.enter_context(Readers(folder, relay.endpoint, "good", LATENCY_UP_TO))
        peaks = stack.enter_context(Peaks({"relay": relay.process.pid}))
        results = {"alone": [], "with both": []}
        slice_of(writer, relay, readers)
        for _ in range(SLICES):
            results["alone"].append(slice_of(writer, relay, readers))
            # Made anew each time: a session that is silent for 10 s is ended. It stands still over bytes that it has asked for.
            with Readers(folder, relay.endpoint, "stopped", 1, idle=True) as stopped, Readers(folder, relay.endpoint, "idle", 1, idle=True):
                os.kill(stopped.process.pid, signal.SIGSTOP)
                results["with both"].append(slice_of(writer, relay, readers))
        ratios = [both["p99"] / alone["p99"] for alone, both in zip(results["alone"], results["with both"])]
        highest = peaks.highest["relay"]
    rows = "".join(f"| {name} | {interval([one['cpu'] for one in slices], 0)} | {interval([one['p50'] for one in slices])} | "
                   f"{interval([one['p99'] for one in slices])} |\n" for name, slices in results.items())
    return (f"| {LATENCY_UP_TO} subscribers | relay, µs of processor a transaction | p50, ms | p99, ms |\n| --- | --- | --- | --- |\n{rows}\n"
            f"One subscriber is stopped (SIGSTOP), one never reads; {changes:,} changes lie before each. p99 of the others against the slice "
            f"before: {interval(ratios)} times. Private memory of the relay: at most {highest / MIB:.0f} MiB, {idle_relay / MIB:.0f} MiB "
            "before anything was read (its window is 64 MiB).\n")


def measure() -> str:
    """Both tables."""
    folder = workspace.base() / "fanout"
    with Postgres(folder, settings={"fsync": "on", "max_wal_size": "4GB"}) as server:
        counts, behind = of_counts(server, folder), over_backlog(server, folder)
    return (f"## Fan-out\n\n{RATE} transactions/s of one row; {SLICES} slices of {SLICE_SECONDS:g} s each, alternating; fsync and "
            f"synchronous_commit on; medians of the slices and their 95 % intervals.\n\n{counts}\n{behind}")
