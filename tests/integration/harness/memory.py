"""What a process takes of memory."""

from pathlib import Path


def private_bytes(pid: int) -> int:
    """Memory of a process that is its own: neither files nor what the server's processes share."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/{pid}/status has no RssAnon")
