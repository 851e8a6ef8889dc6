"""What is done to whom, and when: a list made from a seed alone, so that a run can be repeated as far as the machine lets it."""

import random
from dataclasses import dataclass, field

# Kind of blow to how often it is chosen. What stops something has a second half after so many seconds (least, most).
RELAY = {"relay_kill": 5, "relay_stop": 3, "relay_end": 2, "relay_loses_lease": 2, "relay_loses_backend": 3}
SERVER = {"server_immediate": 2, "server_fast": 1, "server_crash": 2, "postmaster_kill": 1, "backend_kill": 2}
SUBSCRIBER = {"subscriber_kill": 8, "subscriber_stop": 4, "subscriber_end": 2}
OTHER = {"writer_stop": 2, "writer_terminated": 2, "target_immediate": 1, "checkpoint": 1, "maintain": 2}
# A run may have a mood: one group is chosen so many times as often.
MOODS = [(), (RELAY,), (SERVER,), (SERVER,), (SUBSCRIBER,)]
MOODY = 4
# Chosen where the database knows the function.
CALLS = {"replay": 4, "pause": 3, "skip": 2}
DURATION = {
    "relay_kill": (0.0, 1.5), "relay_stop": (0.2, 4.0), "relay_end": (0.0, 1.0), "relay_loses_lease": (0.5, 3.0),
    "subscriber_kill": (0.0, 2.0), "subscriber_stop": (0.2, 4.0), "subscriber_end": (0.0, 2.0), "writer_stop": (0.2, 2.0),
    "pause": (0.2, 3.0),
}


@dataclass(frozen=True)
class Blow:
    """At `at` seconds, to the subscriber `whom` where one is meant; what it stopped goes on `lasts` seconds later. `luck` decides
    what only the moment can tell, as a fraction."""

    at: float
    kind: str
    whom: str = ""
    lasts: float = 0.0
    luck: float = field(default=0.0, compare=False)

    def __str__(self) -> str:
        return f"{self.at:6.2f} {self.kind}{' ' + self.whom if self.whom else ''}{f' for {self.lasts:.2f} s' if self.lasts else ''}"


def plan(seed: int, seconds: float, subscribers: list, calls: set) -> list:
    """The blows of so many seconds, about one a second. `calls` are names of functions that the database has."""
    chance = random.Random(f"blows {seed}")
    kinds = {**RELAY, **SERVER, **SUBSCRIBER, **OTHER}
    for group in chance.choice(MOODS):
        kinds.update({kind: MOODY * often for kind, often in group.items()})
    # Chosen from all, so that the same seed does the rest alike whether or not a function is there.
    kinds.update(CALLS)
    blows, at = [], 1.0
    while at < seconds:
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        whom = chance.choice(subscribers) if kind in SUBSCRIBER or kind in CALLS else ""
        blow = Blow(at, kind, whom, round(chance.uniform(*DURATION.get(kind, (0, 0))), 2), chance.random())
        if kind not in CALLS or kind in calls:
            blows.append(blow)
        at = round(at + chance.expovariate(1.2), 2)
    return blows
