"""What a person or a program gets wrong: each has its error text and its SQLSTATE, code or exit status, and harms nobody else."""

import os
import re
import signal
import subprocess

import psycopg
import pytest

import workspace
from harness import free_port, wait_for
from harness.hostile import Peer
from paysync import PaysyncError, Position, Refused, Subscriber, frames

LIMIT = 64 << 20


@pytest.fixture
def payments(database):
    """A registered table and the subscriber "mirror"."""
    database.execute("create table payments (id bigint primary key, note text)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    return database


def run(program: str, *arguments, environment: dict | None = None):
    """Run a program of ours that ends by itself; (exit status, standard error)."""
    done = subprocess.run([workspace.BUILD / "bin" / program, *map(str, arguments)], check=False, capture_output=True, text=True,
                          timeout=30, cwd="/", env={**os.environ, **(environment or {})})
    return done.returncode, done.stderr


def refused(endpoint: str, name: str = "mirror", **options) -> Refused:
    """What the Python client is refused with."""
    with Subscriber(endpoint, name, **options) as subscriber, pytest.raises(Refused) as error:
        assert subscriber.receive(20) is not None, "nothing came"
    return error.value


# Configuration of the relay.

CONFIGURATIONS = {
    'windw_bytes = 1048576\n': ':1: unknown key "windw_bytes"\nhint: Did you mean "window_bytes"?',
    'dsn = "dbname=pay"\n[relay]\nbind = "x"\n': ':2: unknown key "relay"\nhint: Did you mean',
    'verify = "true"\n': ':1: wrong type of value for "verify"\ndetail: It is a boolean.',
    'window_bytes = "64 MB"\n': ':1: wrong type of value for "window_bytes"\ndetail: It is an integer.',
    'bind = 7420\n': ':1: wrong type of value for "bind"\ndetail: It is a string.',
    'bind = tcp://127.0.0.1:7420\n': ':1: ',
    'window_bytes = 1\n': ':1: invalid value "1" for "window_bytes"\ndetail: It is a number of bytes from',
    'window_bytes = -1\n': ':1: invalid value "-1" for "window_bytes"',
    '\nlog_level = "informational"\n': ':2: invalid value "informational" for "log_level"\n'
                                       'detail: It is one of: debug, info, warning, error.\nhint: Did you mean "info"?',
    'dsn = "dbname=pay password=hush hots=x"\n': ':1: invalid "dsn": invalid connection option "hots"',
    'bind = "tcp://0.0.0.0:7420"\n': ':1: cannot bind to "tcp://0.0.0.0:7420"\ndetail: The plain transport is neither encrypted nor',
    'bind = "tcp://127.0.0.1"\n': ':1: cannot bind to "tcp://127.0.0.1"\ndetail: The endpoint has no port from 0 to 65535.',
    'bind = "udp://127.0.0.1:1"\n': ':1: cannot bind to "udp://127.0.0.1:1"\ndetail: The endpoint begins neither with',
    'dsn = "a"\ndsn = "b"\n': ':2: ',
}


def test_a_wrong_configuration_file(folder):
    """Rule: a configuration file that is wrong ends the relay with status 2, file and line, and the nearest name that is known."""
    path = folder / "relay.toml"
    for text, message in CONFIGURATIONS.items():
        path.write_text(text)
        status, error = run("paysync-relay", "--config", path, "--check")
        assert status == 2 and error.startswith(f"paysync-relay: {path}{message}"), (text, status, error)
        assert "hush" not in error


def test_a_configuration_file_that_is_not_there(folder):
    """Rule: a configuration file that cannot be read is named with the reason, status 2; the default is no file at all."""
    for path, reason in ((folder / "missing.toml", "No such file or directory"), (folder, "Is a directory")):
        status, error = run("paysync-relay", "--config", path, "--check")
        assert (status, error.splitlines()[0]) == (2, f'paysync-relay: cannot read configuration file "{path}": {reason}')
    assert run("paysync-relay", "--check") == (0, "")


def test_a_wrong_command_line_of_the_relay():
    """Rule: a flag, argument or environment variable that is wrong ends the relay with status 2 and says which."""
    for arguments, message in {("--bnd", "x"): 'unknown option "--bnd"\nhint: Did you mean "--bind"?',
                               ("pay",): 'unexpected argument "pay"',
                               ("--verify", "maybe"): '--verify: invalid value "maybe" for "verify"',
                               ("--dsn", "host"): '--dsn: invalid "dsn": missing "=" after "host"', ("--dsn",): ""}.items():
        status, error = run("paysync-relay", *arguments)
        assert status == 2 and error.startswith(f"paysync-relay: {message}"), (arguments, status, error)
    status, error = run("paysync-relay", "--check", environment={"PAYSYNC_BIND": "tcp://10.0.0.1:7420"})
    assert status == 2 and error.startswith('paysync-relay: PAYSYNC_BIND: cannot bind to "tcp://10.0.0.1:7420"')


# The database of the relay.

def relay_fails(dsn: str, endpoint: str | None = None):
    """(exit status, standard error without log lines) of a relay that does not come to serve."""
    endpoint = endpoint or f"tcp://127.0.0.1:{free_port()}"
    return run("paysync-relay", "--dsn", dsn, "--bind", endpoint, "--log-level", "error")


def test_a_database_that_does_not_serve(server, database):
    """Rule: at its start a relay without its database, extension or rights ends, says what is missing and what to do."""
    unknown = server.conninfo("no_such_database")
    status, error = relay_fails(unknown)
    assert status == 2 and 'database "no_such_database" does not exist' in error and "hint: Check the connection string" in error
    status, error = relay_fails(f"host=127.0.0.1 port={free_port()} dbname=x")
    assert status == 1 and "Connection refused" in error and "hint: Check that the server runs" in error
    status, error = relay_fails(server.conninfo("postgres"))
    assert status == 2 and error.startswith("paysync-relay: the database has no paysync: ")
    assert "hint: CREATE EXTENSION paysync" in error
    name = f"relay_role_{database.name}"
    database.execute(f"create role {name} login")
    try:
        status, error = relay_fails(database.conninfo(user=name))
        assert status == 2 and error.startswith(f'paysync-relay: the role "{name}" may not relay: permission denied')
        assert f"hint: SELECT paysync.grant_relay('{name}')" in error
    finally:
        database.execute(f"drop role {name}")


def test_the_least_rights_are_enough(payments, start_relay):
    """Rule: a role with what grant_relay() gives can relay, and can neither read the tables nor the outbox itself."""
    name = f"relay_role_{payments.name}"
    payments.execute(f"create role {name} login")
    try:
        payments.execute(f"select paysync.grant_relay('{name}')")
        relay = start_relay(payments.conninfo(user=name))
        with Subscriber(relay.endpoint, "mirror") as subscriber:
            payments.execute("insert into payments values (1)")
            assert subscriber.receive(20).changes[0].key == {"id": 1}
        relay.stop()
        with payments.connect(user=name) as session:
            for statement in ("table payments", "table paysync.closing_0", "table paysync.chunk_0", "table paysync.subscriber",
                              "select paysync.create_subscriber('x')", "select * from paysync.peek()",
                              "update paysync.fence set epoch = 9", "table paysync.status"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement)
    finally:
        payments.execute(f"drop owned by {name}")
        payments.execute(f"drop role {name}")


def test_a_port_in_use(database, relay):
    """Rule: an endpoint that somebody listens on ends the second relay with status 1, and does not touch the first."""
    status, error = relay_fails(database.conninfo(), relay.endpoint)
    assert status == 1 and error.startswith(f'paysync-relay: cannot bind to "{relay.endpoint}": Address already in use\nhint: ')
    with Subscriber(relay.endpoint) as subscriber:
        wait_for(lambda: subscriber.receive(0.1) or subscriber.position, 10, "the first relay serves")


# Subscribers and their positions.

def test_an_unknown_subscriber(payments, relay):
    """Rule: a name that create_subscriber() did not make is refused by name, error 102; the command's exit status is 3."""
    error = refused(relay.endpoint, "miror")
    assert (error.code, error.message) == (102, "subscriber 'miror' does not exist") and "create_subscriber" in error.hint
    status, text = run("paysync", "tail", "--relay", relay.endpoint, "--subscriber", "miror")
    assert status == 3 and text.startswith("paysync: subscriber 'miror' does not exist\n") and "\nhint: " in text


def test_a_second_session(payments, relay):
    """Rule: while a subscriber's session is alive, another process under its name is refused, error 303, and the first goes on."""
    with Subscriber(relay.endpoint, "mirror") as first:
        payments.execute("insert into payments values (1)")
        assert first.receive(20).number == 1
        error = refused(relay.endpoint)
        assert (error.code, error.message) == (303, 'subscriber "mirror" has another session') and error.hint
        status, text = run("paysync", "tail", "--relay", relay.endpoint, "--subscriber", "mirror")
        assert status == 3 and 'subscriber "mirror" has another session' in text
        payments.execute("insert into payments values (2)")
        assert first.receive(20).number == 2


def test_positions_that_cannot_be_honoured(payments, start_relay):
    """Rule: a position that is not of this stream, this history or this past is refused by name, with the number that explains."""
    relay = start_relay(payments)
    payments.execute("insert into payments values (1)")
    with Subscriber(relay.endpoint, "mirror") as subscriber:
        position = subscriber.receive(20).position
        stream_id = subscriber.stream_id
        payments.execute("insert into payments values (2)")
        assert subscriber.receive(20).number == 2
    epoch, nonce = position.history
    future = refused(relay.endpoint, position=Position(epoch, nonce, 3), stream_id=stream_id)
    assert (future.code, future.number, future.message) == (203, 2, f"position {epoch}.{nonce}:3 was never given out")
    for wrong in (Position(epoch + 1, nonce, 1), Position(epoch, "00000000", 1)):
        assert refused(relay.endpoint, position=wrong, stream_id=stream_id).code == 204
    other = refused(relay.endpoint, position=position, stream_id="00000000-0000-0000-0000-000000000001")
    assert (other.code, other.message) == (202, "the position is of another stream") and str(stream_id) in other.detail
    for number, text in enumerate(["1", "garbage", f"{epoch}.{nonce}:-1", f"{epoch}.{nonce}:01", f"{position} ", "9" * 30000,
                                   f"{epoch}.{nonce}:{2**63}", "'; drop table payments; --", "\0"]):
        with Peer(relay.endpoint) as peer:
            peer.hello(stream_id=stream_id.bytes, position=text, nonce=number)
            assert peer.expect(frames.ERROR)[0].a in (101, 204), text[:40]
    # The next epoch begins after number 2; the one before never went further.
    relay.restart()
    payments.execute("insert into payments values (3)")
    wait_for(lambda: payments.value("select paysync.head_number()") == 3, 10, "it has a number")
    truncated = refused(relay.endpoint, position=Position(epoch, nonce, 3), stream_id=stream_id)
    assert (truncated.code, truncated.number, truncated.message) == (201, 2, f"position {epoch}.{nonce}:3 is past the end of its epoch")
    with Subscriber(relay.endpoint, "mirror", position=Position(epoch, nonce, 1), stream_id=stream_id) as subscriber:
        assert [subscriber.receive(20).number for _ in range(2)] == [2, 3]


# The command.

def test_a_wrong_command_line_of_tail():
    """Rule: a flag, value or endpoint that is wrong ends the command with status 2 and a word that says which."""
    for arguments in (["tail", "--subscribr", "mirror"], ["tail", "--count", "0"], ["tail", "--no-ack"], ["tial"], [], ["tail", "x"],
                      ["tail", "--relay", "127.0.0.1:7420"], ["tail", "--relay", "http://127.0.0.1:7420"], ["tail", "--subscriber", ""],
                      ["tail", "--subscriber", "No Name"]):
        status, error = run("paysync", *arguments)
        assert status == 2 and error.strip(), (arguments, status, error)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_tail_without_a_relay(payments, start_relay, start_tail, end):
    """Rule: without a relay, tail says so and keeps trying; it follows once there is one, and a signal ends it with status 0."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    tail = start_tail(endpoint, subscriber="mirror")
    wait_for(lambda: "trying again" in tail.log(), 20, "it says so")
    assert endpoint in tail.log() and tail.is_running()
    payments.execute("insert into payments values (1)")
    start_relay(payments, bind=endpoint)
    tail.wait_for(1)
    tail.process.send_signal(end)
    assert tail.wait_for_exit() == 0


# The relay at its end, and what is too large.

def test_a_signal_drains_the_relay(payments, start_relay):
    """Rule: SIGTERM under load ends the relay with status 0, after subscribers were sent away and what each acknowledged is stored."""
    relay = start_relay(payments)
    with payments.connect() as session, Subscriber(relay.endpoint, "mirror", own_position=True) as subscriber:
        for number in range(300):
            session.execute("insert into payments values (%s)", (number,))
            if number == 200:
                before = subscriber.receive(20)
                subscriber.acknowledge(before.position)
                relay.process.send_signal(signal.SIGTERM)
            transaction = subscriber.receive(0.001)
            if transaction is not None:
                subscriber.acknowledge(transaction.position)
        assert relay.wait_for_exit(10) == 0
        assert re.search(r"drained acknowledged=all", relay.log())
        taken = subscriber.position.number
        while (transaction := subscriber.receive(0.1)) is not None:
            taken = transaction.number
        stored = payments.value("select number from paysync.acknowledged()")
        assert before.number <= stored <= taken
        relay.start()
        following = subscriber.receive(20)
        assert following.number == taken + 1


@pytest.mark.deadline(180)
def test_a_transaction_larger_than_a_client_holds(payments, start_relay):
    """Rule: a transaction longer than the client's limit ends receive() there, with a hint; others of the relay go on."""
    payments.execute("create table documents (id bigint primary key, body text)")
    payments.execute("select paysync.register('documents', 'documents')")
    payments.execute("select paysync.create_subscriber('documents', '{documents}')")
    relay = start_relay(payments)
    with Subscriber(relay.endpoint, "mirror") as mirror, Subscriber(relay.endpoint, "documents") as documents:
        payments.execute("insert into documents select 1, repeat('x', %s)", (LIMIT - 4096,))
        [change] = documents.receive(60).changes
        assert len(change.new["body"]) == LIMIT - 4096, "just below the limit it comes whole"
        payments.execute("insert into documents select 2, repeat('x', %s)", (LIMIT,))
        payments.execute("insert into payments values (1)")
        assert mirror.receive(60).number == 3
        with pytest.raises(PaysyncError) as error:
            documents.receive(60)
        assert f"is longer than {LIMIT} bytes" in str(error.value)


def test_a_relay_without_memory_of_an_ephemeral_name(payments, relay):
    """Rule: an ephemeral subscription begins at the head, and its name serves nobody else."""
    payments.execute("insert into payments values (1)")
    with Peer(relay.endpoint, "*") as peer:
        peer.hello()
        _, welcome = peer.expect(frames.WELCOME)
        with pytest.raises(ValueError):
            Subscriber(relay.endpoint, welcome[6])
        with Peer(relay.endpoint, welcome[6]) as thief:
            thief.hello()
            assert thief.receive(0.5) is None
