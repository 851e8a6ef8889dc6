"""Reading at the head with a large backlog in the outbox and a transaction open since before it, against an empty outbox."""

import contextlib

import workspace
from fanout import CHANGES_BEHIND, slice_of
from harness import Postgres, Relay
from measure import SLICE_SECONDS, SLICES, Readers, interval, scaled
from workloads import RATE, Writer, prepare, write_backlog


def measure() -> str:
    """The table; the slices of both databases alternate."""
    changes = scaled(CHANGES_BEHIND, 10_000)
    folder = workspace.base() / "backlog"
    results = {"empty outbox": [], f"{changes:,} changes for one who is away": []}
    with Postgres(folder, settings={"fsync": "on", "max_wal_size": "4GB"}) as server, contextlib.ExitStack() as stack:
        sides = {}
        for number, name in enumerate(results):
            database = server.create_database(f"side{number}")
            prepare(database, ["reader0", *(["away"] if number else [])])
            relay = stack.enter_context(Relay(database, folder, name=f"relay{number}"))
            if number:
                old = stack.enter_context(database.connect(autocommit=False))
                old.execute("insert into payments values (0, 1, 'old', null)")
                write_backlog(database, changes)
            readers = Readers(folder, relay.endpoint, "reader", 1)
            # One folder, two programs of one name.
            readers.out_path, readers.log_path = folder / f"readers{number}.out", folder / f"readers{number}.log"
            sides[name] = (Writer(database), relay, stack.enter_context(readers))
        for turn in range(-1, SLICES):
            for name, side in sides.items():
                found = slice_of(*side)
                if turn >= 0:  # the first fills caches
                    results[name].append(found)
    empty, full = results.values()
    ratios = {what: interval([with_backlog[what] / without[what] for without, with_backlog in zip(empty, full)]) for what in ("cpu", "p50", "p99")}
    rows = "".join(f"| {name} | {interval([one['cpu'] for one in slices], 0)} | {interval([one['p50'] for one in slices])} | "
                   f"{interval([one['p99'] for one in slices])} |\n" for name, slices in results.items())
    return (f"## At the head, with a backlog and an old open transaction\n\n{RATE} transactions/s, {SLICES} slices of {SLICE_SECONDS:g} s each, "
            f"alternating; one subscriber.\n\n| outbox | relay, µs of processor a transaction | p50, ms | p99, ms |\n| --- | --- | --- | --- |\n{rows}"
            f"| ratio, slice by slice | {ratios['cpu']} | {ratios['p50']} | {ratios['p99']} |\n")
