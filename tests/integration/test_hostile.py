"""What comes from the network is hostile until it is parsed: each attack ends with its sender, the relay serves the others."""

import contextlib
import os
import random
import time

import msgpack
import pytest
import zmq

from harness import wait_for
from harness.faults import luck
from harness.hostile import (COMMAND, GREETING, LONG, Peer, connect_raw, is_thrown_out, log_in, processor_seconds, read_exactly,
                             resident_bytes)
from paysync import Subscriber, frames

MANY = 16 << 20  # more than a relay may grow by because of one peer that is refused


@pytest.fixture
def served(database, relay):
    """A relay with a registered table and the subscribers "mirror", which attacks come as, and "other"; after the test it must
    still be the same process, and serve the other."""
    database.execute("create table payments (id bigint primary key, note text)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror'), paysync.create_subscriber('other')")
    process = relay.process
    yield relay
    assert relay.process is process and relay.is_running()
    with Subscriber(relay.endpoint, "other") as other:
        database.execute("insert into payments values (-1, 'after the attack')")

        def is_there() -> bool:
            transaction = other.receive(1)
            return transaction is not None and any(change.key["id"] == -1 for change in transaction.changes)

        wait_for(is_there, 20, "the other subscriber is served")


def head(kind=frames.HELLO, session=0, a=0, b=1) -> bytes:
    """A well-formed first frame."""
    return frames.encode_frame(kind, session, a, b)


def body(**changes) -> bytes:
    """The second frame of a HELLO, with fields replaced: `f5=0`."""
    fields = {1: 1, 2: 1, 3: None, 4: None, 5: 1 << 20, 6: "hostile"}
    fields.update({int(name[1:]): value for name, value in changes.items()})
    return msgpack.packb(fields)


BAD_MESSAGES = {
    "wrong magic": [b"XX" + head()[2:], body()],
    "empty frame": [b"", body()],
    "31 bytes": [head()[:31], body()],
    "33 bytes": [head() + b"\0", body()],
    "flags": [head()[:4] + b"\0\0\0\1" + head()[8:], body()],
    "three frames": [head(), body(), body()],
    "a hundred frames": [head()] + [b"x"] * 99,
    "hello without body": [head()],
    "hello with a session": [head(session=7), body()],
    "ack with body": [head(frames.ACK), body()],
    "unknown kind": [head()[:3] + b"\x1f" + head()[4:], body()],
    "kind of the relay": [head(frames.BATCH), body()],
    "body of 32 KiB and a byte": [head(), body() + b"\xc0" * (32769 - len(body()))],
    "body of 64 KiB": [head(), b"\0" * 65536],
    "empty body": [head(), b""],
    "no map": [head(), msgpack.packb([1, 1])],
    "map of 4 Gi entries": [head(), b"\xdf\xff\xff\xff\xff"],
    "array of 4 Gi elements": [head(), b"\xdd\xff\xff\xff\xff"],
    "string of 4 GiB": [head(), b"\x86\x01\x01\x02\x01\x03\xc0\x04\xdb\xff\xff\xff\xff"],
    "binary of 4 GiB": [head(), b"\x86\x01\x01\x02\x01\x03\xc6\xff\xff\xff\xff"],
    "extension of 4 GiB": [head(), b"\x86\x01\x01\x02\x01\x03\xc9\xff\xff\xff\xff\x01"],
    "nested 30000 deep": [head(), b"\x81\x63" + b"\x91" * 30000],
    "cut short": [head(), body()[:-3]],
    "trailing byte": [head(), body() + b"\xc0"],
    "window of 0": [head(), body(f5=0)],
    "window of 63 KiB": [head(), body(f5=63 << 10)],
    "window of 2^63": [head(), body(f5=2**63)],
    "window missing": [head(), msgpack.packb({1: 1, 2: 1, 3: None, 4: None, 6: ""})],
    "negative version": [head(), body(f1=-1)],
    "text as version": [head(), body(f1="1")],
    "stream id of 15 bytes": [head(), body(f3=b"x" * 15, f4="1.00000000:0")],
    "reserved msgpack byte": [head(), b"\xc1"],
}


