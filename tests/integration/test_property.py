"""Random rounds of tests/property: whatever sessions do, the copy made from the stream is the source, or the stream says it is not."""

import os
import random
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from property.round import Round, Stage  # noqa: E402

FIXED = [1, 2]
SECONDS = float(os.environ.get("SECONDS", 60))


@pytest.fixture(name="stage")
def fixture_stage(database):
    """A database with sessions."""
    made = Stage(database)
    yield made
    made.close()


@pytest.mark.deadline(int(SECONDS) + 120)
def test_rounds(stage):
    """Rule: after any mixture of row changes, alterations, savepoints, errors and prepared transactions the copy is the source, and
    only tables to which something was done that may leave a gap are in doubt."""
    ends = time.monotonic() + SECONDS
    for seed in FIXED:
        Round(stage, seed).run()
    while time.monotonic() < ends:
        seed = random.SystemRandom().randrange(1 << 40)
        print(f"SEED={seed}")
        Round(stage, seed).run()
