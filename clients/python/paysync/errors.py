"""The errors a user of the package can meet, and the relay's error codes."""

from __future__ import annotations

from typing import Optional

BAD_VERSION = 100
BAD_FRAME = 101
UNKNOWN_SUBSCRIBER = 102
GONE = 200
TRUNCATED = 201
STREAM_MISMATCH = 202
FUTURE = 203
UNKNOWN_HISTORY = 204
CUT_OFF = 205
STALE_SESSION = 301
ACK_RANGE = 302
BUSY = 303
STARTING = 401
DATABASE_DOWN = 402
PAUSED = 403
TRANSACTION_TOO_LARGE = 500
CORRUPT = 501

ERROR_NAMES = {
    BAD_VERSION: "BAD_VERSION",
    BAD_FRAME: "BAD_FRAME",
    UNKNOWN_SUBSCRIBER: "UNKNOWN_SUBSCRIBER",
    GONE: "GONE",
    TRUNCATED: "TRUNCATED",
    STREAM_MISMATCH: "STREAM_MISMATCH",
    FUTURE: "FUTURE",
    UNKNOWN_HISTORY: "UNKNOWN_HISTORY",
    CUT_OFF: "CUT_OFF",
    STALE_SESSION: "STALE_SESSION",
    ACK_RANGE: "ACK_RANGE",
    BUSY: "BUSY",
    STARTING: "STARTING",
    DATABASE_DOWN: "DATABASE_DOWN",
    PAUSED: "PAUSED",
    TRANSACTION_TOO_LARGE: "TRANSACTION_TOO_LARGE",
    CORRUPT: "CORRUPT",
}


class PaysyncError(Exception):
    """The base of every error of this package: a one-line message, and a detail and a hint that may be empty."""

    def __init__(self, message: str, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.detail:
            lines.append("DETAIL: " + self.detail)
        if self.hint:
            lines.append("HINT: " + self.hint)
        return "\n".join(lines)


class Refused(PaysyncError):
    """The relay refuses this subscriber or its position; it will not pass by itself.

    `code` is the number on the wire, `name` its name, `number` the transaction number that explains it, or 0.
    """

    def __init__(self, code: int, message: str, detail: str = "", hint: str = "", number: int = 0) -> None:
        super().__init__(message, detail, hint)
        self.code = code
        self.name = ERROR_NAMES.get(code, "ERROR")
        self.number = number

    def __str__(self) -> str:
        return f"{self.name} ({self.code}): {super().__str__()}"


class ProtocolError(PaysyncError):
    """Bytes that break the wire format, or a relay that breaks its rules. Nothing after them can be trusted."""


class CorruptError(PaysyncError):
    """A transaction whose changes do not have the count or the digest that its header gives for a channel.

    `position` is the transaction's position text; it does not count, and nothing after it was handed out.
    """

    def __init__(self, message: str, detail: str = "", hint: str = "", position: Optional[str] = None) -> None:
        super().__init__(message, detail, hint)
        self.position = position


class Fenced(PaysyncError):
    """The position in the target moved under us: another process applies for the same subscriber name."""


class Closed(PaysyncError):
    """The subscriber was closed."""


class Disconnected(Exception):
    """Inside the package only: this connection is over, come back by back-off and not before `delay` seconds."""

    delay = 0.0


class Dismissed(Disconnected):
    """Inside the package only: the relay said good-bye; the answer to that still is to be sent."""

    def __init__(self, reason: str, delay: float) -> None:
        super().__init__(reason)
        self.delay = delay
