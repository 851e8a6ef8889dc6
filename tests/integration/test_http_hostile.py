"""Peers of the HTTP address that do not behave: they cost the relay's loop nothing and keep nobody out."""

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from harness import wait_for
from harness.hostile import is_thrown_out, resident_bytes
from harness.prometheus import Metrics, get
from paysync import Subscriber

CONNECTIONS = 10_000
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: relay\r\n"


@pytest.fixture
def served(database, relay):
    """A relay with a registered table and the subscriber "mirror"."""
    database.execute("create table payments (id bigint primary key)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    return relay


def connect(address: str) -> socket.socket:
    """A connection, with a deadline for everything."""
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def loop_seconds(pid: int) -> float:
    """Processor time of the relay's loop alone: its main thread's."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_ten_thousand_connections(served, database):
    """Rule: 10,000 connections that say nothing take at most 40 descriptors and 16 MiB of the relay, and no time of its loop; a
    scraper and a subscriber are served all the while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(CONNECTIONS, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    address, pid = served.http_address(), served.process.pid
    opened, most, used = descriptors(pid), 0, loop_seconds(pid)
    memory, began = resident_bytes(pid), time.monotonic()
    try:
        # What the test itself needs it opens first: its libraries wait with select(), which ends at descriptor 1024.
        with database.connect() as session, Subscriber(served.endpoint, "mirror") as subscriber, contextlib.ExitStack() as stack:
            for number in range(count):
                stack.enter_context(connect(address))
                if number % 1000 == 0:
                    most = max(most, descriptors(pid))
                    assert get(address, "/healthz")[::2] == (200, "ok\n")
                    session.execute("insert into payments values (%s)", (number,))
                    assert subscriber.receive(5).changes[0].key == {"id": number}
            metrics = Metrics(address)
        assert metrics["paysync_http_connections_cut_total"] >= count - 100
        assert most - opened < 40, f"{most - opened} descriptors"
        assert resident_bytes(pid) - memory < 16 << 20
        assert loop_seconds(pid) - used < 0.2 * (time.monotonic() - began) + 0.2
        wait_for(lambda: descriptors(pid) <= opened + 2, 20, "the descriptors come back")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_byte_now_and_then(served):
    """Rule: who sends a request byte by byte has five seconds for it, however often a byte comes, and so has who takes no answer."""
    address = served.http_address()
    with connect(address) as slow, connect(address) as deaf:
        began = time.monotonic()
        slow.sendall(REQUEST)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.sendall(REQUEST.replace(b"healthz", b"metrics"))
        assert is_thrown_out(slow, 15, pushing=b"X: y\r\n"[:1])
        assert 3 < time.monotonic() - began < 9
    metrics = Metrics(address)
    assert metrics["paysync_http_connections_cut_total"] >= 1


def test_a_scraper_gets_through_the_slow(served):
    """Rule: as many slow requests as there may be connections, made again as fast as they are cut, keep no scraper out."""
    address, stopping = served.http_address(), threading.Event()

    def attack() -> None:
        peers = []
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                peers.append(connect(address))
                peers[-1].sendall(REQUEST)
            for peer in peers[:-100]:
                peer.close()
            del peers[:-100]
        for peer in peers:
            peer.close()

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        answered = 0
        for _ in range(50):
            with contextlib.suppress(OSError):
                answered += get(address, "/healthz", timeout=2)[0] == 200
        assert answered >= 40
    finally:
        stopping.set()
        thread.join()


@pytest.mark.parametrize("noise", [
    b"GET / HTTP/1.1\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n", b"GET /" + b"a" * (1 << 20), b"\0" * 65536, b"\xff" * 4096,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600, b"GET\r\n\r\n", b"POST /metrics HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 99999999999\r\n\r\n" + b"z" * (1 << 20), b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff"
    b"fffffff\r\n", b"".join(b"X%d: y\r\n" % i for i in range(100_000))],
    ids=["huge header", "huge path", "zeros", "ones", "tls", "half a line", "huge body", "bad chunk", "many headers"])
def test_garbage(served, noise):
    """Rule: what is no request, or a huge one, ends its connection and costs no memory."""
    address, pid = served.http_address(), served.process.pid
    memory = resident_bytes(pid)
    with connect(address) as peer:
        with contextlib.suppress(OSError):
            peer.sendall(noise)
        assert is_thrown_out(peer, 10)
    assert resident_bytes(pid) - memory < 4 << 20
    assert get(address, "/healthz")[0] == 200


def test_no_descriptor_is_left(database, start_relay):
    """Rule: where the process has no descriptor left the HTTP thread waits for one, without spinning, and serves again."""
    relay = start_relay(database)
    address, pid = relay.http_address(), relay.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = min(number for number in range(len(taken) + 1) if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with connect(address):
            stat = Path(f"/proc/{pid}/stat")
            spent = sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13]))
            ends = time.monotonic() + 2
            wait_for(lambda: time.monotonic() > ends, 5)
            assert sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13])) - spent < 50
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert get(address, "/healthz")[0] == 200


def test_a_process_that_was_stopped_gets_well(served):
    """Rule: a relay that was stopped for more than five seconds is healthy again by itself once it goes on."""
    os.kill(served.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 6, 10)
    os.kill(served.process.pid, signal.SIGCONT)
    wait_for(lambda: get(served.http_address(), "/healthz")[0] == 200, 5)
