"""Peers that say too much, or more than is true: what they cost is theirs alone."""

import struct
import time

import msgpack
import pytest
import zmq

from harness import wait_for
from harness.hostile import Peer
from harness.memory import private_bytes
from harness.raw_session import BATCH, SHAPES, RawSession
from paysync import frames

MIB = 1 << 20
HELLO_BODY = msgpack.packb({1: 1, 2: 2, 3: None, 4: None, 5: 1 << 20, 6: "flood"})


@pytest.fixture(name="source")
def fixture_source(database):
    """A table, and the subscribers "mirror" and "other"."""
    database.execute("create table payments (id int primary key, note text)")
    database.execute("alter table payments alter note set storage external")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror'), paysync.create_subscriber('other')")
    return database


def flood(peer: Peer, seconds: float) -> None:
    """HELLO upon HELLO, as fast as they go; answers are taken and thrown away."""
    ends, nonce = time.monotonic() + seconds, 1000
    while time.monotonic() < ends:
        nonce += 1
        try:
            peer.socket.send_multipart([frames.encode_frame(frames.HELLO, 0, 0, nonce), HELLO_BODY], zmq.DONTWAIT)
        except zmq.Again:
            peer.socket.poll(1, zmq.POLLOUT)
        while peer.socket.poll(0):
            peer.socket.recv_multipart()


@pytest.mark.parametrize("name", ["*", "mirror", "other"])
def test_a_flood_of_hellos(source, relay, name):
    """Rule: however often a connection says HELLO, few statements of it wait for the database: memory stays, and what others get
    and acknowledge comes through at once. It asks for a place of its own, for one that is free, or for one that is taken."""
    before = private_bytes(relay.process.pid)
    with RawSession(relay.endpoint, "other") as other, Peer(relay.endpoint, name) as peer:
        other.welcome()
        flood(peer, 2.0)
        source.execute("insert into payments values (1, 'in the flood')")
        message = other.receive(5)
        while message is not None and message.kind == SHAPES:
            message = other.receive(5)
        assert message is not None and message.kind == BATCH, message
        other.acknowledge(message.b)
        wait_for(lambda: source.value("select position from paysync.subscribers where name = 'other'").endswith(":1"), 5,
                 "the acknowledgement is written")
        assert private_bytes(relay.process.pid) - before < 16 * MIB


def test_hellos_at_a_database_that_hangs(source, relay):
    """Rule: of one connection's HELLOs few are asked of the database, also where it answers none of them for a while."""
    opened = "select last_value from paysync.revision"  # each that is asked makes a subscriber
    before = source.value(opened)
    with source.connect() as holder, Peer(relay.endpoint, "*") as peer:
        holder.execute("begin")
        holder.execute("lock table paysync.subscriber in access exclusive mode")
        for nonce in range(1, 1001):
            peer.socket.send_multipart([frames.encode_frame(frames.HELLO, 0, 0, nonce), HELLO_BODY])
            peer.socket.poll(1)  # no answer can come; meanwhile the loop turns
        holder.execute("rollback")
        with RawSession(relay.endpoint, "other") as other:
            other.welcome()  # asked behind all of them
    assert source.value(opened) - before <= 40


def test_who_comes_for_a_place_that_is_taken_has_it_asked_now_and_then(source, relay):
    """Rule: however often its place is asked for, a session gets a PING for it ten times a second at most."""
    with Peer(relay.endpoint, "mirror") as holder, Peer(relay.endpoint, "mirror") as rival:
        holder.hello()
        session = holder.expect(frames.WELCOME)[0].session
        for nonce in range(2, 1002):
            rival.hello(nonce=nonce)
        pings, ends = 0, time.monotonic() + 1
        while (left := ends - time.monotonic()) > 0:
            answer = holder.receive(left)
            if answer is not None and answer[0].kind == frames.PING:
                pings += 1
                holder.send(frames.encode_frame(frames.PONG, session, 0, 0))
        assert 1 <= pings <= 15


def test_many_that_read_nothing(source, start_relay):
    """Rule: however many sessions ask for a lot and read nothing, what the relay holds for them has one bound; and one that reads
    gets everything meanwhile."""
    relay = start_relay(source, arguments=["--window-bytes", str(MIB)])
    before = private_bytes(relay.process.pid)
    with RawSession(relay.endpoint, "mirror") as reader:
        reader.welcome()
        start = source.value("select position from paysync.subscribers where name = 'mirror'")
        stream = source.value("select stream_id from paysync.stream")
        with source.connect() as writer:
            for number in range(60):
                writer.execute("insert into payments values (%s, repeat('x', 1000000))", (number,))
        context = zmq.Context()
        body = msgpack.packb({1: 1, 2: 2, 3: stream.bytes, 4: start, 5: 64 << 20, 6: "greedy"})
        try:
            for nonce in range(12):
                socket = context.socket(zmq.DEALER)
                socket.rcvhwm, socket.rcvbuf, socket.plain_username = 1, 4096, b"*"
                socket.connect(relay.endpoint)
                socket.send_multipart([frames.encode_frame(frames.HELLO, 0, 0, nonce), body])
            most, taken = 0, 0
            while taken < 60:
                message = reader.receive(20)
                assert message is not None, f"{taken} transactions came"
                if message.kind == BATCH:
                    taken = message.b
                    reader.acknowledge(taken)
                most = max(most, private_bytes(relay.process.pid) - before)
            # Four windows shared, as much again of who had it before, and what each has packed.
            assert most < 8 * MIB + 14 * 3 * MIB, most / MIB
        finally:
            context.destroy(linger=0)


def test_credit_for_what_was_not_read(source, relay):
    """Rule: a peer that grants credit without end and reads nothing has its window and one message in the relay's memory, not
    what it says it has consumed."""
    before = private_bytes(relay.process.pid)
    with source.connect() as writer:
        for number in range(150):
            writer.execute("insert into payments values (%s, repeat('x', 1000000))", (number,))
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    # Its own library must not read for it either.
    socket.rcvhwm, socket.rcvbuf, socket.sndtimeo, socket.plain_username = 1, 4096, 5000, b"mirror"
    try:
        socket.connect(relay.endpoint)
        socket.send_multipart([frames.encode_frame(frames.HELLO, 0, 0, 1), HELLO_BODY])
        assert socket.poll(10000)
        session = struct.unpack(">HBBIQQQ", socket.recv_multipart()[0])[4]
        ends, seen = time.monotonic() + 5, []

        def grant() -> bool:
            socket.send_multipart([frames.encode_frame(frames.ACK, session, 0, 1 << 62)])
            seen.append(private_bytes(relay.process.pid) - before)
            return time.monotonic() >= ends

        wait_for(grant, 15, "credit was granted for five seconds", step=0.02)
        assert max(seen) < 24 * MIB
    finally:
        context.destroy(linger=0)
