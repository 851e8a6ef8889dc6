"""Positions stored with the data, in a real PostgreSQL; timestamps compared with what it prints."""

from __future__ import annotations

import pathlib
import random
import subprocess
import sys
import threading
import time
from uuid import UUID

import psycopg
import pytest
from fake_relay import NONCE, QUICK, STREAM, digest, insert, transaction

from paysync import CorruptError, Fenced, PaysyncError, Refused, frames, run
from paysync.dates import timestamp_text

PATIENCE = 20.0


@pytest.fixture(params=[True, False], ids=["autocommit", "transactional"])
def target(postgres, request):
    """A connection to an empty target."""
    with postgres.connect(autocommit=request.param) as connection:
        connection.execute("drop table if exists paysync_position, applied")
        connection.execute("create table applied (number bigint, id bigint)")
        connection.commit()
        yield connection


class Run:
    """run() in a thread of its own; `result` or `error` once `join` returned."""

    def __init__(self, connection, relay, apply, **options):
        self.stop = threading.Event()
        self.result = self.error = None
        arguments = {"relay": relay.endpoint, "subscriber": "mirror", "apply": apply, "stop": self.stop, "timings": QUICK}
        self._thread = threading.Thread(target=self._run, args=(connection, {**arguments, **options}), daemon=True)
        self._thread.start()

    def _run(self, connection, arguments):
        try:
            self.result = run(connection, **arguments)
        except Exception as error:
            self.error = error

    def join(self):
        """Ask it to stop, wait, and give back itself."""
        self.stop.set()
        return self.wait()

    def wait(self):
        """Wait until it ends by itself."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self


def note(cursor, transaction):
    """Apply a transaction: note its changes."""
    for change in transaction.changes:
        cursor.execute("insert into applied values (%s, %s)", (transaction.number, change.new["id"]))


def state(postgres):
    """What another connection sees: numbers applied, and the stored position."""
    with postgres.connect(autocommit=True) as other:
        applied = [row[0] for row in other.execute("select number from applied order by number, id")]
        return applied, other.execute("select subscriber, stream_id, position from paysync_position").fetchall()


def row(number):
    """The stored row at a number."""
    return [("mirror", UUID(bytes=STREAM), f"3.{NONCE}:{number}")]


def test_position_is_stored_with_the_data(relay, target, postgres):
    """Rule: when an ACK arrives, data and position are committed; the next run asks for what comes after."""
    running = Run(target, relay, note)
    assert relay.welcome(start=4).position is None
    relay.batch(5, transaction(5))
    relay.batch(7, transaction(6), transaction(7))
    relay.expect(frames.ACK, lambda heard: heard.a == 7)
    assert state(postgres) == ([5, 6, 7], row(7))
    assert running.join().result == 3
    relay.expect(frames.BYE)
    running = Run(target, relay, note)
    hello = relay.welcome(session=2, start=7)
    assert (hello.position, hello.stream_id) == (f"3.{NONCE}:7", STREAM)
    assert running.join().error is None


def test_error_rolls_back_and_the_next_run_goes_on(relay, target, postgres):
    """Rule: a failing apply leaves neither data nor position, and the transaction comes again."""

    def fail_at_two(cursor, transaction):
        note(cursor, transaction)
        if transaction.number == 2:
            raise RuntimeError("no")

    running = Run(target, relay, fail_at_two)
    relay.welcome()
    relay.batch(2, transaction(1), transaction(2))
    assert isinstance(running.wait().error, RuntimeError)
    assert state(postgres) == ([1], row(1))
    relay.expect(frames.BYE)
    running = Run(target, relay, note)
    assert relay.welcome(session=2, start=1).position == f"3.{NONCE}:1"
    relay.batch(2, transaction(2))
    relay.expect(frames.ACK, lambda heard: heard.a == 2)
    assert state(postgres) == ([1, 2], row(2))
    assert running.join().result == 1


def test_silent_rollback_is_noticed(relay, target, postgres):
    """Rule: psycopg's Rollback inside apply is an error, not a commit."""

    def roll_back(cursor, transaction):
        raise psycopg.Rollback()

    running = Run(target, relay, roll_back)
    relay.welcome()
    relay.batch(1, transaction(1))
    assert "rolled back" in str(running.wait().error)
    assert state(postgres)[0] == []


