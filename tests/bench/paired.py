"""Slices A B1 A B2 … A: each of a system between two of the baseline, so that what drifts on the machine falls on both."""

import random

from measure import SLICES


def compare(baseline, systems: dict) -> tuple:
    """`baseline` and the values of `systems` run one slice and return a dict of numbers. (The baseline's slices, for each system the
    ratios to the mean of the two around it.) Systems come in random order, anew each turn; a first slice of each fills caches."""
    chance = random.Random(1)
    for run in (baseline, *systems.values()):
        run()
    ratios = {name: [] for name in systems}
    bases = [baseline()]
    for _ in range(SLICES):
        for name in chance.sample(sorted(systems), len(systems)):
            found = systems[name]()
            bases.append(baseline())
            around = {what: (bases[-2][what] + bases[-1][what]) / 2 for what in bases[-1]}
            ratios[name].append({what: value / around.get(what, 1) for what, value in found.items()})
    return bases, ratios
