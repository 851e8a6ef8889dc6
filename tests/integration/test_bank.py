"""A subscriber that rebuilds pgbench's bank sees a consistent bank after every transaction, and the source's rows at the end."""

import pytest

from harness.bank_run import BankRun


@pytest.mark.deadline(240)
def test_mirror_equals_source_although_the_relay_is_killed(database, folder):
    """Rule: every committed transaction arrives whole, once and in causal order, through five kills of the relay and one open transaction."""
    assert BankRun(database, folder, transactions=8000, kills=5, seed=1).run() == 8001