def test_group_shares_a_transaction(relay, target, postgres):
    """Rule: up to `group` transactions that are there share a target transaction."""
    seen = []
    started = threading.Event()
    go_on = threading.Event()

    def watch(cursor, transaction):
        note(cursor, transaction)
        cursor.execute("select pg_current_xact_id()::text")
        seen.append(cursor.fetchone()[0])
        started.set()
        assert go_on.wait(PATIENCE)

    running = Run(target, relay, watch, group=3)
    relay.welcome()
    relay.batch(1, transaction(1))
    assert started.wait(PATIENCE)
    for number in range(2, 7):
        relay.batch(number, transaction(number))
    relay.send(frames.PING, 1, 6, relay.sent)
    relay.expect(frames.PONG)
    go_on.set()
    relay.expect(frames.ACK, lambda heard: heard.a == 6)
    assert running.join().error is None
    assert [seen.count(xid) for xid in dict.fromkeys(seen)] == [1, 3, 2]
    assert state(postgres) == ([1, 2, 3, 4, 5, 6], row(6))


def test_numbers_without_changes_are_stored_before_they_are_acknowledged(relay, target, postgres):
    """Rule: the acknowledged position is never ahead of the stored one, even where nothing was for us."""
    running = Run(target, relay, note)
    relay.welcome()
    relay.batch(40)
    relay.expect(frames.ACK, lambda heard: heard.a == 40)
    assert state(postgres) == ([], row(40))
    assert running.join().error is None


def test_second_process_is_fenced(relay, target, postgres):
    """Rule: where the stored position moved under it, a process applies nothing more."""
    running = Run(target, relay, note)
    relay.welcome()
    relay.batch(1, transaction(1))
    relay.expect(frames.ACK, lambda heard: heard.a == 1)
    with postgres.connect(autocommit=True) as other:
        other.execute("update paysync_position set position = '3.9f2c41aa:9'")
    relay.batch(2, transaction(2))
    assert isinstance(running.wait().error, Fenced)
    assert state(postgres) == ([1], row(9))


def test_what_came_before_an_error_is_applied(relay, target, postgres):
    """Rule: transactions before a refusal are applied, also inside a group."""
    running = Run(target, relay, note, group=10)
    relay.welcome()
    relay.batch(2, transaction(1), transaction(2))
    relay.error(500, 3, session=1)
    assert isinstance(running.wait().error, Refused)
    assert state(postgres) == ([1, 2], row(2))


def test_connection_inside_a_transaction_is_refused(postgres, relay):
    """Rule: the position is never stored in a transaction that belongs to somebody else."""
    with postgres.connect() as connection:
        connection.execute("select 1")
        with pytest.raises(PaysyncError, match="inside a transaction"):
            run(connection, relay=relay.endpoint, subscriber="mirror", apply=note)
        connection.rollback()
        with pytest.raises(ValueError):
            run(connection, relay=relay.endpoint, subscriber="*", apply=note)


def test_kill_loses_nothing_and_doubles_nothing(relay, postgres):
    """Rule: a process killed at any moment, again and again, applies every change exactly once."""
    count = 2000
    with postgres.connect(autocommit=True) as connection:
        connection.execute("drop table if exists paysync_position, applied")
        connection.execute("create table applied (number bigint, id bigint)")
        stop = threading.Event()
        server = threading.Thread(target=relay.serve, args=(count, stop), daemon=True)
        server.start()
        script = str(pathlib.Path(__file__).with_name("apply_forever.py"))
        deadline = time.monotonic() + 4 * PATIENCE  # many processes have to start
        try:
            reached = 0
            while reached < count and time.monotonic() < deadline:
                goal = min(count, reached + random.randint(1, 700))
                child = subprocess.Popen([sys.executable, "-B", script, relay.endpoint, postgres.dsn])
                try:
                    while reached < goal and time.monotonic() < deadline:
                        assert child.poll() is None
                        reached = connection.execute("select count(*) from applied").fetchone()[0]
                finally:
                    child.kill()
                    child.wait()
        finally:
            stop.set()
            server.join(PATIENCE)
        rows = connection.execute("select number, id from applied order by number, id").fetchall()
    assert rows == [(number, number) for number in range(1, count + 1)]


