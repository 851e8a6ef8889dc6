"""`paysync tail` at its edges: what it acknowledges, when it ends, and with which status."""

import os
import signal
import subprocess

import pytest

import workspace
from harness.waiting import wait_for


@pytest.fixture
def mirror(database):
    """A registered table and a durable subscriber."""
    database.execute("create table payments (id bigint primary key, amount numeric(12,2))")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    return database


def insert(database, first, last):
    for number in range(first, last + 1):
        database.execute(f"insert into payments values ({number}, 1)")


def ids(transactions):
    return [int(change["key"]["id"]) for transaction in transactions for change in transaction["changes"]]


def test_count_ends_and_acknowledges(mirror, relay, start_tail):
    """Rule: --count ends after N lines, all of them acknowledged; the next run goes on behind them."""
    insert(mirror, 1, 5)
    first = start_tail(relay.endpoint, subscriber="mirror", arguments=["--count", "2"])
    assert first.wait_for_exit() == 0
    assert ids(first.transactions()) == [1, 2]
    second = start_tail(relay.endpoint, subscriber="mirror", arguments=["--until-caught-up"])
    assert second.wait_for_exit() == 0
    assert ids(second.transactions()) == [3, 4, 5]
    third = start_tail(relay.endpoint, subscriber="mirror", arguments=["--until-caught-up"])
    assert third.wait_for_exit() == 0
    assert third.transactions() == []


def test_no_ack_leaves_the_position(mirror, relay, start_tail):
    """Rule: --no-ack acknowledges nothing, however much was read."""
    insert(mirror, 1, 3)
    for _ in range(2):
        tail = start_tail(relay.endpoint, subscriber="mirror", arguments=["--no-ack", "--until-caught-up"])
        assert tail.wait_for_exit() == 0
        assert ids(tail.transactions()) == [1, 2, 3]


def test_a_signal_drains(mirror, relay, start_tail):
    """Rule: SIGTERM and SIGINT end it with status 0, and what was printed is acknowledged."""
    insert(mirror, 1, 3)
    tail = start_tail(relay.endpoint, subscriber="mirror")
    tail.wait_for(3)
    assert tail.stop() == 0
    insert(mirror, 4, 4)
    tail = start_tail(relay.endpoint, subscriber="mirror")
    assert ids(tail.wait_for(1)) == [4]
    tail.process.send_signal(signal.SIGINT)
    assert tail.wait_for_exit() == 0


def test_a_reader_that_goes_away(mirror, relay, start_tail):
    """Rule: a line that could not be written is not acknowledged, and the status is 1."""
    insert(mirror, 1, 2)
    read_end, write_end = os.pipe()
    os.close(read_end)
    run = subprocess.run([workspace.BUILD / "bin" / "paysync", "tail", "--relay", relay.endpoint, "--subscriber", "mirror"],
                         stdout=write_end, stderr=subprocess.PIPE, timeout=30, text=True)
    os.close(write_end)
    assert run.returncode == 1
    assert "cannot write" in run.stderr
    again = start_tail(relay.endpoint, subscriber="mirror")
    assert ids(again.wait_for(2)) == [1, 2]


def test_an_unknown_subscriber_is_refused(mirror, relay, start_tail):
    """Rule: status 3, with the relay's message."""
    run = subprocess.run([workspace.BUILD / "bin" / "paysync", "tail", "--relay", relay.endpoint, "--subscriber", "nobody"],
                         capture_output=True, timeout=30, text=True)
    print(run.stderr)
    assert run.returncode == 3
    assert "nobody" in run.stderr


def test_a_second_reader_is_refused(mirror, relay, start_tail):
    """Rule: one session a subscriber; another process gets status 3 while the first one lives."""
    insert(mirror, 1, 1)
    first = start_tail(relay.endpoint, subscriber="mirror")
    first.wait_for(1)
    second = start_tail(relay.endpoint, subscriber="mirror")
    assert second.wait_for_exit() == 3
    insert(mirror, 2, 2)
    assert ids(first.wait_for(2)) == [1, 2]


def test_it_survives_its_relay(mirror, relay, start_tail):
    """Rule: a relay that is killed and started again costs nothing but time, and nothing is missing."""
    insert(mirror, 1, 2)
    tail = start_tail(relay.endpoint, subscriber="mirror")
    tail.wait_for(2)
    relay.kill()
    insert(mirror, 3, 4)
    relay.start()
    wait_for(lambda: set(ids(tail.transactions())) == {1, 2, 3, 4}, 20, "all four are there")


def test_an_ephemeral_reader_sees_what_comes(mirror, relay, start_tail):
    """Rule: without a name it begins at the head; it goes on where it was after its relay was restarted."""
    insert(mirror, 1, 2)
    tail = start_tail(relay.endpoint)
    def next_shown():
        insert(mirror, next_shown.id, next_shown.id)
        next_shown.id += 1
        return tail.transactions()
    next_shown.id = 3
    wait_for(next_shown, 20, "the first one")
    relay.kill()
    insert(mirror, 1000, 1001)
    relay.start()
    wait_for(lambda: {1000, 1001} <= set(ids(tail.transactions())), 20, "what was committed meanwhile")
    shown = ids(tail.transactions())
    assert 1 not in shown
    assert len(shown) == len(set(shown))
