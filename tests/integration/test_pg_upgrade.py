"""pg_upgrade carries the stream: the files of the outbox, the history of positions and the registrations go on in the new cluster."""

import subprocess

import pytest

import workspace
from harness import Postgres
from harness.postgres import Database

from paysync import Subscriber


def upgrade(old: Postgres, new: Postgres, folder) -> None:
    """Run pg_upgrade from one stopped cluster into another one, as the server's user."""
    workspace.give_to_server(folder)
    bindir = workspace.pg_config("--bindir")
    command = [workspace.server_program("pg_upgrade"), "--old-bindir", bindir, "--new-bindir", bindir, "--old-datadir", old.data,
               "--new-datadir", new.data, "--username", "postgres", "--socketdir", new.socket_folder]
    done = subprocess.run(workspace.as_server(command), check=False, capture_output=True, text=True, cwd=folder)
    logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in new.data.rglob("pg_upgrade_output.d/**/*.log"))
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr}{logs}"


def take(endpoint: str, count: int) -> list:
    """The next transactions of subscriber mirror, acknowledged."""
    taken = []
    with Subscriber(endpoint, "mirror") as stream:
        while len(taken) < count:
            transaction = stream.receive(timeout=30)
            assert transaction is not None
            stream.acknowledge(transaction.position)
            taken.append(transaction)
    return taken


@pytest.mark.deadline(180)
def test_stream_goes_on_after_pg_upgrade(folder, start_relay):
    """Rule: after pg_upgrade the stream has the same identity, positions go on without a hole, what waited in the outbox is delivered,
    and the next write is captured."""
    old = Postgres(folder / "old", tcp=True)
    new = Postgres(folder / "new", tcp=True)
    with old:
        database = old.create_database("pay")
        database.execute("create extension paysync")
        database.execute("create table payments (id int primary key, amount numeric, state text)")
        database.execute("create table parted (id int primary key, note text) partition by range (id)")
        database.execute("create table parted_1 partition of parted for values from (0) to (100)")
        for table in ("payments", "parted"):
            database.execute("select paysync.register(%s)", (table,))
        database.execute("select paysync.create_subscriber('mirror')")
        stream_id = database.value("select stream_id from paysync.stream")
        database.execute("insert into payments values (1, 1.50, 'taken before')")
        relay = start_relay(database)
        before = take(relay.endpoint, 1)
        relay.stop()
        database.execute("insert into payments values (2, 2.50, 'waits')")
        database.execute("insert into parted values (1, 'waits')")
        old.stop()
    upgrade(old, new, folder)
    with new:
        database = Database(new, "pay")
        database.execute("insert into payments values (3, 3.50, 'after')")
        database.execute("update parted set note = 'after' where id = 1")
        assert database.value("select stream_id from paysync.stream") == stream_id
        assert database.execute("select capturing, reason from paysync.tables") == [(True, None)] * 2
        relay = start_relay(database)
        after = take(relay.endpoint, 4)
        relay.stop()
    assert [transaction.number for transaction in before + after] == [1, 2, 3, 4, 5]
    assert [change.new for transaction in after for change in transaction.changes] == [
        {"id": 2, "amount": after[0].changes[0].new["amount"], "state": "waits"}, {"id": 1, "note": "waits"},
        {"id": 3, "amount": after[2].changes[0].new["amount"], "state": "after"}, {"id": 1, "note": "after"}]
