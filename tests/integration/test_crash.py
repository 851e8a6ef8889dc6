"""Crashes: whatever is killed, nothing seen is taken back, nothing committed is missing, and all goes on."""

import pytest

import workspace
from harness import Postgres, Relay, wait_for
from harness.applier import Applier, prepare_target, target_is_source
from harness.faults import Recorder, Writers, assert_equal, kill_backend, kill_server, luck, prepare_source, rounds


@pytest.fixture(scope="module")
def victim():
    """A server that may be killed. What only the WAL writer would flush stays unflushed for 10 s, so that a crash loses it."""
    with Postgres(workspace.base() / "victim", tcp=True, settings={"wal_writer_delay": "10s", "max_connections": "100"}) as server:
        yield server


@pytest.fixture
def source(victim, request):
    """A database on that server, with the tables of Writers and the subscriber "mirror"."""
    start = len(victim.log())
    request.node.logs = [("the victim", lambda: victim.log()[start:])]
    if not victim.is_running():
        victim.start()
    database = victim.create_database("source")
    database.execute("create extension paysync")
    prepare_source(database)
    database.execute("select paysync.create_subscriber('mirror')")
    yield database
    if victim.is_running():
        victim.drop_database("source")


def wait_until_all_is_there(source, recorder) -> None:
    """A last row, written after all others, has come."""
    source.execute("insert into entries values (0, 0, 0)")
    recorder.wait_for(lambda replica: replica.has("entries", 0), 60, "the last transaction comes")


