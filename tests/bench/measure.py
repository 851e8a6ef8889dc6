"""What benchmarks share: the scale, intervals of slices, the processor time and memory of processes, and programs of ours."""

import math
import os
import statistics
import threading
from pathlib import Path

import workspace
from harness.program import Program

# Few peers, few rates, short: three minutes for all that stand beside peers.
QUICK = bool(os.environ.get("QUICK"))
# 1 is the size at which figures are promised; 0.01 takes about a minute a benchmark.
SCALE = float(os.environ.get("SCALE", "0.05" if QUICK else "1"))
SLICE_SECONDS = float(os.environ.get("SLICE_SECONDS", 1 if QUICK else 10 if SCALE >= 0.1 else 3))
SLICES = int(os.environ.get("SLICES", 2 if QUICK else 3 if SCALE < 0.1 else 10))
# What interval() gives, as tables say it.
INTERVALS = "medians and 95 % intervals" if SLICES >= 6 else "medians and ranges (fewer than six slices have no 95 % interval)"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


def scaled(count: int, least: int = 1) -> int:
    """A count at the present scale."""
    return max(least, int(count * SCALE))


def percentile(values, fraction: float) -> float:
    """The value below which this fraction of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def bounds(values: list) -> tuple:
    """The 95 % interval of the median, by order statistics: the narrowest pair of the k-th lowest and k-th highest between which the
    median lies with at least that probability, whatever the distribution. Fewer than six values have none: then their range."""
    ordered = sorted(values)
    count = len(ordered)
    # Beyond the k-th on either side: that fewer than k of `count` fair coins fall on that side.
    k = 1
    while k < count // 2 and 2 * sum(math.comb(count, i) for i in range(k + 1)) / 2**count <= 0.05:
        k += 1
    return ordered[k - 1], ordered[count - k]


def interval(values: list, digits: int = 2) -> str:
    """The median of slices, and its 95 % interval."""
    low, high = bounds(values)
    return f"{statistics.median(values):,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, its ended threads included."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS_A_SECOND


def private_bytes(pid: int) -> int:
    """Memory that is a process's own; 0 once it is gone. A server's shared buffers do not count, whoever touched them."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("RssAnon:"))


class Peaks(threading.Thread):
    """Samples the private memory of processes and keeps the highest above what it was at the start, by name."""

    def __init__(self, pids: dict):
        super().__init__(daemon=True)
        self.pids = pids
        self.idle = {name: private_bytes(pid) for name, pid in pids.items()}
        self.highest = dict(self.idle)
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(0.05):
            for name, pid in self.pids.items():
                self.highest[name] = max(self.highest[name], private_bytes(pid))

    def above_idle(self) -> dict:
        """Name to bytes."""
        return {name: self.highest[name] - self.idle[name] for name in self.pids}

    def __enter__(self) -> "Peaks":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopping.set()
        self.join()


class Noting(Program):
    """A program that prints "ready", then for each row its id and the monotonic clock in nanoseconds when it came."""

    def start(self) -> "Noting":
        """Start it; returns when it is ready."""
        self.launch()
        self.wait_for_out(lambda text: "ready\n" in text, 600, "it is ready")
        return self

    def seen(self) -> dict:
        """Id of a row to the times at which it came, on the monotonic clock, in seconds."""
        times = {}
        for line in self.out().split("\n")[:-1]:
            words = line.split()
            if len(words) == 2:
                times.setdefault(int(words[0]), []).append(int(words[1]) / 1e9)
        return times

    def __enter__(self) -> "Noting":
        return self.start()

    def __exit__(self, *_) -> None:
        self.kill()


class Readers(Noting):
    """Subscribers PREFIX0, PREFIX1 … in one process (readers.cpp): ready when all have a session and have caught up, as far as they
    read. Those that are `idle` have sessions and never take anything."""

    def __init__(self, folder: Path, endpoint: str, prefix: str, count: int, idle: bool = False):
        super().__init__(folder, f"readers_{prefix}", [workspace.BUILD / "bench" / "bin" / "readers", endpoint, prefix, count,
                                                       *(["idle"] if idle else [])])
        self.count = count
