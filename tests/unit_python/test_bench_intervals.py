"""The interval that benchmarks give with a median."""

import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Behind the others: benchmarks have modules of the same names.
sys.path += [str(ROOT / "tests" / folder) for folder in ("bench", "lib", "integration")]

from measure import bounds  # noqa: E402


def probability(count: int, low: int, high: int) -> float:
    """That the median lies between the values of these ranks (from 1)."""
    return sum(math.comb(count, below) for below in range(low, high)) / 2**count


@pytest.mark.parametrize("count", range(6, 40))
def test_the_interval_is_the_narrowest_that_holds_the_median(count):
    """Rule: between the k-th lowest and the k-th highest slice lies the median with 95 %, and with k + 1 it would not."""
    low, high = bounds(list(range(count, 0, -1)))
    assert low + high == count + 1
    assert probability(count, low, high) >= 0.95
    assert probability(count, low + 1, high - 1) < 0.95


@pytest.mark.parametrize("count", range(1, 6))
def test_few_slices_give_their_range(count):
    """Rule: fewer than six slices have no interval of 95 %, so all of them are shown."""
    assert bounds(list(range(1, count + 1))) == (1, count)
