"""The Python client of large.py: takes so many transactions in parts and prints how many changes the last one had.

Usage: take_large.py RELAY SUBSCRIBER COUNT
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients" / "python"))

from paysync import Subscriber  # noqa: E402


class Counter:
    """A sink that counts."""

    def __init__(self):
        self.position = None
        self.count = 0

    def begin(self, head) -> None:
        self.position = head.position
        self.count = 0

    def changes(self, changes) -> None:
        self.count += len(changes)

    def commit(self) -> None:
        pass

    def abort(self) -> None:
        self.count = 0


def main(relay: str, name: str, count: str) -> None:
    sink = Counter()
    with Subscriber(relay, name) as subscriber:
        left = int(count)
        while left:
            if subscriber.receive_into(sink, 1):
                subscriber.acknowledge(sink.position)
                left -= 1
    print(f"took {sink.count}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
