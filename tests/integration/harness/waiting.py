"""Waiting for a condition with a deadline, and small facts about processes and ports."""

import socket
import time
from pathlib import Path

STEP = 0.01


def wait_for(condition, deadline: float = 10.0, message: str = "the condition", step: float = STEP):
    """Call `condition` until it returns something true and return that; after `deadline` seconds an AssertionError says what
    was waited for. `message` may be a function, called for the error only. `step`: seconds between two calls."""
    ends = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= ends:
            raise AssertionError(f"{message() if callable(message) else message}: not within {deadline:g} s")
        time.sleep(step)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now, below 32768 where outgoing connections take none: a loopback client
    that keeps reconnecting to a port of the ephemeral range can connect to itself."""
    for _ in range(1000):
        port = 20000 + int.from_bytes(Path("/dev/urandom").open("rb").read(2), "big") % 12000
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def child_pids(pid: int) -> list:
    """The children of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
