"""Exactly once: the position is stored in the target database, in the transaction that applies the changes.

Works on a psycopg 3 connection, of which it needs nothing but its methods.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union
from uuid import UUID

from .changes import Transaction, TransactionHead
from .errors import Fenced, PaysyncError
from .handover import Handover, Step
from .position import Position
from .streamed import Interrupted, StreamedChanges
from .subscriber import EPHEMERAL, Subscriber

_CREATE = (
    "create table paysync_position (subscriber text primary key, stream_id uuid not null, position text not null)"
)
_POLL = 0.5


def run(
    connection: Any,
    *,
    relay: Union[str, Sequence[str]],
    subscriber: str,
    apply: Callable[[Any, Transaction], None],
    group: int = 1,
    stop: Optional[threading.Event] = None,
    **options: Any,
) -> int:
    """Apply the stream until `stop` is set; returns the number of transactions applied.

    `apply(cursor, transaction)` runs inside a transaction of `connection`, which must not be in one. Up to `group`
    source transactions that are there already share a target transaction. Any error rolls that one back and is raised;
    call `run` again to go on. One of more than 4 MiB comes in parts: it has a target transaction of its own, and its
    `changes` can be iterated once, while they come; where its session ends, that is rolled back and begins anew. Fenced means that another process applies for this subscriber. `options` go to Subscriber.
    """
    if subscriber == EPHEMERAL:
        raise ValueError("an ephemeral subscriber has no position to store")
    if group < 1:
        raise ValueError(f"group of {group} transactions")
    store = PositionStore(connection, subscriber)
    stored = store.load()
    stream_id, position = stored if stored else (None, None)
    applied = 0
    with Subscriber(
        relay, subscriber, position=position, stream_id=stream_id, own_position=True, **options
    ) as source:
        while stop is None or not stop.is_set():
            transactions, opened = _receive(source._handover, group)
            # Also where nothing was for us: the relay may drop what lies before the acknowledged position, so that
            # is never ahead of the stored one.
            reached = transactions[-1].position if transactions else (None if opened else source.position)
            if reached is not None and reached != store.position:
                store.apply(source.stream_id, reached, apply, transactions)
                source.acknowledge(reached)
                applied += len(transactions)
            if opened is not None:
                applied += _apply_streamed(source, store, opened, apply, stop)
    return applied


class PositionStore:
    """One subscriber's row in the table paysync_position, found by the connection's search_path."""

    def __init__(self, connection: Any, subscriber: str) -> None:
        self._connection = connection
        self._subscriber = subscriber
        self.position: Optional[Position] = None

    def load(self) -> Optional[Tuple[UUID, Position]]:
        """Stream id and position as stored, or None; creates the table if there is none."""
        self._check_idle()
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute("select to_regclass('paysync_position') is null")
            if cursor.fetchone()[0]:
                cursor.execute(_CREATE)
            cursor.execute(
                "select stream_id, position from paysync_position where subscriber = %s", (self._subscriber,)
            )
            row = cursor.fetchone()
        if row is None:
            return None
        stream_id = row[0] if isinstance(row[0], UUID) else UUID(row[0])
        self.position = Position.parse(row[1])
        return stream_id, self.position

    def apply(
        self,
        stream_id: Optional[UUID],
        reached: Position,
        apply: Callable[[Any, Transaction], None],
        transactions: List[Transaction],
    ) -> None:
        """Apply `transactions` and move the position to `reached`, both or neither."""
        self._check_idle()
        complete = False
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # First the position: its row lock keeps a second process from applying the same at the same time.
            self._move(cursor, stream_id, reached)
            for transaction in transactions:
                apply(cursor, transaction)
            complete = True
        # psycopg's Rollback leaves the block without an exception, and without a commit.
        if not complete:
            raise PaysyncError(f"apply rolled back the transaction up to {reached}")
        self.position = reached

    def _move(self, cursor: Any, stream_id: Optional[UUID], reached: Position) -> None:
        if self.position is None:
            cursor.execute(
                "insert into paysync_position (subscriber, stream_id, position) values (%s, %s, %s)"
                " on conflict (subscriber) do nothing",
                (self._subscriber, stream_id, str(reached)),
            )
        else:
            cursor.execute(
                "update paysync_position set position = %s"
                " where subscriber = %s and position = %s and stream_id = %s",
                (str(reached), self._subscriber, str(self.position), stream_id),
            )
        if cursor.rowcount != 1:
            raise Fenced(
                f'stored position of subscriber "{self._subscriber}" is not {self.position or "absent"} any more',
                "Another process applied changes for the same subscriber; nothing was applied here.",
                "Let only one process run for a subscriber name, then start again.",
            )

    def _check_idle(self) -> None:
        if self._connection.info.transaction_status != 0:
            raise PaysyncError(
                "target connection is inside a transaction",
                "The position would be stored in a transaction that somebody else may roll back.",
                "Commit before, or give a connection of its own.",
            )


def _apply_streamed(
    source: Subscriber,
    store: PositionStore,
    head: TransactionHead,
    apply: Callable[[Any, Transaction], None],
    stop: Optional[threading.Event],
) -> int:
    """Apply the transaction in parts that has begun; returns 1, or 0 where it did not come to its end."""
    handover = source._handover
    changes = StreamedChanges(handover, str(head.position), stop)

    def apply_all(cursor: Any, transaction: Transaction) -> None:
        apply(cursor, transaction)
        # Only at its end it is known to be what was captured.
        changes.finish()
        handover.committing(head.position)

    try:
        store.apply(source.stream_id, head.position, apply_all, [head.with_changes(changes)])
    except Interrupted:
        if stop is not None and stop.is_set():
            handover.give_back()
        return 0
    except BaseException:
        handover.give_back()
        raise
    handover.settle()
    source.acknowledge(head.position)
    return 1


def _receive(handover: Handover, group: int) -> Tuple[List[Transaction], Optional[TransactionHead]]:
    """Up to `group` transactions that are there, and the head of one in parts that has begun behind them."""
    transactions: List[Transaction] = []
    while len(transactions) < group:
        try:
            found = handover.next(time.monotonic() + (0 if transactions else _POLL))
        except PaysyncError:
            if transactions:
                break  # what came before is good; the next call raises this again
            raise
        if found is None:
            break
        step, value = found
        if step is Step.BEGIN:
            return transactions, value
        if step is Step.WHOLE:
            handover.settle()
            transactions.append(value)
    return transactions, None
