"""What a server uses: processor time of all its processes, those that have ended too, and bytes of its log."""

from pathlib import Path

from harness.waiting import child_pids
from measure import TICKS_A_SECOND


def own_seconds(pid: int) -> float:
    """Processor time of a process that has one thread; 0 once it is gone. To the nanosecond where the kernel tells."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        pass
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICKS_A_SECOND


def of_ended(pid: int) -> float:
    """Processor time of a process's children that have ended and were waited for."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[13]) + int(words[14])) / TICKS_A_SECOND


def processor_seconds(server, without: int = 0) -> float:
    """Processor time of a server since it started: the postmaster, its children but one, and those that have ended."""
    postmaster = server.process.pid
    while True:
        # A child that ends in between would count twice or not at all.
        children = child_pids(postmaster)
        ended = of_ended(postmaster)
        alive = sum(own_seconds(pid) for pid in [postmaster, *children] if pid != without)
        if child_pids(postmaster) == children and of_ended(postmaster) == ended:
            return ended + alive


class Use:
    """What a server used since this object was made. It is asked over a session whose own backend does not count."""

    def __init__(self, server, session):
        self.server, self.session = server, session
        self.log_began = self._written()
        self.began = processor_seconds(server, session.info.backend_pid)

    def seconds(self) -> float:
        """Processor time."""
        return processor_seconds(self.server, self.session.info.backend_pid) - self.began

    def log_bytes(self) -> int:
        """Bytes of the write-ahead log."""
        return self._written() - self.log_began

    def _written(self) -> int:
        return int(self.session.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()[0])
