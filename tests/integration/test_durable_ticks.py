"""What is sent is durable: a tick whose COMMIT the server warned about is not, and what was read behind it stays in the relay."""

import itertools
import re

import pytest

import workspace
from harness import Postgres, Relay, Tail, wait_for


@pytest.fixture(name="server")
def fixture_server():
    """A server of the test's own, which may be told to wait for standbys."""
    with Postgres(workspace.base() / "synchronous") as server:
        yield server


def set_standbys(server, names: str) -> None:
    """Which standbys a COMMIT waits for from now on."""
    server.configure({"synchronous_standby_names": names})
    server.reload()
    wait_for(lambda: server.execute("show synchronous_standby_names")[0][0] == names, 20, "the setting holds")


def insert(source, number: int) -> None:
    """Commit a row without waiting for standbys."""
    with source.connect() as session:
        session.execute("set synchronous_commit = local")
        session.execute("insert into t values (%s)", (number,))


def write_until_the_leader_waits(source, numbers) -> int:
    """Commit rows until a tick waits for a standby; the leader's backend. The server heeds the setting a moment after it is shown."""
    asked = "select pid from pg_stat_activity where application_name = 'paysync-relay leader' and wait_event = 'SyncRep'"

    def look() -> list:
        insert(source, next(numbers))
        print(source.execute("select pid, application_name, state, wait_event, query from pg_stat_activity where pid <> pg_backend_pid()"))
        return source.execute(asked)

    return wait_for(look, 20, "a tick waits for a standby")[0][0]


def test_nothing_is_sent_of_a_tick_that_is_not_durable(server, folder):
    """Rule: nothing of a page is sent whose tick's COMMIT came with a warning, until a later tick is durable; then all of it is."""
    source = server.create_database("source")
    source.execute("create extension paysync")
    source.execute("create table t (id int primary key)")
    source.execute("select paysync.register('t'), paysync.create_subscriber('one')")
    numbers = itertools.count(1)
    with Relay(source, folder) as relay, Tail(relay.endpoint, folder, "one") as tail:
        for count in (1, 2):  # behind the first the subscriber is at the head, and pages come with their ticks
            insert(source, next(numbers))
            tail.wait_for(count)
        set_standbys(server, "nobody")
        leader = write_until_the_leader_waits(source, numbers)
        print("CANCEL", leader)
        source.execute("select pg_cancel_backend(%s)", (leader,))
        warned = wait_for(lambda: re.search(r"tick_not_durable head=(\d+) sent_up_to=(\d+)", relay.log()), 20, "the relay was warned")
        assert int(warned[1]) > int(warned[2])
        # It has turned by the time that the next tick waits, and would have sent what it has.
        write_until_the_leader_waits(source, numbers)
        assert len(tail.transactions()) <= int(warned[2])
        set_standbys(server, "")
        written = next(numbers) - 1
        assert [one["changes"][0]["new"]["id"] for one in tail.wait_for(written)] == list(range(1, written + 1))
