"""The checker of tests/faults: a good history passes, and each rule that is broken on purpose is told."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.history import Committed, Delivery, Log, check  # noqa: E402
from faults.rebuild import Copy  # noqa: E402
from faults.schedule import CALLS, plan  # noqa: E402

# Number 3 has nothing in channel a; transaction 15 saw 11 and 12.
COMMITTED = [Committed(1, 11, (), {"a": 1}), Committed(2, 12, (), {"a": 2, "b": 1}), Committed(3, 13, (), {"b": 1}),
             Committed(5, 15, (1, 2), {"a": 1, "b": 1}), Committed(4, 14, (), {"a": 1})]
ORDER = [11, 12, 13, 15, 14]


def delivered(xid: int, channels: str) -> Delivery:
    """A transaction as a subscriber of these channels is rightly handed it."""
    number = ORDER.index(xid) + 1
    counts = next(transaction.counts for transaction in COMMITTED if transaction.xid == xid)
    return Delivery(number, f"1.aa:{number}", xid, sum(counts.values()),
                    {channel: (count, f"{xid}{channel}") for channel, count in counts.items() if channel in channels})


def history() -> dict:
    """Logs of a good history: one keeps its position; another was taken back once; a third takes one channel."""
    def log(name, channels, keeps, order):
        return Log(name, frozenset(channels), keeps, [delivered(xid, channels) for xid in order])

    return {"own": log("own", "ab", True, ORDER), "back": log("back", "ab", False, [11, 12, 13, 12, 13, 15, 14]),
            "part": log("part", "a", False, [11, 12, 15, 14])}


def test_a_good_history_has_no_faults():
    """Rule: what may happen is no fault: being taken back where the database keeps the position, numbers without a change for one."""
    assert check(COMMITTED, list(history().values())) == []


def lose_one(logs):
    del logs["part"].deliveries[1]


def lose_the_last(logs):
    del logs["back"].deliveries[-1]


def lose_for_all(logs):
    for log in logs.values():
        log.deliveries[:] = [delivery for delivery in log.deliveries if delivery.xid != 13]


def double(logs):
    logs["own"].deliveries.insert(2, logs["own"].deliveries[1])


def tear(logs):
    for log in logs.values():
        log.deliveries[:] = [replace(one, channels={**one.channels, "a": (1, "x")}) if one.xid == 12 else one for one in log.deliveries]


def lose_a_channel(logs):
    logs["own"].deliveries[1] = replace(logs["own"].deliveries[1], channels={"a": (2, "12a")})


def miscount(logs):
    logs["own"].deliveries[1] = replace(logs["own"].deliveries[1], total=2)


def change_content(logs):
    logs["part"].deliveries[1] = replace(logs["part"].deliveries[1], channels={"a": (2, "other")})


def change_later(logs):
    logs["back"].deliveries[3] = replace(logs["back"].deliveries[3], channels={"a": (2, "other"), "b": (1, "12b")})


def give_number_again(logs):
    logs["part"].deliveries[-1] = replace(logs["part"].deliveries[-1], xid=12, channels=delivered(12, "a").channels)


def name_another_history(logs):
    logs["part"].deliveries[-1] = replace(logs["part"].deliveries[-1], position="2.bb:5")


def deliver_uncommitted(logs):
    for log in logs.values():
        log.deliveries.append(Delivery(6, "1.aa:6", 99, 1, {"a": (1, "99a")}))


def refuse(logs):
    logs["own"].refusals.append("GONE")


@pytest.mark.parametrize("damage, words", [
    (lose_one, "over 2"), (lose_one, "part lost 1"), (lose_the_last, "back lost 1"), (lose_for_all, "never delivered"),
    (double, "keeps its position"), (tear, "is torn"), (lose_a_channel, "is torn"), (miscount, "claims 2 changes"),
    (change_content, "other changes"), (change_later, "other changes"), (give_number_again, "has number"),
    (name_another_history, "but own had"), (deliver_uncommitted, "not committed"), (refuse, "was refused")],
    ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_rule_is_told(damage, words):
    """Rule: whatever a delivery breaks, the checker says it."""
    logs = history()
    damage(logs)
    faults = check(COMMITTED, list(logs.values()))
    assert any(words in fault for fault in faults), faults


def test_what_came_before_what_it_saw_is_told():
    """Rule: a transaction that saw another has the higher number."""
    committed = [replace(one, seen=(4,)) if one.id == 5 else one for one in COMMITTED]
    [fault] = check(committed, list(history().values()))
    assert "saw id 4" in fault


def test_what_was_skipped_may_be_missing():
    """Rule: a number that an operator took out of a subscriber's stream is not missed there."""
    logs = history()
    lose_one(logs)
    logs["part"].skipped = frozenset({2})
    assert check(COMMITTED, list(logs.values())) == []


def test_one_that_obeys_goes_back_as_often_as_asked():
    """Rule: a subscriber that keeps its position goes back only where a replay was asked for."""
    logs = history()
    logs["own"].deliveries[:] = logs["back"].deliveries
    assert len(check(COMMITTED, list(logs.values()))) == 1
    logs["own"].rewinds = 1
    assert check(COMMITTED, list(logs.values())) == []


@pytest.mark.parametrize("operation, new, words", [
    ("insert", {"id": "1", "version": "1"}, "which is there"), ("update", {"id": "2", "version": "1"}, "which is not there"),
    ("update", {"id": "1", "version": "2"}, "from version 0 to 2")])
def test_a_row_changes_step_by_step(operation, new, words):
    """Rule: no change of a row is lost, doubled or moved, even where the end looks the same."""
    copy = Copy()
    copy.apply(1, "insert", ["t", {"id": "1"}, None, {"id": "1", "version": "0"}])
    assert not copy.faults
    copy.apply(2, operation, ["t", {"id": new["id"]}, None, new])
    assert words in copy.faults[0]
    assert copy.differences("t", [{"id": 1, "version": 0}])


def test_a_schedule_is_made_from_its_seed_alone():
    """Rule: a seed gives the same blows again, whatever functions the database has."""
    assert plan(7, 20, ["x"], set()) == plan(7, 20, ["x"], set()) != plan(8, 20, ["x"], set())
    with_calls = plan(7, 60, ["x"], set(CALLS))
    assert [blow for blow in with_calls if blow.kind not in CALLS] == plan(7, 60, ["x"], set())
