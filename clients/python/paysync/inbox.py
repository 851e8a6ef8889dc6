"""Where the I/O thread and the application meet: batches and parts go in, progress goes back.

What was handed out belongs to the application. What was not is thrown away whenever a session begins anew, and comes
again: memory stays within one window, and nothing is handed out twice or left out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Deque, List, NamedTuple, Optional, Tuple

from .errors import ProtocolError
from .pieces import VOID, Delivery, Piece
from .position import Position


class Progress(NamedTuple):
    """What the I/O thread tells the relay: the number applied, and what was consumed of this session's stream."""

    applied: int
    consumed: int
    messages: int
    idle: bool


class _Run(NamedTuple):
    """Numbers `first` to `last`, handed out under one history."""

    history: tuple
    first: int
    last: int


class Inbox:
    """The hand-over. One thread may take; `wake` is called, from that thread, when there is progress to report.

    With `own_position` the application keeps its position: a new session goes on after what was handed out, and only
    what the application names is acknowledged. Without, a new session goes on where the relay says, so what was handed
    out but not acknowledged comes again; and numbers with nothing for us are acknowledged by themselves.
    `obeys_rewinds`: with its own position it starts all the same where a replay was asked for.
    """

    def __init__(
        self, start: Optional[Position], own_position: bool, wake: Callable[[], None], obeys_rewinds: bool = False
    ) -> None:
        self._condition = threading.Condition()
        self._own_position = own_position
        self._obeys_rewinds = obeys_rewinds
        self._wake = wake
        self._woken = False
        self._queue: Deque[object] = deque()
        self._ticket = 0  # changes with every session
        self._asked = start
        self._delivered = start
        self._rewound: Optional[Position] = None  # the replay that was obeyed last
        self._applied = start.number if start else 0
        self._last_transaction = self._applied
        self._runs: List[_Run] = []
        self._rewound_from = 0
        self._consumed = 0
        self._messages = 0
        self._failure: Optional[BaseException] = None
        self._coming: Optional[int] = None  # the transaction whose parts come in
        self._under_way: Optional[int] = None  # the one that the application has begun
        self._void = False  # ... and nothing of it follows any more
        self._given_back = False  # nothing more of this session is of use
        self._restart = False  # ... and the connection does not know yet
        self._committing: Optional[Position] = None
        self._acknowledge_settled = False

    # The I/O thread's side.

    def restart(self) -> Optional[Position]:
        """Throw away what was not handed out; the position to ask for, or None for what was acknowledged last."""
        with self._condition:
            self._clear()
            self._ticket += 1
            self._consumed = 0
            self._messages = 0
            self._coming = None
            self._given_back = self._restart = False
            self._asked = self._delivered if self._own_position else None
            return self._asked

    def begin(self, start: Position, rewound: Optional[Position] = None) -> None:
        """A session goes on after `start`; `rewound`: a replay was asked for from there."""
        with self._condition:
            same = rewound is not None and rewound.number == start.number
            replayed = same and (self._asked is None or self._obeys_rewinds)
            if self._own_position and self._asked is not None and not replayed:
                if start.number != self._asked.number:
                    raise ProtocolError(f"relay goes on after {start} and not after {self._asked} as it was asked")
                return
            # The relay repeats that it was rewound until something after it is acknowledged.
            again = self._own_position and rewound == self._rewound and start.number >= self._applied
            if replayed:
                self._rewound = rewound
                if again:
                    return
            if self._delivered is not None:
                self._rewound_from = max(self._rewound_from, self._delivered.number)
            self._delivered = start
            self._applied = self._last_transaction = start.number
            self._runs.clear()

    def put(self, item: object) -> None:
        """Queue a Delivery, or the next Piece of a transaction that comes in parts."""
        with self._condition:
            if isinstance(item, Piece):
                self._coming = None if item.ends else item.number
            if not self._given_back:
                self._queue.append(item)
            self._condition.notify_all()

    def lost(self) -> None:
        """The session is over: a transaction whose end did not come is of no use."""
        with self._condition:
            self._drop_unended()

    def count(self, size: int) -> None:
        """Bytes that came and need no hand-over."""
        with self._condition:
            self._consumed += size
            self._messages += 1

    def progress(self) -> Progress:
        """What there is to report; the next change of it wakes again."""
        with self._condition:
            self._woken = False
            idle = not self._queue and self._coming is None and self._applied >= self._last_transaction
            return Progress(self._applied, self._consumed, self._messages, idle)

    def take_restart(self) -> bool:
        """True once after give_back: the connection has to say HELLO again."""
        with self._condition:
            wanted, self._restart = self._restart, False
            return wanted

    def fail(self, error: BaseException, at_once: bool = False) -> None:
        """End it: whoever receives gets `error`, ever after. The first error stays.

        What is queued is handed out before, unless `at_once`: it is good, and the application would never get past it
        if the relay's error came first each time.
        """
        with self._condition:
            if self._failure is None:
                self._failure = error
            self._drop_unended()
            if at_once:
                self._clear()
                self._ticket += 1
                self._given_back = True
            self._condition.notify_all()

    @property
    def failure(self) -> Optional[BaseException]:
        """What ended it, if anything did."""
        with self._condition:
            return self._failure

    # The application's side.

    @property
    def position(self) -> Optional[Position]:
        """Everything up to here was handed out; None before the first session."""
        with self._condition:
            return self._delivered

    def take(self, deadline: Optional[float]) -> Optional[Tuple[object, int]]:
        """What comes next, with a ticket; None if nothing comes until `deadline`. Raises what ended the stream.

        A Delivery and the end of a transaction in parts stay in front until `settle`; VOID says that what was taken of
        such a transaction does not count.
        """
        wake = False
        with self._condition:
            while True:
                if self._void:
                    self._void, self._under_way = False, None
                    return VOID, self._ticket
                self._drop_repeated()
                if self._queue:
                    break
                if self._failure is not None:
                    raise self._failure
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._condition.wait(left)
            taken = self._queue[0], self._ticket
            if isinstance(taken[0], Piece) and not taken[0].ends:
                self._under_way = taken[0].number
                self._drop_first()
                wake = self._should_wake()
        if wake:
            self._wake()
        return taken

    def repeated(self, number: int) -> bool:
        """Whether a number was handed out before, and came again because its session ended meanwhile."""
        with self._condition:
            return self._was_handed_out(number)

    def committing(self, position: Position) -> None:
        """From here on to `settle` or `give_back` it may be acknowledged, which counts with `settle`."""
        with self._condition:
            self._committing, self._acknowledge_settled = position, False

    def settle(self, taken: Tuple[object, int], position: Optional[Position], last: Position, done: bool) -> None:
        """Handed out: the transaction at `position`, or None; nothing else up to `last`. `done`: that was all of it."""
        item, ticket = taken
        with self._condition:
            acknowledged = self._committing == position and self._acknowledge_settled
            self._committing, self._under_way, self._void = None, None, False
            current = ticket == self._ticket
            if done and current and self._queue and self._queue[0] is item:
                self._drop_first()
            if not current and not self._own_position:
                # It comes again, and can be acknowledged then.
                self._rewound_from = max(self._rewound_from, last.number)
                return
            if position is not None:
                self._last_transaction = max(self._last_transaction, position.number)
            self._hand_out(last)
            if acknowledged and position is not None:
                self._applied = max(self._applied, position.number)
            if done or acknowledged:
                self._advance()
            wake = (done or acknowledged) and self._should_wake()
        if wake:
            self._wake()

    def give_back(self, taken: Tuple[object, int]) -> None:
        """What was taken could not be handed out: its transaction comes again, from its beginning."""
        item, ticket = taken
        with self._condition:
            self._committing = None
            if isinstance(item, Delivery):
                return
            self._under_way, self._void = None, False
            if ticket != self._ticket:
                return
            self._queue.clear()
            self._given_back = self._restart = True
        self._wake()

    def acknowledge(self, position: Position) -> None:
        """Everything up to `position` is durable. ValueError for one that was never handed out."""
        with self._condition:
            number = position.number
            if position == self._committing:
                self._acknowledge_settled = True
                return
            if number <= self._applied:
                return
            if not any(run.history == position.history and run.first <= number <= run.last for run in self._runs):
                if number <= self._rewound_from:
                    return  # handed out before the relay rewound: it comes again and can be acknowledged then
                raise ValueError(f'position "{position}" was not received')
            self._applied = number
            self._advance()
            wake = self._should_wake()
        if wake:
            self._wake()

    def wake(self) -> None:
        """Let the connection look at what changed."""
        self._wake()

    def _clear(self) -> None:
        self._queue.clear()
        self._void = self._under_way is not None

    def _drop_unended(self) -> None:
        if self._coming is None:
            return
        while self._queue and isinstance(self._queue[-1], Piece) and self._queue[-1].number == self._coming:
            self._queue.pop()
        self._void = self._void or self._under_way == self._coming
        self._coming = None
        self._condition.notify_all()

    def _was_handed_out(self, number: int) -> bool:
        return self._own_position and self._delivered is not None and number <= self._delivered.number

    def _drop_repeated(self) -> None:
        while self._queue and isinstance(self._queue[0], Piece) and self._was_handed_out(self._queue[0].number):
            self._drop_first()
            if self._should_wake():
                self._wake()

    def _drop_first(self) -> None:
        self._consumed += self._queue.popleft().size
        self._messages += 1

    def _hand_out(self, last: Position) -> None:
        if self._delivered is not None and last.number <= self._delivered.number:
            return
        first = self._delivered.number + 1 if self._delivered else 1
        self._delivered = last
        if self._runs and self._runs[-1].history == last.history:
            self._runs[-1] = self._runs[-1]._replace(last=last.number)
        else:
            self._runs.append(_Run(last.history, first, last.number))

    def _advance(self) -> None:
        if not self._own_position and self._applied >= self._last_transaction and self._delivered is not None:
            self._applied = max(self._applied, self._delivered.number)
        while self._runs and self._runs[0].last <= self._applied:
            del self._runs[0]

    def _should_wake(self) -> bool:
        woken, self._woken = self._woken, True
        return not woken