@pytest.mark.deadline(900)
def test_a_crash_takes_back_nothing_that_was_seen(source, start_relay):
    """Rule: what a subscriber has seen is still committed after a crash, although its writers commit asynchronously."""
    chance = luck()
    source.execute("select paysync.create_subscriber('witness')")
    # For the relay's sessions too: a tick must be durable whatever the setting.
    source.execute("alter database source set synchronous_commit = off")
    relay = start_relay(source)
    lost = set()
    with Recorder(relay.endpoint, "mirror") as recorder, Writers(source) as writers:
        for _ in range(rounds(50)):
            recorder.wait_for_more(chance.randrange(1, 150))
            answered = set(writers.reported)
            kill_server(source.server, chance)
            source.server.start()
            # In this order: what has been seen by now must be there a moment later.
            seen = set(recorder.replica.rows["entries"])
            present = {row[0] for row in source.execute("select id from entries")}
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

        def kill_writer() -> None:
            kill_backend(source.server, wait_for(lambda: list(writers.pids.values()), 30, "a writer is connected")[0])

        def kill_postmaster() -> None:
            source.server.kill9_postmaster()
            source.server.start()

        blows = [kill_writer, kill_postmaster, relay.restart, applier.strike]
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
    """Rule: a transaction whose backend was killed before its commit is never delivered, not even its early parts."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder:
        writer = source.connect(autocommit=False)
        # Large enough that parts of it are in the outbox before the end.
        writer.execute("insert into entries select id, 9, id from generate_series(1000, 6000) as id")
        kill_backend(source.server, writer.info.backend_pid)
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


@pytest.mark.parametrize("crashes", [False, True], ids=["ended", "killed"])
def test_a_lost_leader_connection_is_made_again(source, start_relay, crashes):
    """Rule: the relay outlives the end of its own backends, and goes on by itself."""
    relay = start_relay(source)
    with Recorder(relay.endpoint, "mirror") as recorder:
        [leader] = source.server.backends("source", "paysync-relay leader")
        if crashes:
            kill_backend(source.server, leader)
        else:
            source.execute("select pg_terminate_backend(%s)", (leader,))
        wait_for(lambda: "leader_lost" in relay.log(), 20, "the relay sees it")
        wait_until_all_is_there(source, recorder)
        assert relay.is_running()


@pytest.mark.deadline(300)
def test_subscribers_do_not_notice_a_relay_that_is_killed(source, start_relay, start_tail):
    """Rule: when the relay is killed and comes back on its port, subscribers go on by themselves: nothing lost, nothing doubled."""
    chance = luck()
    source.execute("select paysync.create_subscriber('lines')")
    relay = start_relay(source)
    tail = start_tail(relay.endpoint, subscriber="lines")
    with Recorder(relay.endpoint, "mirror") as recorder, Writers(source) as writers:
        for _ in range(rounds(6)):
            goal = len(tail.transactions()) + chance.randrange(1, 100)
            tail.wait_for(goal, 60)
            recorder.wait_for_more(chance.randrange(1, 100))
            relay.restart()
        recorder.wait_for_more(1)
        writers.stop()
        wait_until_all_is_there(source, recorder)
    assert_equal(recorder.replica, source)
    expected = {position: xid for position, xid, _ in recorder.replica.history.values()}
    last = list(expected)[-1]
    tail.wait_for_out(lambda text: f'"{last}"' in text, 60, "the last line is there")
    lines = {}
    for line in tail.transactions():
        # What was not acknowledged when the relay died comes again: the same, under the same position.
        assert lines.setdefault(line["position"], line) == line
    assert [(position, int(line["xid"])) for position, line in lines.items()] == list(expected.items())
    assert tail.stop() == 0
    wait_for(lambda: source.value("select number from paysync.acknowledged() where name = 'lines'") == len(expected), 20,
             "all lines are acknowledged")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_relay_outlives_its_server(source, start_relay, start_tail, mode):
    """Rule: when the server is restarted under a running relay and its subscribers, all of them go on by themselves."""
    relay = start_relay(source)
    source.execute("select paysync.create_subscriber('lines')")
    tail = start_tail(relay.endpoint, subscriber="lines")
    with Recorder(relay.endpoint, "mirror") as recorder, Writers(source, least_pause=0.002) as writers:
        for _ in range(2):
            recorder.wait_for_more(20)
            source.server.restart(mode)
        recorder.wait_for_more(1)
        writers.stop()
        wait_until_all_is_there(source, recorder)
    assert_equal(recorder.replica, source)
    expected = [position for position, _, _ in recorder.replica.history.values()]
    tail.wait_for_out(lambda text: f'"{expected[-1]}"' in text, 30, "the last line is there")
    assert list(dict.fromkeys(line["position"] for line in tail.transactions())) == expected
    assert relay.is_running() and tail.is_running()


def test_what_was_acknowledged_is_written_again(source, start_relay):
    """Rule: acknowledgements that a crash of the server took back are written again, without another transaction that asks for it."""
    relay = start_relay(source)

    def acknowledged() -> bool:
        return source.value("select number = paysync.head_number() from paysync.acknowledged()")

    with Recorder(relay.endpoint, "mirror") as recorder:
        for number in range(1, 4):
            source.execute("insert into entries values (%s, 0, 0)", (number,))
            recorder.wait_for(lambda replica, number=number: replica.has("entries", number), 30, "it comes")
            wait_for(acknowledged, 30, "it is acknowledged")
            source.server.crash()
            source.server.start()
            wait_for(acknowledged, 30, "it is acknowledged again")


def test_a_killed_tail_goes_on_after_what_it_acknowledged(source, start_relay, start_tail):
    """Rule: a tail that is killed and started again prints everything; twice only what it had printed and not yet acknowledged."""
    relay = start_relay(source)
    with Writers(source, least_pause=0.002) as writers:
        runs = []
        for _ in range(5):
            stored = source.value("select number from paysync.acknowledged()")
            tail = start_tail(relay.endpoint, subscriber="mirror")

            def printed(tail=tail) -> list:
                return [int(line["position"].split(":")[1]) for line in tail.transactions()]

            # Not what the one before had acknowledged, which may be written only now.
            wait_for(lambda: printed() and source.value("select number from paysync.acknowledged()") >= printed()[0], 20, "it has acknowledged")
            tail.kill()
            runs.append(printed())
            assert runs[-1][0] > stored and runs[-1] == list(range(runs[-1][0], runs[-1][-1] + 1))
        writers.stop()
    for before, after in zip(runs, runs[1:]):
        assert before[0] <= after[0] <= before[-1] + 1, "something is missing between two runs"
