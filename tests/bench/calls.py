"""What preload/calls.cpp noted of a process: when its calls that wait, wake and write began and ended."""

import bisect
from collections import defaultdict
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import workspace

LIBRARY = workspace.BUILD / "bench" / "lib" / "calls.so"
# The order of `enum Call` there.
NAMES = ("poll", "epoll_wait", "recv", "send", "read", "write", "pwrite", "fdatasync", "kill", "wait for a condition")
POLL, EPOLL_WAIT, RECV, SEND, READ, WRITE, PWRITE, FDATASYNC, KILL, CONDITION = range(len(NAMES))
RECORD = Struct("=qqihhq")


class Call(NamedTuple):
    """One call; nanoseconds of the monotonic clock. `about`: a descriptor, or a signal's number."""

    begin: int
    end: int
    thread: int
    kind: int
    about: int
    result: int


def watched(command: list, folder: Path) -> list:
    """The command with its calls noted below `folder`, those of the processes that it starts too."""
    return ["env", f"LD_PRELOAD={LIBRARY}", f"CALLS_FOLDER={folder}", *map(str, command)]


class Calls:
    """Of one process, between two moments, by kind."""

    def __init__(self, folder: Path, pid: int, began: int, ended: int):
        self.pid = pid
        self.by_kind = defaultdict(list)
        with (folder / str(pid)).open("rb") as file:
            while record := file.read(RECORD.size):
                call = Call._make(RECORD.unpack(record))
                if call.end == 0:
                    break
                if began <= call.begin and call.end <= ended:
                    self.by_kind[call.kind].append(call)

    def of(self, kind: int, wanted=lambda call: True) -> "Moments":
        """Those of one kind that are `wanted`."""
        return Moments([call for call in self.by_kind[kind] if wanted(call)])

    def on_main(self, call: Call) -> bool:
        """Whether the process's first thread made it."""
        return call.thread == self.pid

    def beside_main(self, call: Call) -> bool:
        """Whether another thread made it."""
        return call.thread != self.pid


class Moments:
    """When calls of one kind began and ended, in order. Questions are answered with nanoseconds, or None."""

    def __init__(self, calls: list):
        self.begins = sorted(call.begin for call in calls)
        self.ends = sorted(call.end for call in calls)

    @staticmethod
    def _at(moments: list, at: int) -> int | None:
        return moments[at] if 0 <= at < len(moments) else None

    def first_begun(self, moment: int) -> int | None:
        """When the first began at or after the moment."""
        return self._at(self.begins, bisect.bisect_left(self.begins, moment))

    def last_begun(self, moment: int) -> int | None:
        """When the last began before the moment."""
        return self._at(self.begins, bisect.bisect_left(self.begins, moment) - 1)

    def first_ended(self, moment: int) -> int | None:
        """When the first ended after the moment: who slept until then was woken."""
        return self._at(self.ends, bisect.bisect_right(self.ends, moment))

    def last_ended(self, moment: int) -> int | None:
        """When the last ended at or before the moment."""
        return self._at(self.ends, bisect.bisect_right(self.ends, moment) - 1)
