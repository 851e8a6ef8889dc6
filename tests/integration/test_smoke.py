"""The parts work together: a committed row comes out of the command line, as the reference shows it."""


def test_a_row_travels_from_the_table_to_the_tail(database, relay, start_tail):
    """Rule: tail prints a committed transaction as one JSON line, bigint and numeric as text."""
    database.execute("create table payments (id bigint primary key, amount numeric(12,2), currency text)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    tail = start_tail(relay.endpoint, subscriber="mirror")
    database.execute("insert into payments values (1, 12.5, 'EUR')")

    [transaction] = tail.wait_for(1)

    assert list(transaction) == ["position", "xid", "time", "origin", "context", "changes"]
    assert transaction["changes"] == [{
        "channel": "default", "table": "public.payments", "op": "insert", "key": {"id": "1"}, "old": None,
        "new": {"id": "1", "amount": "12.50", "currency": "EUR"}}]


def test_a_rolled_back_row_does_not(database, relay, start_tail):
    """Rule: what did not commit is not delivered, and does not hold back what did."""
    database.execute("create table payments (id bigint primary key)")
    database.execute("select paysync.register('payments')")
    database.execute("select paysync.create_subscriber('mirror')")
    tail = start_tail(relay.endpoint, subscriber="mirror")
    with database.connect(autocommit=False) as session:
        session.execute("insert into payments values (1)")
        session.rollback()
    database.execute("insert into payments values (2)")

    [transaction] = tail.wait_for(1)

    assert [change["key"] for change in transaction["changes"]] == [{"id": "2"}]


def test_the_server_of_a_test_can_be_killed(cluster):
    """Rule: after its postmaster was killed, a server of the harness starts again with what was committed."""
    cluster.execute("create table kept (id int)")
    cluster.execute("insert into kept values (1)")
    cluster.kill9_postmaster()
    cluster.start()
    assert cluster.execute("select id from kept") == [(1,)]
    cluster.crash()
    cluster.start()
    assert cluster.execute("select id from kept") == [(1,)]