def test_messages_that_break_the_format(served):
    """Rule: a message that breaks the format gets error 101, which says what is wrong; the connection may still say it right."""
    before = resident_bytes(served.process.pid)
    for name, message in BAD_MESSAGES.items():
        with Peer(served.endpoint) as peer:
            peer.send(*message)
            answer, text = peer.expect(frames.ERROR)
            assert (answer.a, answer.session) == (101, 0), name
            assert text[1] and not text[1].endswith("."), name
            peer.hello()
            peer.expect(frames.WELCOME)
    assert resident_bytes(served.process.pid) - before < MANY


def test_after_five_bad_messages_nothing_is_heard(served):
    """Rule: after five bad messages a connection gets no answer any more, whatever it says; a new one of the same name is served."""
    with Peer(served.endpoint) as peer:
        for _ in range(5):
            peer.send(b"garbage")
            assert peer.expect(frames.ERROR)[0].a == 101
        peer.hello()
        peer.send(b"garbage")
        with Peer(served.endpoint) as second:
            second.hello()
            second.expect(frames.WELCOME)
        assert peer.receive(0) is None


def test_bad_messages_end_the_session(served, database):
    """Rule: five bad messages inside a session end it, and the subscriber's place is free."""
    with Peer(served.endpoint) as peer:
        peer.hello()
        peer.expect(frames.WELCOME)
        for _ in range(5):
            peer.send(head(frames.ACK), b"with a body")
            assert peer.expect(frames.ERROR)[0].a == 101
        with Subscriber(served.endpoint, "mirror") as subscriber:
            database.execute("insert into payments values (1)")
            assert subscriber.receive(10).changes[0].key == {"id": 1}


def test_random_messages(served):
    """Rule: no sequence of frames, random or nearly right, harms the relay."""
    chance = luck()
    ends = time.monotonic() + float(os.environ.get("SECONDS") or 3)
    before = resident_bytes(served.process.pid)
    while time.monotonic() < ends:
        with Peer(served.endpoint, chance.choice(["mirror", "*", "nobody"])) as peer:
            for _ in range(chance.randrange(1, 12)):
                peer.send(*random_message(chance))
            peer.receive(0.05)
    assert resident_bytes(served.process.pid) - before < MANY


def random_message(chance: random.Random) -> list:
    """Frames of noise, or a good message with some bytes changed."""
    if chance.random() < 0.3:
        return [chance.randbytes(chance.randrange(200)) for _ in range(chance.randrange(1, 4))]
    kind = chance.choice(list(frames.KIND_NAMES))
    first = head(kind, chance.choice([0, 1, 2**64 - 1]), chance.choice([0, 2**63, 2**64 - 1]), chance.getrandbits(64))
    parts = [bytearray(first),
             bytearray(body(f5=chance.choice([65536, 1 << 26]), f4=chance.choice([None, "1.00000000:0", "x" * 9000])))]
    for _ in range(chance.randrange(4)):
        part = chance.choice(parts)
        part[chance.randrange(len(part))] = chance.randrange(256)
    return [bytes(part) for part in parts[:chance.randrange(1, 3)]]


@pytest.mark.parametrize("lowest,highest", [(3, 9), (0, 0)], ids=["newer", "older"])
def test_no_common_version(served, lowest, highest):
    """Rule: a HELLO without a common version gets error 100, with the relay's version."""
    with Peer(served.endpoint) as peer:
        peer.hello(lowest=lowest, highest=highest)
        answer, text = peer.expect(frames.ERROR)
        assert (answer.a, answer.b, text[1]) == (100, 2, "no common protocol version")
        assert text[2] == "This relay speaks versions 1 to 2." and text[3]


def test_frames_of_another_version(served):
    """Rule: a first frame of another version gets error 100 and not 101: it is a program of another age and no garbage."""
    with Peer(served.endpoint) as peer:
        peer.send(head()[:2] + b"\2" + head()[3:], body())
        answer, _ = peer.expect(frames.ERROR)
        assert (answer.a, answer.b) == (100, 2)


def test_an_unknown_optional_kind_is_passed_over(served):
    """Rule: a kind with bit 0x40 that the relay does not know is no fault."""
    with Peer(served.endpoint) as peer:
        for _ in range(10):
            peer.send(head()[:3] + b"\x7e" + head()[4:])
        peer.hello()
        assert peer.receive()[0].kind == frames.WELCOME


