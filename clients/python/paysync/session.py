"""The subscriber's half of the protocol (docs/wire.md, sections 6 to 9), without socket, thread or clock.

Frames and times go in, frames to send come out in `outgoing`; Disconnected says that the connection is of no more use,
Dismissed that it is once `outgoing` was sent.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Deque, Dict, List, Optional, Sequence

from . import errors, frames, messages
from .changes import Shape
from .decode import Begin, decode_batch, decode_begin, decode_part, decode_shapes
from .errors import Disconnected, Dismissed, ProtocolError, Refused
from .inbox import Inbox, Progress
from .pieces import Delivery, Piece
from .timings import Backoff, Timings

log = logging.getLogger("paysync")

_MESSAGES_PER_ACK = 64
_LONGEST_BYE = 60.0
_DATA = {frames.SHAPES, frames.BATCH, frames.BEGIN, frames.PART, frames.END}
_WITH_BODY = _DATA - {frames.END} | {frames.WELCOME, frames.ERROR, frames.BYE}
_FROM_RELAY = _WITH_BODY | {frames.END, frames.PING, frames.PONG}


class Session:
    """One subscriber's conversation with a relay, over as many sessions and connections as it takes."""

    def __init__(
        self,
        inbox: Inbox,
        backoff: Backoff,
        timings: Timings,
        *,
        window: int,
        instance: int,
        software: str,
        stream_id: Optional[bytes],
        obeys_rewinds: bool = False,
    ) -> None:
        self.outgoing: Deque[List[bytes]] = deque()
        self.stream_id = stream_id
        self.welcome: Optional[messages.Welcome] = None
        self.head = 0
        self._inbox = inbox
        self._backoff = backoff
        self._timings = timings
        self._window = window
        self._instance = instance
        self._software = software
        self._obeys_rewinds = obeys_rewinds
        self._id = 0
        self._hello_at = 0.0
        self._asked: Optional[str] = None
        self._forget()

    def _forget(self) -> None:
        self._id = 0
        self._shapes: Dict[int, Shape] = {}
        self._last = 0
        self._version = 0
        self._streamed: Optional[Begin] = None  # the transaction whose parts come in
        self._index = 0  # of its next part
        self._bytes_left = 0  # of it
        self._received = 0
        self._acked = 0
        self._granted = self._window
        self._messages_acked = 0
        self._ack_at = 0.0
        self._heard = 0.0
        self._pinged = 0.0

    def hello(self, now: float) -> None:
        """Begin a session; first thing on every connection. What was not handed out yet is thrown away."""
        self._forget()
        position = self._inbox.restart()
        self._asked = None if position is None else str(position)
        body = messages.encode_hello(
            messages.Hello(
                frames.LOWEST_VERSION,
                frames.HIGHEST_VERSION,
                self.stream_id if self._asked else None,
                self._asked,
                self._window,
                self._software,
                self._obeys_rewinds,
            )
        )
        self.outgoing.clear()
        self.outgoing.append([frames.encode_frame(frames.HELLO, 0, 0, self._instance), body])
        self._hello_at = now

    def handle(self, message: Sequence[bytes], now: float) -> None:
        """Take one message. Raises Disconnected, Refused (it will not pass) or ProtocolError."""
        frame = frames.decode_frame(message[0])
        if frames.is_ignorable(frame.kind):
            self._heard = now
            return
        if len(message) > 2:
            raise ProtocolError(f"message of {len(message)} frames")
        if frame.kind not in _FROM_RELAY:
            raise ProtocolError(f"relay sent the subscriber's message {frames.KIND_NAMES[frame.kind]}")
        if (len(message) == 2) != (frame.kind in _WITH_BODY):
            raise ProtocolError(f"{frames.KIND_NAMES[frame.kind]} with {len(message)} frames")
        self._heard = now
        body = message[1] if len(message) == 2 else b""
        if frame.kind == frames.WELCOME:
            self._on_welcome(frame, body, now)
        elif frame.kind in (frames.ERROR, frames.BYE) and frame.session in (0, self._id):
            self._on_end(frame, body, now)
        elif frame.session != self._id or self._id == 0:
            log.debug("dropped %s of session %d", frames.KIND_NAMES[frame.kind], frame.session)
        elif frame.kind in _DATA:
            self._on_data(frame, body, now)
        else:
            self._on_heartbeat(frame, now)

    def tick(self, now: float, quiet: bool) -> float:
        """Do what is due; returns the time of the next call. `quiet`: nothing more is waiting to be handled."""
        if self._id == 0:
            if now - self._hello_at >= self._timings.welcome:
                raise Disconnected(f"no answer to HELLO within {self._timings.welcome} s")
            return self._hello_at + self._timings.welcome
        if self._inbox.take_restart():
            self._again("the application gave a transaction back", now)
            return now
        if now - self._heard >= self._timings.dead:
            raise Disconnected(f"nothing heard for {self._timings.dead} s")
        progress = self._progress()
        if now - max(self._heard, self._pinged) >= self._timings.ping:
            self._pinged = now
            self._send(frames.PING, progress.applied, self._received)
        due = min(self._heard + self._timings.dead, max(self._heard, self._pinged) + self._timings.ping)
        limit = progress.consumed + self._window
        if progress.applied > self._acked or limit > self._granted:
            if (
                (quiet and progress.idle and progress.applied > self._acked)
                or progress.messages - self._messages_acked >= _MESSAGES_PER_ACK
                or limit - self._granted >= self._window // 2
                or now >= self._ack_at
            ):
                self._acknowledge(progress.applied, limit, now)
                self._messages_acked = progress.messages
            else:
                due = min(due, self._ack_at)
        return due

    def farewell(self) -> None:
        """Queue the last ACK and BYE."""
        self.outgoing.clear()
        if self._id:
            progress = self._progress()
            self._acknowledge(progress.applied, max(self._granted, progress.consumed + self._window), 0.0)
            self._send(frames.BYE, progress.applied, 0)

    def _progress(self) -> Progress:
        # The application may have applied what an earlier session brought and this one has not yet: it comes again.
        progress = self._inbox.progress()
        return progress._replace(applied=min(progress.applied, self._last))

    def _send(self, kind: int, a: int, b: int) -> None:
        self.outgoing.append([frames.encode_frame(kind, self._id, a, b)])

    def _acknowledge(self, applied: int, limit: int, now: float) -> None:
        self._acked = applied
        self._granted = limit
        self._ack_at = now + self._timings.ack
        self._send(frames.ACK, applied, limit)

    def _on_welcome(self, frame: frames.Frame, body: bytes, now: float) -> None:
        if self._id != 0:
            log.debug("dropped WELCOME of session %d", frame.session)
            return
        welcome = messages.decode_welcome(body)
        if frame.session == 0:
            raise ProtocolError("WELCOME without a session id")
        if not frames.LOWEST_VERSION <= welcome.version <= frames.HIGHEST_VERSION:
            raise ProtocolError(f"relay chose version {welcome.version}, which was not offered")
        if welcome.position.number != frame.a:
            raise ProtocolError(f"WELCOME goes on after {frame.a} and after {welcome.position}")
        if self.stream_id is not None and welcome.stream_id != self.stream_id:
            raise Refused(
                errors.STREAM_MISMATCH,
                f"relay serves stream {welcome.stream_id.hex()} instead of {self.stream_id.hex()}",
                "Its numbers mean other transactions than those that this subscriber has.",
                "Check that all endpoints belong to one database.",
            )
        self._inbox.begin(welcome.position, welcome.rewound)
        self._version = welcome.version
        self._id = frame.session
        self._last = self._acked = frame.a
        self.head = frame.b
        self.stream_id = welcome.stream_id
        self.welcome = welcome
        log.info("session begins as %s after %s, head %d", welcome.subscriber, welcome.position, frame.b)

    def _on_data(self, frame: frames.Frame, body: bytes, now: float) -> None:
        before = self._received
        self._received += len(body)
        if self._received != frame.a:
            self._again(f"{frame.a} bytes were sent, {self._received} received", now)
            return
        if self._received > self._granted and before > self._granted - self._window:
            raise ProtocolError(f"relay sent {self._received} bytes with a credit of {self._granted}")
        if frame.kind not in (frames.SHAPES, frames.BATCH):
            self._on_piece(frame, body, now)
            return
        if self._streamed is not None:
            raise ProtocolError(f"relay sent {frames.KIND_NAMES[frame.kind]} inside of a transaction")
        if frame.kind == frames.SHAPES:
            for shape in decode_shapes(body):
                if self._shapes.setdefault(shape.id, shape) != shape:
                    raise ProtocolError(f'shape {shape.id} of "{shape.schema}.{shape.table}" changed')
            self._inbox.count(len(body))
            return
        batch = decode_batch(body)
        if batch.prev != self._last:
            self._again(f"batch goes on after {batch.prev}, received up to {self._last}", now)
            return
        if batch.last != frame.b:
            raise ProtocolError(f"batch up to {batch.last} was announced as up to {frame.b}")
        self._last = batch.last
        self.head = max(self.head, batch.last)
        self._backoff.reset()
        self._inbox.put(Delivery(batch, self._shapes, len(body)))

    def _on_piece(self, frame: frames.Frame, body: bytes, now: float) -> None:
        name, streamed = frames.KIND_NAMES[frame.kind], self._streamed
        if self._version < frames.STREAMING_VERSION:
            raise ProtocolError(f"relay sent {name} in a session of version {self._version}")
        if (frame.kind == frames.BEGIN) != (streamed is None):
            raise ProtocolError(f"relay sent {name} {'outside' if streamed is None else 'inside'} of a transaction")
        if frame.kind == frames.BEGIN:
            self._on_begin(frame, body, now)
        elif streamed is None or streamed.head.number != frame.b:
            raise ProtocolError(f"relay sent {name} of another transaction, {frame.b}")
        elif frame.kind == frames.PART:
            self._on_part(frame.b, body, now)
        else:
            self._streamed = None
            self._last = frame.b
            # Only now: a relay that fails inside of a transaction, time after time, gets time.
            self._backoff.reset()
            self._inbox.put(Piece(frame.b, 0, self._shapes))

    def _on_begin(self, frame: frames.Frame, body: bytes, now: float) -> None:
        begin = decode_begin(body)
        number = begin.head.number
        if begin.prev != self._last:
            self._again(f"transaction goes on after {begin.prev}, received up to {self._last}", now)
            return
        if number != frame.b:
            raise ProtocolError(f"transaction {number} was announced as {frame.b}")
        self._streamed, self._index, self._bytes_left = begin, 0, begin.head.streamed_bytes
        self.head = max(self.head, number)
        self._inbox.put(Piece(number, len(body), self._shapes, begin=begin))

    def _on_part(self, number: int, body: bytes, now: float) -> None:
        part = decode_part(body)
        if part.index != self._index:
            self._again(f"part {part.index} came instead of part {self._index}", now)
            return
        self._index += 1
        self._bytes_left -= len(part.data)
        if self._bytes_left < 0:
            raise ProtocolError(f"relay sent more of transaction {number} than it announced")
        self._inbox.put(Piece(number, len(body), self._shapes, data=part.data, unfinished=part.unfinished))

    def _on_heartbeat(self, frame: frames.Frame, now: float) -> None:
        # PONG as well: who pings first keeps the other from ever being silent enough to ping.
        if frame.b != self._received:
            self._again(f"{frame.b} bytes were sent, {self._received} received", now)
            return
        self.head = frame.a
        self._backoff.reset()
        if frame.kind == frames.PING:
            self._send(frames.PONG, self._progress().applied, self._received)

    def _on_end(self, frame: frames.Frame, body: bytes, now: float) -> None:
        if frame.kind == frames.BYE:
            self.farewell()
            raise Dismissed(f"relay says good-bye: {messages.decode_bye(body)}", min(frame.b / 1000, _LONGEST_BYE))
        failure = messages.decode_failure(body)
        if frame.a == errors.STALE_SESSION:
            # While a HELLO is under way this is about a frame that was sent before it.
            if self._id:
                self._again("relay does not know the session", now)
            return
        if 400 <= frame.a <= 499:
            raise Disconnected(f"relay is not ready: {failure.message} ({frame.a})")
        message = failure.message or "relay refuses this subscriber"
        raise Refused(frame.a, message, failure.detail, failure.hint, frame.b)

    def _again(self, reason: str, now: float) -> None:
        # At once, unless that is what the last attempt did and nothing came of it.
        if not self._backoff.fresh:
            raise Disconnected(reason)
        log.warning("session begins anew: %s", reason)
        self._backoff.next()
        self.hello(now)
