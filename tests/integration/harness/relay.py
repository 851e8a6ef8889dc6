"""The relay as a test sees it."""

import re
from pathlib import Path

import workspace

from .program import Program
from .waiting import free_port, wait_for


class Relay(Program):
    """`paysync-relay` on a database (a connection string or a Database), bound to a free port or to `bind` (tcp:// or ipc://), and
    serving HTTP at a free port unless `http` says otherwise (None: whatever its own configuration says). Further arguments go to
    the command line as they are. Started by `start()` or as a context manager."""

    def __init__(self, database, folder: Path, bind: str | None = None, arguments: list | None = None, name: str = "relay",
                 http: str | None = "127.0.0.1:0"):
        self.endpoint = bind or f"tcp://127.0.0.1:{free_port()}"
        self.dsn = database if isinstance(database, str) else database.conninfo()
        super().__init__(folder, name, [workspace.BUILD / "bin" / "paysync-relay", "--dsn", self.dsn, "--bind", self.endpoint,
                                        *([] if http is None else ["--http", http]), *(arguments or [])])

    def http_address(self, deadline: float = 20.0) -> str:
        """Where it serves HTTP; one that stands by says so too, in its log."""
        started = self.log().rfind(" starting ")

        def look() -> str | None:
            found = re.search(r" http address=(\S+)\n", self.log()[max(started, 0):])
            return found and found[1]

        return wait_for(look, deadline, lambda: f"{self.name} serves HTTP; its log: {self.log()[-2000:]}")

    def start(self, deadline: float = 20.0) -> "Relay":
        """Start it and wait for its `ready` line."""
        self.launch()
        self.wait_for_out(lambda text: any(line.startswith("ready") for line in text.split("\n")[:-1]), deadline, "it is ready")
        return self

    def stop(self, deadline: float = 20.0) -> int:
        """SIGTERM, and wait: a relay that drains exits with 0, anything else is an AssertionError."""
        if self.process is None:
            return 0
        status = super().stop(deadline)
        assert status == 0, f"{self.name} ended with status {status}: {self.log()[-2000:]}"
        return status

    def restart(self) -> "Relay":
        """Kill it without warning and start it again on the same endpoint."""
        self.kill()
        return self.start()

    def __enter__(self) -> "Relay":
        return self.start()

    def __exit__(self, kind, *_) -> None:
        # With an error on its way already, how the relay ends is not the news.
        if kind is None and self.is_running():
            self.stop()
        else:
            self.kill()