def test_no_identity_no_session(served):
    """Rule: a connection whose handshake names no subscriber is not heard."""
    names = ["Mirror", "x" * 64, "a b", "-a", "mirror\n", None]
    wrong = [*((name, None) for name in names), ("mirror", "secret")]
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(served.endpoint, user, password)) for user, password in wrong]
        for peer in peers:
            peer.socket.sndtimeo = 0
            with contextlib.suppress(zmq.Again):  # refused already
                peer.hello()
        wait_for(lambda: "a password is not accepted" in served.log(), 10, "the relay says so")
        for peer, (user, password) in zip(peers, wrong):
            assert peer.receive(0.1) is None, (user, password)


def test_a_software_name_stays_inside_its_log_line(served):
    """Rule: what a subscriber calls itself can neither begin a line of the relay's log nor put control characters into it."""
    for number, software in enumerate(["a\n2026-01-01T00:00:00Z error forged", "\x1b[2J\x00\x07", '" forged="1', "x" * 5000]):
        with Peer(served.endpoint) as peer:
            peer.send(head(b=number), body(f6=software))
            session = peer.expect(frames.WELCOME)[0].session
            peer.send(head(frames.BYE, session))
            wait_for(lambda: f"session={session} reason" in served.log(), 10, "the session is over")
    assert all(byte == 0x0A or byte >= 0x20 for byte in served.log_path.read_bytes())
    assert not any(line.startswith("2026-01-01") for line in served.log().splitlines())
    assert max(map(len, served.log().splitlines())) < 1000


def test_a_name_that_the_handshake_refuses_is_told(served):
    """Rule: the client tells an identity that the relay does not accept from a relay that is away."""
    with Subscriber(served.endpoint, "mirror") as subscriber:
        subscriber.receive(0)
    with pytest.raises(ValueError, match='invalid subscriber name "Mirror"'):
        Subscriber(served.endpoint, "Mirror")


def test_a_frame_larger_than_64_kib_ends_its_connection(served):
    """Rule: the relay closes a connection that sends a frame larger than 64 KiB, and keeps nothing of it."""
    before = resident_bytes(served.process.pid)
    with Peer(served.endpoint) as peer:
        peer.hello()
        peer.expect(frames.WELCOME)
        peer.send(head(frames.ACK), b"x" * (32 << 20))
        # libzmq makes the connection again by itself; the session was the old one's.
        wait_for(lambda: peer.send(head(frames.PING, 1)) or (peer.receive(0.2) or [head])[0] != head, 20, "it is another connection")
    assert resident_bytes(served.process.pid) - before < MANY


