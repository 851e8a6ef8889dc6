"""Changes of a transaction in parts, pulled while they come: what `run` gives to apply()."""

from __future__ import annotations

import threading
import time
from typing import Iterator, List, Optional

from .changes import Change
from .errors import PaysyncError
from .handover import Handover, Step

_POLL = 0.5


class Interrupted(PaysyncError):
    """The transaction under way did not come to its end: roll back, it comes again. `run` does that by itself."""


class StreamedChanges:
    """Iterable once, while the changes come. It holds one part of them."""

    def __init__(self, handover: Handover, position: str, stop: Optional[threading.Event]) -> None:
        self._handover = handover
        self._position = position
        self._stop = stop
        self._started = False
        self._ended = False
        self._error: Optional[BaseException] = None

    def __iter__(self) -> Iterator[Change]:
        if self._started:
            raise PaysyncError(
                f"changes of transaction {self._position} were read before",
                "It is too large to be kept: its changes can be read once, while they come.",
            )
        self._started = True
        return self._walk()

    def finish(self) -> None:
        """Take what is left; raises what an iteration raised, also if that was caught. After it all is checked."""
        while not self._ended:
            self._more()

    def _walk(self) -> Iterator[Change]:
        while not self._ended:
            yield from self._more()

    def _more(self) -> List[Change]:
        if self._error is not None:
            raise self._error
        try:
            found = None
            while found is None:
                if self._stop is not None and self._stop.is_set():
                    raise Interrupted(f"stopped inside of transaction {self._position}")
                found = self._handover.next(time.monotonic() + _POLL)
            step, value = found
            if step is Step.VOID:
                raise Interrupted(f"session ended inside of transaction {self._position}")
            self._ended = step is Step.END
            return value if step is Step.CHANGES else []
        except BaseException as error:
            self._error = error
            raise
