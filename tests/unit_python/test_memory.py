"""Memory of the Python client, bounded whatever the size of a transaction (LARGE_MB= in the environment, 192 by default)."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading

import pytest
from large_relay import PART, LargeTransaction, serve_large

MEGABYTES = int(os.environ.get("LARGE_MB") or 192)
GROWTH = 64 * 1024 * 1024


@pytest.mark.parametrize("way", ["sink", "run"])
def test_memory_is_bounded(relay, postgres, way):
    """Rule: a transaction of any size takes less than 64 MiB above idle, in pieces and in exactly-once application."""
    large = LargeTransaction(MEGABYTES * 1024 * 1024 // PART)
    with postgres.connect(autocommit=True) as connection:
        connection.execute("drop table if exists paysync_position")
    stop = threading.Event()
    server = threading.Thread(target=serve_large, args=(relay, large, stop), daemon=True)
    server.start()
    script = str(pathlib.Path(__file__).with_name("take_large.py"))
    arguments = [relay.endpoint, postgres.dsn] if way == "run" else [relay.endpoint]
    try:
        done = subprocess.run([sys.executable, "-B", script, way, *arguments], capture_output=True, text=True, timeout=600)
    finally:
        stop.set()
        server.join(10)
    assert done.returncode == 0, done.stderr
    growth, count = map(int, done.stdout.split())
    print(f"{large.bytes} bytes in {large.changes} changes: {growth} bytes above idle")
    assert count == large.changes + 1
    assert growth < GROWTH
