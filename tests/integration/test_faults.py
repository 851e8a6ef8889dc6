"""Random blows of tests/faults: whatever is killed, stopped and started again, the history that subscribers see keeps its rules."""

import os
import random
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.stage import Stage  # noqa: E402

FIXED = [6]
RUN_SECONDS = 20
SECONDS = float(os.environ.get("SECONDS", 60))


@pytest.mark.deadline(int(SECONDS) + 400)
def test_blows(folder):
    """Rule: under any kills, stops and restarts nothing is lost, torn, doubled by position, out of causal order, or seen and then
    not committed; a number has one content for ever; and the outbox is emptied of what all have."""
    ends = time.monotonic() + SECONDS
    for turn in range(1 << 20):
        if turn >= len(FIXED) and time.monotonic() + RUN_SECONDS >= ends:
            break
        seed = FIXED[turn] if turn < len(FIXED) else random.SystemRandom().randrange(1 << 40)
        print(f"SEED={seed}")
        place = folder / str(seed)
        place.mkdir(mode=0o755)
        print(Stage(place, seed, min(RUN_SECONDS, SECONDS)).run())