def test_bytes_that_are_no_zeromq(served):
    """Rule: a TCP connection that does not speak ZeroMQ is closed."""
    for noise in (b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n", b"\0" * 100, b"\xff" * 4096, b"\x16\x03\x01\x02\x00\x01"):
        with connect_raw(served.endpoint) as peer:
            peer.sendall(noise)
            assert is_thrown_out(peer), noise[:20]


@pytest.mark.parametrize("flags", [LONG, LONG | COMMAND], ids=["message", "command"])
@pytest.mark.parametrize("name", [None, "mirror"], ids=["before the handshake", "after it"])
def test_the_head_of_a_frame_of_1_gib(served, flags, name):
    """Rule: a frame that announces 1 GiB ends its connection, before or after the handshake, and costs no memory."""
    before = resident_bytes(served.process.pid)
    with connect_raw(served.endpoint) as peer:
        if name:
            log_in(peer, name)
        else:
            peer.sendall(GREETING)
            read_exactly(peer, len(GREETING))
        peer.sendall(bytes([flags]) + (1 << 30).to_bytes(8, "big"))
        assert is_thrown_out(peer, pushing=b"x" * (1 << 20))
    assert resident_bytes(served.process.pid) - before < MANY


def test_two_hundred_idle_connections(served, database):
    """Rule: TCP connections that say nothing cost next to nothing, keep nobody out, and are closed after some seconds."""
    peers = [connect_raw(served.endpoint) for _ in range(200)]
    try:
        used = processor_seconds(served.process.pid)
        began = time.monotonic()
        with Subscriber(served.endpoint, "mirror") as subscriber:
            database.execute("insert into payments values (1)")
            assert subscriber.receive(10).changes[0].key == {"id": 1}
        wait_for(lambda: all(is_thrown_out(peer, 0.1) for peer in peers[::20]), 20, "they are closed")
        assert processor_seconds(served.process.pid) - used < 0.5 * (time.monotonic() - began)
    finally:
        for peer in peers:
            peer.close()


def test_a_claimed_routing_id(served):
    """Rule: peers that claim a routing id, the same one too, or one that looks like the relay's own, harm nobody."""
    with Subscriber(served.endpoint, "other") as other:
        other.receive(0.2)
        claimed = [b"same", b"same", b"\x00" * 5, b"\x01abcd"[1:], b"x" * 255]
        with contextlib.ExitStack() as stack:
            # One that begins with a zero byte is refused by libzmq itself.
            peers = [stack.enter_context(Peer(served.endpoint, routing_id=routing_id)) for routing_id in claimed if routing_id[0]]
            for peer in peers:
                peer.hello(nonce=7)
            peers[0].receive(2)


def test_a_frame_of_a_session_that_is_not_ours(served, database):
    """Rule: who names the session of another changes nothing there: the connection says who speaks."""
    database.execute("insert into payments values (1), (2)")
    with Peer(served.endpoint, "other") as victim, Peer(served.endpoint, "mirror") as attacker:
        victim.hello()
        session = victim.expect(frames.WELCOME)[0].session
        victim.expect(frames.BATCH)
        attacker.hello()
        attacker.expect(frames.WELCOME)
        attacker.send(head(frames.ACK, session, 1, 1 << 40))
        attacker.send(head(frames.ACK, session, 1000, 0))
        attacker.send(head(frames.BYE, session, 1, 0))
        victim.send(head(frames.PING, session, 0, 0))
        assert victim.expect(frames.PONG)[0].session == session
        assert database.value("select number from paysync.acknowledged() where name = 'other'") == 0


def test_an_acknowledgement_of_what_was_not_sent(served, database):
    """Rule: an acknowledgement above what was sent is error 302, names both numbers, ends the session and is not stored."""
    database.execute("insert into payments values (1)")
    with Peer(served.endpoint) as peer:
        peer.hello()
        session = peer.expect(frames.WELCOME)[0].session
        peer.expect(frames.BATCH)
        peer.send(head(frames.ACK, session, 2, 1 << 20))
        answer, text = peer.expect(frames.ERROR)
        assert (answer.a, answer.b, answer.session) == (302, 1, session)
        assert text[1] == "number 2 was not sent" and text[2] == "The last one that was is 1."
    with Subscriber(served.endpoint, "mirror") as subscriber:
        assert subscriber.receive(10).number == 1


def test_a_session_that_does_not_answer_gives_way(served, database):
    """Rule: a session that answers nothing for two seconds does not keep its subscriber's next process out."""
    with Peer(served.endpoint) as frozen:
        frozen.hello()
        frozen.expect(frames.WELCOME)
        with Subscriber(served.endpoint, "mirror") as subscriber:
            database.execute("insert into payments values (1)")
            assert subscriber.receive(8).changes[0].key == {"id": 1}


def test_a_subscriber_that_takes_nothing(served, database):
    """Rule: a subscriber that gives no credit is sent no more than its window and costs the relay bounded memory; others go on."""
    with Peer(served.endpoint) as lazy, Subscriber(served.endpoint, "other") as other:
        lazy.hello(window=1 << 16)
        lazy.expect(frames.WELCOME)
        before = resident_bytes(served.process.pid)
        with database.connect() as session:
            for number in range(60):
                session.execute("insert into payments select %s + id, repeat('x', 1000) from generate_series(1, 500) as id",
                                (number * 1000,))
        for number in range(60):
            transaction = other.receive(20)
            assert transaction is not None and len(transaction.changes) == 500
            other.acknowledge(transaction.position)
        received = 0
        while (answer := lazy.receive(0)) is not None:
            received = max(received, answer[0].a) if answer[0].kind in (frames.BATCH, frames.SHAPES) else received
        # One message may be larger than the window.
        assert 0 < received < 1 << 20
        assert resident_bytes(served.process.pid) - before < 96 << 20


def test_a_hundred_sessions_begin_and_vanish(served, database):
    """Rule: sessions that are opened and dropped without a good-bye leave nothing behind, in the relay or in the database."""
    before = resident_bytes(served.process.pid)
    for _ in range(100):
        with Peer(served.endpoint, "*") as peer:
            peer.hello()
            peer.expect(frames.WELCOME)
    # What cannot be sent to them shows that they are gone; in silence it takes ten seconds.
    database.execute("insert into payments values (1)")
    wait_for(lambda: not database.value("select count(*) from paysync.subscriber where ephemeral"), 25, "they are forgotten")
    assert resident_bytes(served.process.pid) - before < MANY
