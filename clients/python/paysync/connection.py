"""The thread that owns the socket: it keeps a connection to one of the endpoints and lets a Session speak over it.

libzmq's own reconnecting is not relied on: it keeps silent about it, and after some refusals it never comes. Whatever
ends a connection, the socket is closed and another one made.

Nor are its IMMEDIATE and its way to do without reconnecting: both take the pipe of a lost connection away from the
socket, what came by it with it, and if it is between two frames of a message then, libzmq ends the process (fq.cpp).
"""

from __future__ import annotations

import logging
import socket as sockets
import threading
import time
from typing import List

import zmq
from zmq.utils.monitor import recv_monitor_message

from .errors import UNKNOWN_SUBSCRIBER, Closed, Disconnected, Dismissed, PaysyncError, Refused
from .inbox import Inbox
from .session import Session
from .timings import Backoff, Timings

log = logging.getLogger("paysync")

_MESSAGES_PER_ROUND = 64
_FAILED = (
    zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
_EVENTS = _FAILED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_SUCCEEDED
# No connection comes after the first: a socket whose connection was lost is closed long before.
_NEVER_AGAIN = 3_600_000


class Waker:
    """Lets another thread end a poll; `wake` may be called from any thread, also after `close`."""

    def __init__(self) -> None:
        self.receiver, self._sender = sockets.socketpair()
        self.receiver.setblocking(False)
        self._sender.setblocking(False)

    def wake(self) -> None:
        """End the present poll, or the next."""
        try:
            self._sender.send(b"w")
        except OSError:  # full: a wake-up is pending; closed: nobody is left to wake
            pass

    def clear(self) -> None:
        """Forget the wake-ups so far."""
        try:
            while self.receiver.recv(4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Free both ends."""
        self._sender.close()
        self.receiver.close()


class Connection(threading.Thread):
    """Runs until `stop`, or until the session or the inbox fails; then the inbox holds the reason."""

    def __init__(
        self,
        endpoints: List[str],
        name: str,
        session: Session,
        inbox: Inbox,
        waker: Waker,
        backoff: Backoff,
        timings: Timings,
    ) -> None:
        super().__init__(name=f"paysync-{name}", daemon=True)
        self._endpoints = endpoints
        self._user = name
        self._session = session
        self._inbox = inbox
        self._waker = waker
        self._backoff = backoff
        self._timings = timings
        self._stopping = threading.Event()
        self._context = zmq.Context()
        self._open = False  # the relay has let this connection in

    def stop(self) -> None:
        """Ask the thread to say good-bye and end; returns at once."""
        self._stopping.set()
        self._waker.wake()

    def run(self) -> None:
        """The thread: one connection after the other."""
        attempt = 0
        try:
            while not self._over():
                endpoint = self._endpoints[attempt % len(self._endpoints)]
                attempt += 1
                try:
                    self._converse(endpoint)
                except Disconnected as lost:
                    self._inbox.lost()
                    delay = max(self._backoff.next(), lost.delay)
                    log.warning("%s: %s; next attempt in %.1f s", endpoint, lost, delay)
                    self._pause(delay)
            self._inbox.fail(Closed("subscriber is closed"))
        except BaseException as error:
            self._inbox.fail(error)
            if not isinstance(error, PaysyncError):
                log.exception("subscriber failed")
        finally:
            self._context.destroy(linger=None)
            self._waker.close()

    def _over(self) -> bool:
        return self._stopping.is_set() or self._inbox.failure is not None

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        poller = zmq.Poller()
        poller.register(self._waker.receiver, zmq.POLLIN)
        while not self._over() and time.monotonic() < end:
            poller.poll(_milliseconds(end - time.monotonic()))
            self._waker.clear()

    def _converse(self, endpoint: str) -> None:
        socket = self._context.socket(zmq.DEALER)
        monitor = socket.get_monitor_socket(_EVENTS)
        self._open = False
        try:
            self._connect(socket, endpoint)
            self._session.hello(time.monotonic())
            self._serve(socket, monitor)
            # Closed by the user, not lost.
            self._session.farewell()
            self._speak_out(socket)
        except Dismissed:
            self._speak_out(socket)
            raise
        finally:
            socket.disable_monitor()
            monitor.close(linger=0)
            socket.close()

    def _connect(self, socket: zmq.Socket, endpoint: str) -> None:
        socket.linger = 0
        socket.rcvhwm = 4096
        socket.maxmsgsize = 80 * 1024 * 1024
        socket.reconnect_ivl = _NEVER_AGAIN
        socket.handshake_ivl = 3000
        # The user name alone: libzmq takes no empty password, and has one by default.
        socket.plain_username = self._user.encode("ascii")
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise PaysyncError(f'cannot connect to "{endpoint}": {error.strerror.lower()}') from None

    def _serve(self, socket: zmq.Socket, monitor: zmq.Socket) -> None:
        poller = zmq.Poller()
        poller.register(self._waker.receiver, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        while not self._over():
            due = self._session.tick(time.monotonic(), quiet=not socket.getsockopt(zmq.EVENTS) & zmq.POLLIN)
            self._flush(socket)
            poller.register(socket, zmq.POLLIN | (zmq.POLLOUT if self._open and self._session.outgoing else 0))
            ready = dict(poller.poll(_milliseconds(due - time.monotonic())))
            self._waker.clear()
            self._receive(socket)
            if monitor in ready:
                self._watch(monitor)

    def _receive(self, socket: zmq.Socket) -> None:
        for _ in range(_MESSAGES_PER_ROUND):
            try:
                message = socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self._session.handle(message, time.monotonic())

    def _flush(self, socket: zmq.Socket) -> None:
        outgoing = self._session.outgoing
        while self._open and outgoing:
            try:
                socket.send_multipart(outgoing[0], zmq.DONTWAIT)
            except zmq.Again:
                return
            outgoing.popleft()

    def _speak_out(self, socket: zmq.Socket) -> None:
        # The last words get a moment to leave.
        socket.linger = int(self._timings.farewell * 1000)
        self._flush(socket)

    def _watch(self, monitor: zmq.Socket) -> None:
        while True:
            try:
                event = recv_monitor_message(monitor, zmq.DONTWAIT)
            except zmq.Again:
                return
            if event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._open = True
                continue
            if event["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH and event["value"] == 400:
                raise Refused(
                    UNKNOWN_SUBSCRIBER,
                    f'relay does not accept the identity "{self._user}"',
                    "The security handshake failed with status 400.",
                    "Check the subscriber's name.",
                )
            raise Disconnected("connection failed" if event["event"] & zmq.EVENT_CLOSED else "connection lost")


def _milliseconds(seconds: float) -> int:
    return max(0, int(seconds * 1000) + 1) if seconds > 0 else 0
