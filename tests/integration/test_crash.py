"""Crashes: whatever is killed, nothing seen is taken back, nothing committed is missing, and all goes on."""

import os
import signal

import pytest

from harness import wait_for
from harness.applier import Applier, prepare_target, target_is_source
from harness.faults import Recorder, Writers, assert_equal, kill, kill_server, luck, prepare_source, rounds


@pytest.fixture
def source(cluster):
    """A database on a server of the test's own, with the tables of Writers and the subscriber "mirror". What only the WAL writer
    would flush stays unflushed for 10 s, so that a crash loses it."""
    cluster.configure({"wal_writer_delay": "10s", "max_connections": "100"})
    cluster.restart()
    database = cluster.create_database("source")
    database.execute("create extension paysync")
    prepare_source(database)
    database.execute("select paysync.create_subscriber('mirror')")
    return database


def wait_until_all_is_there(source, recorder) -> None:
    """A last row, written after all others, has come."""
    source.execute("insert into entries values (0, 0, 0)")
    recorder.wait_for(lambda replica: replica.has("entries", 0), 60, "the last transaction comes")


@pytest.mark.deadline(900)
def test_a_crash_takes_back_nothing_that_was_seen(source, start_relay):
    """Rule: what a subscriber has seen is still committed after a crash, although its writers commit asynchronously."""
    chance = luck()
    source.execute("select paysync.create_subscriber('witness')")
    relay = start_relay(source)
    lost = set()
    with Recorder(relay.endpoint, "mirror") as recorder, Writers(source, settings="set synchronous_commit = off") as writers:
        for _ in range(rounds(50)):
            recorder.wait_for_more(chance.randrange(1, 150))
            answered = set(writers.reported)
            kill_server(source.server, chance)
            source.server.start()
            present = {row[0] for row in source.execute("select id from entries")}
            seen = set(recorder.replica.rows["entries"])
            assert not seen - present, f"seen, and gone after the crash: {sorted(seen - present)}"
            lost |= answered - present
        recorder.wait_for_more(1)
        writers.stop()
        wait_until_all_is_there(source, recorder)
    assert_equal(recorder.replica, source)
    print(f"{len(lost)} rows were committed, not seen, and lost")
    # Otherwise this test could not fail.
    assert lost, "no crash lost an asynchronous commit: the rule was not tried"
    assert not lost & set(recorder.replica.rows["entries"])
    with Recorder(relay.endpoint, "witness") as witness:
        witness.wait_for(lambda replica: replica.has("entries", 0), 60, "the witness has read everything")
    assert witness.replica.history == recorder.replica.history, "a later reader sees another history"


@pytest.mark.deadline(600)
def test_whatever_is_killed_all_goes_on(source, database, start_relay, folder):
    """Rule: a backend, the server, the relay and the subscriber may be killed at any moment; each transaction is applied once."""
    chance = luck()
    prepare_target(database)
    relay = start_relay(source)
    with Applier(folder, relay.endpoint, database) as applier, Writers(source, least_pause=0.005) as writers:

        def kill_backend() -> None:
            log = source.server.log()
            kill(wait_for(lambda: list(writers.pids.values()), 30, "a writer is connected")[0])
            # One backend that is killed makes the server throw all others out and recover.
            wait_for(lambda: "was terminated by signal 9" in source.server.log()[len(log):], 30, "the server sees it")

        def kill_postmaster() -> None:
            source.server.kill9_postmaster()
            source.server.start()

        blows = [kill_backend, kill_postmaster, relay.restart, applier.strike]
        for number in range(rounds(8)):
            if number % len(blows) == 0:
                chance.shuffle(blows)
            applier.wait_for_more(chance.randrange(1, 60))
            print(f"round {number}: {blows[number % len(blows)].__qualname__}")
            blows[number % len(blows)]()
        applier.wait_for_more(1)
        writers.stop()
        wait_for(lambda: target_is_source(database, source), 60, "the target has all of the source")


def test_a_killed_writer_leaves_nothing(source, start_relay):
    """Rule: a transaction whose backend was killed between its writes and its commit is never delivered, not even its early parts."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder:
        writer = source.connect(autocommit=False)
        # Large enough that parts of it are in the outbox before the end.
        writer.execute("insert into entries select id, 9, id from generate_series(1000, 6000) as id")
        kill(writer.info.backend_pid)
        wait_for(lambda: "all server processes terminated; reinitializing" in source.server.log(), 30, "the server recovers")
        wait_for(lambda: takes_connections(source), 30, "the server takes connections")
        wait_until_all_is_there(source, recorder)
        assert set(recorder.replica.rows["entries"]) == {0}


def test_a_prepared_transaction_survives_a_crash(source, start_relay):
    """Rule: what was prepared before a crash is delivered when it is committed after it, and not before."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder:
        with source.connect(autocommit=False) as writer:
            writer.execute("insert into entries values (1, 1, 1)")
            writer.execute("prepare transaction 'p1'")
        source.server.crash()
        source.server.start()
        source.execute("insert into entries values (2, 1, 1)")
        recorder.wait_for(lambda replica: replica.has("entries", 2), 30, "the transaction after the crash comes")
        assert not recorder.replica.has("entries", 1)
        source.execute("commit prepared 'p1'")
        recorder.wait_for(lambda replica: replica.has("entries", 1), 30, "the prepared transaction comes")


def test_a_relay_that_is_gone_frees_the_lease(source, start_relay, folder):
    """Rule: a second relay waits while one leads, and takes over within seconds when that is killed or stopped dead."""
    first = start_relay(source)
    from harness import Relay
    second = Relay(source, folder, name="second")
    second.launch()
    try:
        wait_for(lambda: "another_relay_leads" in second.log(), 20, "the second relay finds the lease taken")
        assert second.out() == ""
        first.kill()
        second.wait_for_out(lambda text: text.startswith("ready"), 20, "it takes over")
        with Recorder(second.endpoint, "mirror") as recorder:
            wait_until_all_is_there(source, recorder)
    finally:
        second.stop()


def takes_connections(source) -> bool:
    """Whether a database answers."""
    try:
        return source.value("select true")
    except Exception:
        return False


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_lost_leader_connection_is_made_again(source, start_relay, blow):
    """Rule: the relay outlives the end of its own backends, and goes on by itself."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder:
        for pid in source.server.backends("source", "paysync-relay leader"):
            os.kill(pid, blow)
        wait_for(lambda: "leader_lost" in relay.log(), 20, "the relay sees it")
        wait_for(lambda: takes_connections(source), 30, "the server takes connections")
        wait_until_all_is_there(source, recorder)
        assert relay.is_running()