def test_timestamp_text_is_postgresqls(postgres):
    """Rule: the text of any moment PostgreSQL can hold is the text that PostgreSQL prints, and reads back."""
    generator = random.Random(2000)
    least = -211_813_488_000_000_000
    most = 2**63 - 2 - 946_684_800_000_000  # beyond it PostgreSQL's own extract(epoch) rounds
    moments = [least, most, 0, -1, -63_082_281_600_000_001]
    moments += [generator.randint(least, most) for _ in range(300)]
    moments += [generator.randint(least, -63_082_281_600_000_000) for _ in range(300)]
    with postgres.connect(autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'; set datestyle = 'ISO'")
        for kind, zone in (("timestamp", False), ("timestamptz", True)):
            texts = [timestamp_text(moment, zone) for moment in moments]
            found = connection.execute(
                f"select t::{kind}::text, ((extract(epoch from t::{kind}) - 946684800) * 1000000)::bigint"
                " from unnest(%s::text[]) with ordinality u(t, n) order by n",
                (texts,),
            ).fetchall()
            assert found == list(zip(texts, moments))


def test_a_transaction_in_parts_is_one_target_transaction(relay, target, postgres):
    """Rule: a transaction in parts is applied piece by piece in one target transaction, with its position."""
    xids = set()

    def watch(cursor, transaction):
        for change in transaction.changes:
            cursor.execute("insert into applied values (%s, %s) returning pg_current_xact_id()::text",
                           (transaction.number, change.new["id"]))
            xids.add(cursor.fetchone()[0])

    running = Run(target, relay, watch, group=5)
    relay.welcome()
    three = (insert(1), insert(2), insert(3))
    relay.begin(1, *three)
    relay.part(1, 0, three[0] + three[1])
    relay.nothing(frames.BYE, 0.1)
    assert state(postgres) == ([], []), "nothing before its end"
    relay.part(1, 1, three[2])
    relay.end(1)
    relay.expect(frames.ACK, lambda heard: heard.a == 1)
    assert state(postgres) == ([1, 1, 1], row(1)) and len(xids) == 1
    relay.batch(2, transaction(2))
    relay.expect(frames.ACK, lambda heard: heard.a == 2)
    assert running.join().result == 2 and running.error is None


@pytest.mark.parametrize("swallows", [False, True])
def test_parts_that_break_off_are_rolled_back(relay, target, postgres, swallows):
    """Rule: where the session ends inside of a transaction the target rolls back, and it begins anew; also where apply()
    swallows what says so."""

    def careless(cursor, transaction):
        try:
            note(cursor, transaction)
        except Exception:
            if not swallows:
                raise

    running = Run(target, relay, careless)
    relay.welcome(session=1)
    three = (insert(1), insert(2), insert(3))
    relay.begin(1, *three)
    relay.part(1, 0, three[0])
    relay.error(301, session=1)
    relay.welcome(session=2)
    assert state(postgres) == ([], [])
    relay.streamed(1, *three)
    relay.expect(frames.ACK, lambda heard: heard.a == 1)
    assert state(postgres) == ([1, 1, 1], row(1))
    relay.begin(2, *three)
    relay.part(2, 0, three[0])
    relay.nothing(frames.BYE, 0.05)
    assert running.join().result == 1 and running.error is None, "stop() inside of one rolls it back"
    assert state(postgres) == ([1, 1, 1], row(1))


def test_parts_that_are_wrong_are_rolled_back(relay, target, postgres):
    """Rule: a digest that differs is found before the commit, also by an apply() that reads nothing."""
    running = Run(target, relay, lambda cursor, transaction: cursor.execute("insert into applied values (0, 0)"))
    relay.welcome()
    relay.streamed(1, insert(1), insert(2), check=digest(insert(1), insert(3)))
    assert isinstance(running.wait().error, CorruptError)
    assert state(postgres) == ([], [])


def test_changes_in_parts_are_read_once(relay, target, postgres):
    """Rule: what cannot be kept is read once: a second reading is an error, not an empty transaction."""

    def twice(cursor, transaction):
        note(cursor, transaction)
        note(cursor, transaction)

    running = Run(target, relay, twice)
    relay.welcome()
    relay.streamed(1, insert(1), insert(2))
    assert "read before" in str(running.wait().error)
    assert state(postgres) == ([], [])
