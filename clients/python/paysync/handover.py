"""From what waits in the inbox to what the application gets: whole transactions, or calls of a sink."""

from __future__ import annotations

import time
from enum import Enum
from typing import Any, List, Optional, Tuple

from .changes import Change, Transaction, TransactionHead
from .errors import PaysyncError
from .inbox import Inbox
from .pieces import VOID, Delivery, OpenTransaction
from .position import Position


class Step(Enum):
    """What next() gives, and what comes with it. After WHOLE and END comes settle() or give_back()."""

    WHOLE = "a Transaction"
    BEGIN = "a TransactionHead"
    CHANGES = "a list of changes, maybe empty"
    END = "the TransactionHead again"
    VOID = "nothing: what came since BEGIN does not count"


class Handover:
    """Used by the thread that receives. `max_transaction_bytes` bounds what receive() puts together."""

    def __init__(self, inbox: Inbox, max_transaction_bytes: int) -> None:
        self._inbox = inbox
        self._most_bytes = max_transaction_bytes
        self._taken: Optional[Tuple[object, int]] = None
        self._open: Optional[OpenTransaction] = None
        self._begun = False  # somebody but receive() knows of it
        self._put_by: List[Change] = []  # by receive()

    def receive(self, timeout: Optional[float]) -> Optional[Transaction]:
        """As Subscriber.receive()."""
        if self._begun:
            raise PaysyncError(
                f"transaction {self._open.head.position} is under way in receive_into()",
                "Its sink has seen its beginning.",
                "Call receive_into() until it returns True.",
            )
        deadline = deadline_of(timeout)
        while True:
            found = self.next(deadline)
            if found is None:
                return None
            step, value = found
            if step is Step.CHANGES:
                self._put_by += value
                self._check_size()
            elif step is Step.END:
                value = value.with_changes(self._put_by)
            if step in (Step.WHOLE, Step.END):
                self.settle()
                return value
            if step is not Step.VOID and is_past(deadline):
                return None

    def receive_into(self, sink: Any, timeout: Optional[float]) -> bool:
        """As Subscriber.receive_into()."""
        deadline = deadline_of(timeout)
        while True:
            try:
                found = self.next(deadline)
            except Exception:
                # What the relay sent cannot be read: the sink must not be left with the beginning of it.
                if self._begun:
                    self._forget()
                    sink.abort()
                raise
            if found is None:
                return False
            step, value = found
            if step is Step.WHOLE:
                self._whole_into(sink, value)
                return True
            if self._piece_into(sink, step, value):
                return True
            if step is not Step.VOID and is_past(deadline):
                return False

    def next(self, deadline: Optional[float]) -> Optional[Tuple[Step, Any]]:
        """Take what comes next, or None if nothing comes until `deadline`. Raises what ended the stream."""
        while True:
            taken = self._inbox.take(deadline)
            if taken is None:
                return None
            self._taken = taken
            try:
                found = self._read(taken[0])
            except Exception as error:
                self._fail(error)
                raise
            if found is not None:
                return found
            # Numbers without a transaction for us.
            if is_past(deadline):
                return None

    def committing(self, position: Position) -> None:
        """The application makes it durable: from here on it may be acknowledged."""
        self._inbox.committing(position)

    def settle(self) -> None:
        """What came last is handed out."""
        item, _ = self._taken
        if isinstance(item, Delivery):
            position = item.look().position
            item.passed()
            last = position if item.left else Position(item.batch.epoch, item.batch.nonce, item.batch.last)
            self._inbox.settle(self._taken, position, last, not item.left)
        else:
            position = self._open.head.position
            self._forget()
            self._inbox.settle(self._taken, position, position, True)

    def give_back(self) -> None:
        """What came last, with all that belongs to it, could not be handed out and comes again."""
        self._inbox.give_back(self._taken)
        self._forget()

    def _read(self, item: Any) -> Optional[Tuple[Step, Any]]:
        if item is VOID:
            self._open = None
            self._put_by = []
            return Step.VOID, None
        if isinstance(item, Delivery):
            transaction = item.look()
            while transaction is not None and self._inbox.repeated(transaction.number):
                item.passed()
                transaction = item.look()
            if transaction is not None:
                return Step.WHOLE, transaction
            self._inbox.settle(self._taken, None, Position(item.batch.epoch, item.batch.nonce, item.batch.last), True)
            return None
        if item.begin is not None:
            self._open = OpenTransaction(item.begin)
            return Step.BEGIN, self._open.head
        if item.data is not None:
            return Step.CHANGES, self._open.add(item)
        self._open.finish()
        return Step.END, self._open.head

    def _whole_into(self, sink: Any, transaction: Transaction) -> None:
        sink.begin(TransactionHead.of(transaction))
        try:
            sink.changes(transaction.changes)
            self.committing(transaction.position)
            sink.commit()
        except BaseException:
            self._inbox.give_back(self._taken)
            sink.abort()
            raise
        self.settle()

    def _piece_into(self, sink: Any, step: Step, value: Any) -> bool:
        """True after commit()."""
        if step is Step.VOID:
            begun, self._begun = self._begun, False
            if begun:
                sink.abort()
            return False
        begun = self._begun
        try:
            if not begun:
                sink.begin(self._open.head)
            begun = self._begun = True
            changes, self._put_by = self._put_by, []
            if step is Step.CHANGES:
                changes += value
            if changes:
                sink.changes(changes)
            if step is not Step.END:
                return False
            self.committing(self._open.head.position)
            sink.commit()
        except BaseException:
            self.give_back()
            if begun:
                sink.abort()
            raise
        self.settle()
        return True

    def _check_size(self) -> None:
        if self._open.bytes <= self._most_bytes:
            return
        error = PaysyncError(
            f"transaction {self._open.head.position} is longer than {self._most_bytes} bytes",
            f"All its changes, of every channel, have {self._open.head.streamed_bytes} bytes.",
            "Take it piece by piece with receive_into(), or raise max_transaction_bytes.",
        )
        self._fail(error)
        self._forget()
        raise error

    def _fail(self, error: Exception) -> None:
        self._inbox.fail(error, at_once=True)
        self._inbox.give_back(self._taken)
        self._inbox.wake()

    def _forget(self) -> None:
        self._open = None
        self._begun = False
        self._put_by = []


def deadline_of(timeout: Optional[float]) -> Optional[float]:
    """The moment `timeout` seconds from now; None for never."""
    return None if timeout is None else time.monotonic() + timeout


def is_past(deadline: Optional[float]) -> bool:
    """Whether a deadline is over."""
    return deadline is not None and time.monotonic() >= deadline
