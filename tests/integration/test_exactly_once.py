"""Exactly once with run() of the Python client: its process may die at any moment, the target has every source transaction once."""

import pytest

from harness import wait_for
from harness.applier import Applier, assert_applied_in_order, prepare_target, target_is_source
from harness.faults import Writers, luck, prepare_source, rounds


@pytest.fixture
def target(server):
    """A database without the extension."""
    made = server.create_database("exactly_once_target")
    prepare_target(made)
    yield made
    server.drop_database(made.name)


@pytest.mark.deadline(900)
def test_each_transaction_is_applied_once_through_a_hundred_kills(database, target, start_relay, folder):
    """Rule: data and position commit together, so a process killed at any moment goes on where its target stands."""
    chance = luck()
    prepare_source(database)
    database.execute("select paysync.create_subscriber('mirror')")
    relay = start_relay(database)
    with Applier(folder, relay.endpoint, target) as applier, Writers(database, count=2, least_pause=0.005) as writers:
        for _ in range(rounds(100)):
            # Sometimes before it could say hello.
            if chance.random() > 0.2:
                applier.wait_for_more(chance.randrange(1, 10))
            applier.strike()
        writers.stop()
        wait_for(lambda: target_is_source(target, database), 60,
                 lambda: f"the target has all of the source: {applier.applied()} transactions; {applier.log()[-2000:]}")
    assert_applied_in_order(target)


def test_a_second_process_cannot_apply_too(database, target, start_relay, folder):
    """Rule: while one process follows for a subscriber, another one under the same name is told so and applies nothing."""
    prepare_source(database)
    database.execute("select paysync.create_subscriber('mirror')")
    relay = start_relay(database)
    with Applier(folder, relay.endpoint, target) as first:
        database.execute("insert into entries values (1, 1, 1)")
        first.wait_for_more(1)
        second = Applier(folder, relay.endpoint, target)
        second.log_path = folder / "second.log"
        second.out_path = folder / "second.out"
        second.launch()
        assert second.wait_for_exit(20) == 1
        assert "BUSY (303)" in second.log()
        database.execute("insert into entries values (2, 1, 1)")
        wait_for(lambda: target_is_source(target, database), 20, "the first goes on")
    assert_applied_in_order(target)


def test_an_error_of_the_application_applies_nothing(database, target, start_relay, folder):
    """Rule: where applying fails nothing of the transaction stays, and the next run begins with it."""
    prepare_source(database)
    database.execute("select paysync.create_subscriber('mirror')")
    relay = start_relay(database)
    target.execute("alter table entries add check (amount < 100)")
    applier = Applier(folder, relay.endpoint, target)
    with database.connect() as session, applier:
        session.execute("insert into entries values (1, 1, 1)")
        wait_for(lambda: target.execute("select id from entries") == [(1,)], 20, "the first is applied")
        session.execute("insert into entries values (2, 1, 2), (3, 1, 100)")
        assert applier.wait_for_exit(20) == 1
        assert 'violates check constraint' in applier.log()
    assert target.execute("select id from entries") == [(1,)]
    target.execute("alter table entries drop constraint entries_amount_check")
    with applier:
        wait_for(lambda: target_is_source(target, database), 20, "the second run applies it")
    assert_applied_in_order(target)
