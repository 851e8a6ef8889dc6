"""A large transaction that is read through a cursor outlives the connection that held it (found by the random blows)."""

from harness import wait_for
from paysync import Subscriber

SORTED = """
create table bulk (id bigint primary key, filler text not null);
create table echo (id bigint primary key);
create function echo() returns trigger language plpgsql as $$ begin insert into echo values (new.id); return null; end $$;
create trigger echo after insert on bulk for each row when (new.id % 500 = 0) execute function echo();
select paysync.register('bulk'), paysync.register('echo'), paysync.create_subscriber('mirror')
"""
ROWS = 6000


class Slow:
    """A sink that counts, and can be looked at between two calls of receive_into()."""

    def __init__(self):
        self.ids = []
        self.ends = []

    def begin(self, head) -> None:
        self.ids = []

    def changes(self, changes) -> None:
        self.ids += [(change.table, change.new["id"]) for change in changes]

    def commit(self) -> None:
        self.ends.append("commit")

    def abort(self) -> None:
        self.ends.append("abort")


def test_a_lost_cursor_is_opened_again(database, start_relay):
    """Rule: where the connection that holds the cursor of a sorted transaction is lost while a subscriber has no room, the subscriber
    gets the rest when it has."""
    with database.connect() as session:
        session.execute(SORTED)
        relay = start_relay(database)
        with Subscriber(relay.endpoint, "mirror", window=64 * 1024) as subscriber:
            sink = Slow()
            session.execute("insert into bulk select n, repeat(md5(n::text), 100) from generate_series(1, %s) as n", (ROWS,))
            wait_for(lambda: subscriber.receive_into(sink, 0) or sink.ids, 30, "its first changes come")
            assert not sink.ends
            reader = "select pid from pg_stat_activity where application_name = 'paysync-relay sorter' and datname = current_database() and state = 'idle'"
            # Idle it is when the relay has no room to send into.
            [(first,)] = wait_for(lambda: session.execute(reader).fetchall(), 20, "the reader waits")
            session.execute("select pg_terminate_backend(%s)", (first,))
            # Nothing is asked of the new connection until somebody takes something.
            wait_for(lambda: session.execute(reader + " and pid <> %s", (first,)).fetchall(), 20, "the relay has another reader")
            wait_for(lambda: subscriber.receive_into(sink, 1), 60, "the rest comes")
    assert sink.ends[-1] == "commit"
    assert sink.ids == [("bulk", n) for n in range(1, ROWS + 1)] + [("echo", n) for n in range(500, ROWS + 1, 500)]
