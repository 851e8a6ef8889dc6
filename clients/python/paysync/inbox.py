"""Where the I/O thread and the application meet: batches go in, transactions come out, progress goes back.

What was handed out belongs to the application. What was not is thrown away whenever a session begins anew, and comes
again: memory stays within one window, and nothing is handed out twice or left out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Deque, Iterator, List, Mapping, NamedTuple, Optional

from .changes import Shape, Transaction
from .decode import Batch
from .errors import ProtocolError
from .position import Position


class Progress(NamedTuple):
    """What the I/O thread tells the relay: the number applied, and what was consumed of this session's stream."""

    applied: int
    consumed: int
    messages: int
    idle: bool


class _Delivery:
    """A batch on its way to the application, `size` bytes on the wire."""

    def __init__(self, batch: Batch, shapes: Mapping[int, Shape], size: int) -> None:
        self.batch = batch
        self.size = size
        self.left = batch.count
        self.transactions: Iterator[Transaction] = batch.transactions(shapes)


class _Run(NamedTuple):
    """Numbers `first` to `last`, handed out under one history."""

    history: tuple
    first: int
    last: int


class Inbox:
    """The hand-over. One thread may receive; `wake` is called, from that thread, when there is progress to report.

    With `own_position` the application keeps its position: a new session goes on after what was handed out, and only
    what the application names is acknowledged. Without, a new session goes on where the relay says, so what was handed
    out but not acknowledged comes again; and numbers with nothing for us are acknowledged by themselves.
    """

    def __init__(self, start: Optional[Position], own_position: bool, wake: Callable[[], None]) -> None:
        self._condition = threading.Condition()
        self._own_position = own_position
        self._wake = wake
        self._woken = False
        self._queue: Deque[_Delivery] = deque()
        self._current: Optional[_Delivery] = None
        self._ticket = 0
        self._delivered = start
        self._applied = start.number if start else 0
        self._last_transaction = self._applied
        self._runs: List[_Run] = []
        self._rewound_from = 0
        self._consumed = 0
        self._messages = 0
        self._failure: Optional[BaseException] = None

    # The I/O thread's side.

    def restart(self) -> Optional[Position]:
        """Throw away what was not handed out; the position to ask for, or None for what was acknowledged last."""
        with self._condition:
            self._queue.clear()
            self._current = None
            self._ticket += 1
            self._consumed = 0
            self._messages = 0
            return self._delivered if self._own_position else None

    def begin(self, start: Position) -> None:
        """A session goes on after `start`."""
        with self._condition:
            if self._own_position and self._delivered is not None:
                if start.number != self._delivered.number:
                    raise ProtocolError(f"relay goes on after {start} and not after {self._delivered} as it was asked")
                return
            if self._delivered is not None:
                self._rewound_from = max(self._rewound_from, self._delivered.number)
            self._delivered = start
            self._applied = self._last_transaction = start.number
            self._runs.clear()

    def put(self, batch: Batch, shapes: Mapping[int, Shape], size: int) -> None:
        """Queue a batch of `size` bytes for the application."""
        with self._condition:
            self._queue.append(_Delivery(batch, shapes, size))
            self._condition.notify_all()

    def count(self, size: int) -> None:
        """Bytes that came and need no hand-over."""
        with self._condition:
            self._consumed += size
            self._messages += 1

    def progress(self) -> Progress:
        """What there is to report; the next change of it wakes again."""
        with self._condition:
            self._woken = False
            idle = not self._queue and self._current is None and self._applied >= self._last_transaction
            return Progress(self._applied, self._consumed, self._messages, idle)

    def fail(self, error: BaseException, at_once: bool = False) -> None:
        """End it: whoever receives gets `error`, ever after. The first error stays.

        What is queued is handed out before, unless `at_once`: it is good, and the application would never get past it
        if the relay's error came first each time.
        """
        with self._condition:
            if self._failure is None:
                self._failure = error
            if at_once:
                self._queue.clear()
                self._current = None
                self._ticket += 1
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

    def take(self, timeout: Optional[float]) -> Optional[Transaction]:
        """The next transaction; None after `timeout` seconds without one. Raises what ended the stream."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._condition:
                delivery = self._next(deadline)
                ticket = self._ticket
            if delivery is None:
                return None
            transaction = None
            if delivery.left:
                try:
                    transaction = next(delivery.transactions)
                except Exception as error:
                    self.fail(error, at_once=True)
                    self._wake()
                    raise
            with self._condition:
                if ticket != self._ticket:
                    continue
                done = self._hand_out(delivery, transaction)
            if done:
                self._wake()
            if transaction is not None:
                return transaction
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def acknowledge(self, position: Position) -> None:
        """Everything up to `position` is durable. ValueError for one that was never handed out."""
        with self._condition:
            number = position.number
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

    def _next(self, deadline: Optional[float]) -> Optional[_Delivery]:
        while True:
            if self._current is None and self._queue:
                self._current = self._queue.popleft()
            if self._current is not None:
                return self._current
            if self._failure is not None:
                raise self._failure
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            self._condition.wait(left)

    def _hand_out(self, delivery: _Delivery, transaction: Optional[Transaction]) -> bool:
        batch = delivery.batch
        last = batch.last
        if transaction is not None:
            delivery.left -= 1
            self._last_transaction = transaction.number
            if delivery.left:
                last = transaction.number
        first = self._delivered.number + 1 if self._delivered else batch.prev + 1
        self._delivered = Position(batch.epoch, batch.nonce, last)
        if self._runs and self._runs[-1].history == self._delivered.history:
            self._runs[-1] = self._runs[-1]._replace(last=last)
        else:
            self._runs.append(_Run(self._delivered.history, first, last))
        if delivery.left:
            return False
        self._current = None
        self._consumed += delivery.size
        self._messages += 1
        self._advance()
        return self._should_wake()

    def _advance(self) -> None:
        if not self._own_position and self._applied >= self._last_transaction and self._delivered is not None:
            self._applied = max(self._applied, self._delivered.number)
        while self._runs and self._runs[0].last <= self._applied:
            del self._runs[0]

    def _should_wake(self) -> bool:
        woken, self._woken = self._woken, True
        return not woken
