"""`paysync tail` as a test sees it: a list of transactions that grows."""

import json
from pathlib import Path

import workspace

from .program import Program


class Tail(Program):
    """`paysync tail` on a relay's endpoint, for a subscriber or, without a name, from now on. Further arguments go to the
    command line as they are. Started by `start()` or as a context manager."""

    def __init__(self, endpoint: str, folder: Path, subscriber: str | None = None, arguments: list | None = None,
                 name: str = "tail"):
        who = ["--subscriber", subscriber] if subscriber else []
        super().__init__(folder, name, [workspace.BUILD / "bin" / "paysync", "tail", "--relay", endpoint, *who,
                                        *(arguments or [])])

    def start(self) -> "Tail":
        """Start it. Nothing says when it is connected: a durable subscriber misses nothing, an ephemeral one what came before."""
        self.launch()
        return self

    def transactions(self) -> list:
        """The transactions printed so far, whole lines only."""
        return [json.loads(line) for line in self.out().split("\n")[:-1]]

    def wait_for(self, count: int, deadline: float = 20.0) -> list:
        """Wait until `count` transactions are there, and return all that are."""
        self.wait_for_out(lambda text: text.count("\n") >= count, deadline, f"{count} transactions are there")
        return self.transactions()

    def __enter__(self) -> "Tail":
        return self.start()

    def __exit__(self, *_) -> None:
        self.kill()
