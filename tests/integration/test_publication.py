"""Beside us, logical replication of the same database: neither disturbs the other."""

import pytest

from harness.replica import Mirror

OPTIONS = "'proto_version', '1', 'publication_names', 'everything'"


@pytest.fixture(name="decoded")
def fixture_decoded(server, database):
    """A function that reads what a slot with a publication FOR ALL TABLES decodes: messages by their first letter, and their bytes."""
    slot = f"{database.name}_slot"
    database.execute("create publication everything for all tables")
    database.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))

    def read() -> list:
        return [bytes(row[0]) for row in database.execute(f"select data from pg_logical_slot_get_binary_changes('{slot}', null, null, {OPTIONS})")]

    yield read
    server.execute("select pg_drop_replication_slot(%s)", (slot,))


def test_our_writes_are_replicated_like_others(database, decoded):
    """Rule: under a publication FOR ALL TABLES writers, ticks, acknowledgements, the switching and emptying of segments and DDL go on
    without an error, and everything of it can be decoded."""
    database.execute("create table t (id bigserial primary key, n int, v text)")
    database.execute("select paysync.register('t', old_values => 'full')")
    database.execute(f"alter database {database.name} set paysync.segment_size = '1MB'")
    rows, generations = 0, set()
    with Mirror(database) as mirror:
        for step in range(12):
            with database.connect() as session:
                session.execute("insert into t (n, v) select i, repeat(md5(i::text), 20) from generate_series(1, 500) as i")
                session.execute("update t set n = n + 1 where id % 10 = 0; delete from t where id % 7 = 0")
                if step % 4 == 1:
                    session.execute(f"alter table t add column c{step} int default {step}")
                if step % 4 == 3:
                    session.execute(f"alter table t add column c{step} float8 default random(); select paysync.emit('default', 'e', '{{}}')")
            mirror.catch_up()
            mirror.outbox.acknowledge()
            generations |= {row[0] for row in database.execute("select generation from paysync.ring where current")}
            kinds = [message[:1] for message in decoded()]
            assert kinds.count(b"B") == kinds.count(b"C") > 0
            rows += kinds.count(b"I")
        assert len(generations) > 3, generations
        assert rows > 12 * 500 + 12
        assert set(mirror.replica.in_doubt()) == {"public.t"}
