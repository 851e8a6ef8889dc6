"""Subscriber: whole transactions of a paysync relay, in order, with acknowledgements."""

from __future__ import annotations

import re
import secrets
import weakref
from typing import Iterator, List, Optional, Sequence, Union
from uuid import UUID

from .changes import Transaction
from .connection import Connection, Waker
from .errors import Closed
from .handover import Handover
from .inbox import Inbox
from .position import Position
from .session import Session
from .sink import TransactionSink
from .timings import Backoff, Timings

VERSION = "0.3.0"
DEFAULT_RELAY = "tcp://127.0.0.1:7420"
EPHEMERAL = "*"

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,62}", re.ASCII)
_WINDOW_LEAST = 64 * 1024
_WINDOW_MOST = 64 * 1024 * 1024


class Subscriber:
    """A connection to the relay that mends itself.

        with Subscriber("tcp://127.0.0.1:7420", "mirror") as subscriber:
            for transaction in subscriber:
                ...                                             # apply it, durably
                subscriber.acknowledge(transaction.position)

    A thread of its own answers heartbeats while the application works. `relay` is one endpoint or several, tried in
    turn. `name` is the subscriber's, or "*" for an ephemeral one that follows from now on.

    Without a position the relay goes on after what was acknowledged last, so after a loss a transaction can come again.
    An application that stores positions in its own transactions gives `position` and `stream_id`, or `own_position=True`
    while it has none stored yet: then nothing comes twice, and only what it acknowledges is acknowledged. With
    `obeys_rewinds` it starts all the same where paysync.replay() was asked for, and takes again what it has applied.

    A transaction of more than 4 MiB comes in parts: `receive` puts it together, up to `max_transaction_bytes`,
    `receive_into` hands it over piece by piece. One thread may receive; `acknowledge` and `close` may be called from any.
    """

    def __init__(
        self,
        relay: Union[str, Sequence[str]] = DEFAULT_RELAY,
        name: str = EPHEMERAL,
        *,
        position: Union[Position, str, None] = None,
        stream_id: Union[UUID, str, None] = None,
        own_position: Optional[bool] = None,
        window: int = 4 * 1024 * 1024,
        obeys_rewinds: bool = False,
        max_transaction_bytes: int = 64 * 1024 * 1024,
        software: str = f"paysync-python/{VERSION}",
        timings: Timings = Timings(),
    ) -> None:
        endpoints = [relay] if isinstance(relay, str) else list(relay)
        _check(endpoints, name, window, software)
        if (position is None) != (stream_id is None):
            raise ValueError("position and stream id come only together")
        if isinstance(position, str):
            position = Position.parse(position)
        if isinstance(stream_id, str):
            stream_id = UUID(stream_id)
        if own_position is None:
            # An ephemeral one has no acknowledged position that the relay would remember for it.
            own_position = position is not None or name == EPHEMERAL
        elif position is not None and not own_position:
            raise ValueError("a position was given, but own_position is false")
        self.name = name
        waker = Waker()
        backoff = Backoff(timings)
        self._inbox = Inbox(position, own_position, waker.wake, obeys_rewinds)
        self._handover = Handover(self._inbox, max_transaction_bytes)
        self._session = Session(
            self._inbox,
            backoff,
            timings,
            window=window,
            instance=secrets.randbits(64),
            software=software,
            stream_id=stream_id.bytes if stream_id else None,
            obeys_rewinds=obeys_rewinds,
        )
        self._connection = Connection(endpoints, name, self._session, self._inbox, waker, backoff, timings)
        # The thread holds no reference to this object, so dropping it, or leaving the program, ends the thread.
        self._finalizer = weakref.finalize(self, self._connection.stop)
        self._timings = timings
        self._connection.start()

    @property
    def position(self) -> Optional[Position]:
        """Everything up to here was handed out, also numbers without changes for us; None before the first session."""
        return self._inbox.position

    @property
    def stream_id(self) -> Optional[UUID]:
        """The identity of the source's stream; None before the first session."""
        stream_id = self._session.stream_id
        return None if stream_id is None else UUID(bytes=stream_id)

    @property
    def channels(self) -> List[str]:
        """The channels this subscriber takes, as the relay said; empty before the first session."""
        welcome = self._session.welcome
        return [] if welcome is None else list(welcome.channels)

    @property
    def rewound(self) -> Optional[Position]:
        """Where paysync.replay() was asked for, as the relay said when the session began; None if it was not."""
        welcome = self._session.welcome
        return None if welcome is None else welcome.rewound

    @property
    def skipped(self) -> List[int]:
        """Numbers after the session's start that paysync.skip() took out: they never come."""
        welcome = self._session.welcome
        return [] if welcome is None else list(welcome.skipped)

    @property
    def head(self) -> int:
        """The newest transaction number that the relay told of; compare with `position` to see the lag."""
        return self._session.head

    def receive(self, timeout: Optional[float] = None) -> Optional[Transaction]:
        """Wait for the next transaction; None if there is none within `timeout` seconds.

        Raises Refused, ProtocolError or CorruptError for what ends the stream, Closed after `close`, and PaysyncError
        for a transaction of more than `max_transaction_bytes`.
        """
        return self._handover.receive(timeout)

    def receive_into(self, sink: TransactionSink, timeout: Optional[float] = None) -> bool:
        """Hand the next transaction to `sink` piece by piece, in this thread. True after its commit().

        False after `timeout` seconds: a large one may then be under way, and goes on in the next call, which must bring
        the same sink. Raises as `receive`, after abort() if there was a begin(); so does a last call after `close`.
        """
        return self._handover.receive_into(sink, timeout)

    def __iter__(self) -> Iterator[Transaction]:
        """Transactions until `close`."""
        while True:
            try:
                transaction = self.receive()
            except Closed:
                return
            if transaction is not None:
                yield transaction

    def acknowledge(self, position: Union[Position, str]) -> None:
        """Tell the relay, soon, that everything up to `position` is durable here. Never blocks, never goes back.

        ValueError for a position that was not received, or whose commit() was not called.
        """
        self._inbox.acknowledge(Position.parse(position) if isinstance(position, str) else position)

    def close(self) -> None:
        """Send the last acknowledgement, say good-bye and free everything; may be called twice."""
        self._inbox.fail(Closed("subscriber is closed"), at_once=True)
        self._finalizer()
        self._connection.join(self._timings.farewell + 5.0)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check(endpoints: List[str], name: str, window: int, software: str) -> None:
    if not endpoints:
        raise ValueError("no relay endpoint is given")
    for endpoint in endpoints:
        if not endpoint.startswith(("tcp://", "ipc://")):
            raise ValueError(f'relay endpoint "{endpoint}" is neither tcp:// nor ipc://')
    if name != EPHEMERAL and not _NAME.fullmatch(name):
        raise ValueError(f'invalid subscriber name "{name}"')
    if not _WINDOW_LEAST <= window <= _WINDOW_MOST:
        raise ValueError(f"window of {window} bytes is not within {_WINDOW_LEAST} and {_WINDOW_MOST}")
    if len(software) > 255:
        raise ValueError("software name is longer than 255 characters")
