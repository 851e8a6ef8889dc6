"""`paysync tail` and transactions in parts, against a relay that does what the test says."""

import json
import mmap
import os
import pathlib
import random
import re
import signal
import sys
import threading

import pytest

import workspace
from harness.waiting import wait_for

sys.path.insert(0, str(workspace.ROOT / "tests" / "unit_python"))

from fake_relay import FakeRelay, insert  # noqa: E402
from large_relay import PART, LargeTransaction, serve_large  # noqa: E402
from random_relay import RandomRelay, ids_of, make_stream  # noqa: E402

from paysync import frames  # noqa: E402

MEGABYTES = int(os.environ.get("LARGE_MB") or 256)
GROWTH = 64 * 1024 * 1024
FIVE = [insert(number, "x" * number) for number in range(1, 6)]


@pytest.fixture
def fake():
    """A relay that does what the test says."""
    with FakeRelay() as relay:
        yield relay


def welcome(fake, session):
    fake.welcome(session=session, head=1)


def ids(line):
    return [change["key"]["id"] for change in json.loads(line)["changes"]]


def greatest_memory(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def test_a_line_grows_as_parts_come(fake, start_tail):
    """Rule: what came is printed at once; the line is whole, and acknowledged, when its end is there."""
    tail = start_tail(fake.endpoint, subscriber="mirror", arguments=["--count", "1"])
    welcome(fake, 1)
    fake.begin(1, *FIVE)
    fake.part(1, 0, FIVE[0] + FIVE[1])
    shown = tail.wait_for_out(lambda text: '"id":"2"' in text, 20, "two changes are there")
    assert "\n" not in shown
    fake.part(1, 1, b"".join(FIVE[2:]))
    fake.end(1)
    fake.expect(frames.ACK, lambda heard: heard.a == 1)
    assert tail.wait_for_exit() == 0
    line, end = tail.out().split("\n")
    assert ids(line) == ["1", "2", "3", "4", "5"] and end == ""


@pytest.mark.parametrize("seen", range(6))
@pytest.mark.parametrize("again", range(1, 6))
def test_a_cut_line_goes_on(fake, start_tail, seen, again):
    """Rule: after a loss in mid-line no change is printed twice and none is left out, however the parts are cut anew."""
    tail = start_tail(fake.endpoint, subscriber="mirror", arguments=["--count", "1"])
    welcome(fake, 1)
    fake.begin(1, *FIVE)
    for index in range(seen):
        fake.part(1, index, FIVE[index])
    if seen:
        tail.wait_for_out(lambda text: f'"id":"{seen}"' in text, 20, "what came is printed")
    fake.error(301, session=1)
    welcome(fake, 2)
    fake.begin(1, *FIVE)
    for index, first in enumerate(range(0, 5, again)):
        fake.part(1, index, b"".join(FIVE[first:first + again]))
    fake.end(1)
    assert tail.wait_for_exit() == 0
    line, end = tail.out().split("\n")
    assert ids(line) == ["1", "2", "3", "4", "5"] and end == ""


@pytest.mark.parametrize("other", ["changes", "fewer", "transaction"])
def test_a_cut_line_that_comes_otherwise(fake, start_tail, other):
    """Rule: where what is printed and what comes again differ, it ends with status 1 and says so."""
    tail = start_tail(fake.endpoint, subscriber="mirror")
    welcome(fake, 1)
    fake.begin(1, *FIVE)
    fake.part(1, 0, b"".join(FIVE[:3]))
    tail.wait_for_out(lambda text: '"id":"3"' in text, 20, "what came is printed")
    fake.error(301, session=1)
    welcome(fake, 2)
    changes = {"changes": [FIVE[1], FIVE[0], *FIVE[2:]], "fewer": FIVE[:2], "transaction": FIVE}[other]
    fake.streamed(2 if other == "transaction" else 1, *changes)
    assert tail.wait_for_exit() == 1
    assert "\n" not in tail.out()
    assert {"changes": "other changes", "fewer": "fewer changes", "transaction": "cut off in mid-line"}[other] in tail.log()


def test_a_wrong_digest_leaves_no_line(fake, start_tail):
    """Rule: what is not as it was captured is never a whole line, nor acknowledged."""
    tail = start_tail(fake.endpoint, subscriber="mirror")
    welcome(fake, 1)
    fake.streamed(1, *FIVE, check=b"x" * 16)
    assert tail.wait_for_exit() == 1
    assert "\n" not in tail.out() and "not what was captured" in tail.log()
    assert fake.expect(frames.BYE).a == 0


def test_a_signal_in_mid_line(fake, start_tail):
    """Rule: SIGTERM lets the line at hand come to its end; where its relay is lost, it ends there with status 1."""
    for ends in (True, False):
        tail = start_tail(fake.endpoint, subscriber="mirror")
        welcome(fake, 1)
        fake.begin(1, *FIVE)
        fake.part(1, 0, FIVE[0])
        tail.wait_for_out(lambda text: '"id":"1"' in text, 20, "what came is printed")
        tail.process.send_signal(signal.SIGTERM)
        fake.nothing(frames.BYE, 0.3)
        assert tail.is_running()
        if ends:
            fake.part(1, 1, b"".join(FIVE[1:]))
            fake.end(1)
            fake.expect(frames.BYE)
            assert tail.wait_for_exit() == 0
            assert tail.out().endswith("]}\n")
        else:
            fake.send(frames.BYE, 1, 0, 60000, b"\x81\x01\xa1x")
            assert tail.wait_for_exit() == 1
            assert "cut off in mid-line" in tail.log()


@pytest.mark.parametrize("name", ["mirror", None])
def test_sessions_that_end_anywhere(fake, start_tail, name):
    """Rule: over sessions that end anywhere a tail prints each transaction once, whole, in order."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"SEED={seed}")
    stream = make_stream(random.Random(seed), 200)
    wanted = [[str(one) for one in ids_of(changes)] for changes in stream.values() if changes]
    server = RandomRelay(fake, stream, random.Random(seed + 1))
    stop = threading.Event()
    thread = threading.Thread(target=server.serve, args=(stop,), daemon=True)
    thread.start()
    try:
        tail = start_tail(fake.endpoint, subscriber=name, arguments=["--count", str(len(wanted))])
        assert tail.wait_for_exit(100) == 0
    finally:
        stop.set()
        thread.join(10)
    print(f"{server.sessions} sessions")
    assert [ids(line) for line in tail.out().splitlines()] == wanted


@pytest.mark.deadline(600)
def test_memory_is_bounded(fake, start_tail):
    """Rule: a transaction of any size takes less than 64 MiB above idle, also when its session breaks in mid-line."""
    large = LargeTransaction(MEGABYTES * 1024 * 1024 // PART)
    tail = start_tail(fake.endpoint, subscriber="mirror", arguments=["--count", "2"])
    wait_for(lambda: tail.process.poll() is None and greatest_memory(tail.process), 20, "it runs")
    idle = greatest_memory(tail.process)
    stop = threading.Event()
    highest = [idle]

    def watch():
        while not stop.is_set():
            try:
                highest.append(greatest_memory(tail.process))
            except (OSError, StopIteration):
                pass  # it has ended
            stop.wait(0.02)

    threads = [threading.Thread(target=watch, daemon=True),
               threading.Thread(target=serve_large, args=(fake, large, stop, (3, large.parts // 2)), daemon=True)]
    for thread in threads:
        thread.start()
    try:
        assert tail.wait_for_exit(500) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    with tail.out_path.open("rb") as out, mmap.mmap(out.fileno(), 0, access=mmap.ACCESS_READ) as text:
        changes = sum(1 for _ in re.finditer(b'"op":"insert"', text))
    tail.out_path.unlink()
    print(f"{large.bytes} bytes in {large.changes} changes: {max(highest) - idle} bytes above idle")
    assert changes == large.changes + 1
    assert max(highest) - idle < GROWTH
