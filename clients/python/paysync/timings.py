"""How long to wait for what; the defaults are those of docs/wire.md and rarely need a change."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """All in seconds."""

    welcome: float = 5.0  #: a connection without WELCOME is given up
    ping: float = 2.0  #: silence after which a PING is sent
    dead: float = 10.0  #: silence after which the connection is given up
    ack: float = 0.05  #: an ACK waits so long for company
    backoff_least: float = 0.1  #: before the first new attempt
    backoff_most: float = 5.0  #: before the tenth
    farewell: float = 0.3  #: the last ACK and BYE have so long to leave


class Backoff:
    """Waiting times between attempts, doubled each time, with jitter; not thread-safe."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._attempts = 0

    @property
    def fresh(self) -> bool:
        """Whether nothing failed since the last success."""
        return self._attempts == 0

    def reset(self) -> None:
        """Something worked."""
        self._attempts = 0

    def next(self) -> float:
        """Something failed: the seconds to wait before the next attempt."""
        delay = min(self._timings.backoff_most, self._timings.backoff_least * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 30)
        return max(self._timings.backoff_least, delay * random.uniform(0.5, 1.0))
