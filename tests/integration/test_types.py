"""Values: what a subscriber reads and writes back is the same row, text for text, for every type and at its edges."""

import contextlib
import hashlib

import psycopg
import pytest

from harness.outbox import Outbox
from harness.replica import Mirror, mirrored
from harness.type_values import BUILT_IN, HOSTILE, OURS, TYPES, UNREADABLE, VALUES, arrays_of, literal

# No equality, or values that are too large for an index.
NO_KEYS = {"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "jsonpath", "numeric", "text", "bytea", "xid", "cid", "aclitem",
           "refcursor", "pg_snapshot", "txid_snapshot", "bit varying", "int2vector", "hstore", "parcel"}
TABLES = {f"t{number}": kind for number, kind in enumerate(VALUES)}
# Types without a function for binary output.
NO_BINARY = {"aclitem"}

PAYMENTS = """
create table payments (id bigint primary key, account bigint not null, amount numeric(12,2) not null, currency char(3) not null,
    status text not null, reference uuid, created timestamptz not null, settled timestamp, reversed boolean not null default false,
    fee numeric, attempts smallint not null default 0, details jsonb, filler character(84))
"""


@contextlib.contextmanager
def source_and_copy(database):
    """The source with TYPES and a copy in which those have the same numbers."""
    database.execute(TYPES)
    database.execute(";".join(f"create domain as_domain_of_{table} as {kind}" for table, kind in TABLES.items()))
    with Mirror(database, template=database.name) as mirror:
        yield mirror


def write_every_form(session, table: str, kind: str, values: list) -> int:
    """Register a table of this type and put its values, arrays and nulls through inserts, updates and deletes; how many rows stay."""
    session.execute(f"create table {table} (id int primary key, v {kind}, a {kind}[], d as_domain_of_{table}, n int default 0)")
    session.execute(f"""select paysync.register('{table}', old_values => 'full')""")
    rows = [(literal(value, kind), "null") for value in [*values, "null"]]
    rows += [(literal(values[0], kind), f"({array})::{kind}[]") for array in arrays_of(values, kind)]
    for row, (value, array) in enumerate(rows):
        session.execute(f"insert into {table} values ({row}, {value}, {array}, {value})")
        session.execute(f"insert into {table} values ({row + 1000}, {value}, {array}, null)")
    session.execute(f"update {table} set n = 1 where id % 2 = 0")
    for row, (value, array) in enumerate(reversed(rows)):
        session.execute(f"update {table} set v = {value}, a = {array}, d = {value} where id = {row}")
    session.execute(f"delete from {table} where id % 3 = 1")
    return session.execute(f"select count(*) from {table}").fetchone()[0]


def assert_same_bytes(source, copy, tables: dict) -> None:
    """COPY … (FORMAT binary) gives the same bytes."""
    for table, kind in tables.items():
        if kind.split("(")[0] not in NO_BINARY:
            assert binary_copy(source, table) == binary_copy(copy, table), f"{kind} differs in binary"


def binary_copy(database, table: str) -> bytes:
    """All rows of a table as COPY gives them."""
    with database.connect() as session, session.cursor() as cursor, \
            cursor.copy(f"copy (select * from {table} order by id) to stdout (format binary)") as copy:
        return b"".join(bytes(part) for part in copy)


def test_no_type_is_forgotten(database):
    """Rule: every base, range and multirange type of the server is among those that are tried, or is told why it cannot be."""
    types = {row[0] for row in database.execute("""select format_type(oid, null) from pg_type
        where typtype in ('b', 'r', 'm') and typnamespace = 'pg_catalog'::regnamespace
          and not exists (select from pg_type as e where e.typarray = pg_type.oid)""")}
    tried = {row[0] for row in database.execute("select format_type(t::regtype, null) from unnest(%s::text[]) as t",
                                                (list(BUILT_IN),))}
    assert types - tried - set(UNREADABLE) == set()
    database.execute(TYPES)
    ours = {row[0] for row in database.execute("""select format_type(oid, null) from pg_type
        where typnamespace = 'public'::regnamespace and not exists (select from pg_type as e where e.typarray = pg_type.oid)
          and typname <> 'ghstore'""")}
    assert ours == set(OURS)


@pytest.mark.parametrize("hostile", [False, True])
def test_every_type_comes_back_as_it_was(database, hostile):
    """Rule: a value written back by a subscriber is the value that was captured, alone, in arrays and domains, as new and as old
    value, whatever settings the writer's session has; text for text and byte for byte."""
    with source_and_copy(database) as mirror:
        rows = 0
        with database.connect() as session:
            if hostile:
                session.execute(HOSTILE)
            for table, kind in TABLES.items():
                rows += write_every_form(session, table, kind, VALUES[kind])
        mirror.assert_same(list(TABLES))
        assert rows > 10 * len(TABLES)
        assert_same_bytes(database, mirror.copy, TABLES)


def test_every_type_is_a_key(database):
    """Rule: a key of any type that can be one finds its row again, in updates and deletes."""
    with source_and_copy(database) as mirror, database.connect() as session:
        tables = {f"keyed_{number}": (kind, values) for number, (kind, values) in enumerate(VALUES.items()) if kind not in NO_KEYS}
        for table, (kind, values) in tables.items():
            session.execute(f"create table {table} (k {kind} primary key, n int)")
            session.execute(f"select paysync.register('{table}')")
            given = [literal(value, kind) for value in values]
            session.execute(f"insert into {table} values {', '.join(f'({value}, 1)' for value in given)} on conflict do nothing")
            session.execute(f"update {table} set n = n + 1")
            session.execute(f"delete from {table} where k = {given[0]}")
            session.execute(f"insert into {table} values ({given[0]}, 7)")
        mirror.assert_same(list(tables))
        assert len(mirror.transactions) == 4 * len(tables)


def test_generated_and_identity_columns(database):
    """Rule: a stored generated column and an identity column are sent with the values they have, also old ones."""
    with Mirror(database) as mirror, database.connect() as session:
        session.execute("""create table made (id bigint generated always as identity primary key, n int, twice int generated always as (n * 2) stored,
            label text generated always as ('n' || n) stored, other int generated by default as identity)""")
        session.execute("select paysync.register('made', old_values => 'full')")
        session.execute("insert into made (n) values (1), (2), (null)")
        session.execute("insert into made (id, n) overriding system value values (100, 3)")
        session.execute("update made set n = n + 10")
        session.execute("delete from made where id = 2")
        mirror.assert_same(["made"])
        assert [change.new["twice"] for change in mirror.transactions[0].changes] == [2, 4, None]


def test_settings_of_a_session_are_not_seen(database):
    """Rule: whatever a session has set, it writes rows in the same shape and with the same text as others, and its DDL tells the same."""
    with source_and_copy(database) as mirror, database.connect() as plain, database.connect() as hostile:
        hostile.execute(HOSTILE)
        plain.execute("create table s (id int primary key, m mood, ms mood[], i interval, f float8, r regtype, p parcel, d document, \"select\" mood)")
        plain.execute("select paysync.register('s', row_filter => $$m = 'sad'::mood$$)")
        for number, session in enumerate((plain, hostile, plain, hostile)):
            session.execute(f"insert into s values ({number}, 'sad', array['sad', 'fine']::mood[], '1 year 2 days', 0.1, 'mood', null, '1', 'fine')")
            session.execute(f"alter table s add column c{number} mood default 'fine'")
        assert not {change.op for change in mirror.changes()} - {"insert", "alter"}
        mirror.assert_same(["s"])


def test_large_arrays(database):
    """Rule: an array has as many elements as PostgreSQL lets it have."""
    database.execute("create table large (id int primary key, a int[], t text[], f float8[])")
    database.execute("select paysync.register('large', old_values => 'full')")
    with Mirror(database) as mirror:
        database.execute("insert into large select 1, array_agg(i), array_agg(i::text), array_agg(i / 7.0) from generate_series(1, 100000) as i")
        database.execute("update large set a = array_fill(1, array[300, 200]), f = null")
        mirror.assert_same(["large"])
        database.execute("delete from large")
        mirror.assert_same(["large"])


@pytest.mark.deadline(400)
@pytest.mark.parametrize("kind, made, digest", [
    ("bytea", "convert_to(repeat('0123456789abcde\u00e9', 18000000), 'UTF8')", lambda value: hashlib.md5(value).hexdigest()),
    ("text", "repeat('0123456789abcdeé', 18000000)", lambda value: hashlib.md5(value.encode()).hexdigest())])
def test_a_value_of_300_megabytes(database, kind, made, digest):
    """Rule: a value is as large as PostgreSQL lets it be; it is kept in parts and read back whole, as new and as old value."""
    database.execute(f"create table large (id int primary key, v {kind})")
    database.execute("select paysync.register('large', old_values => 'full')")
    with Outbox(database) as outbox:
        database.execute(f"insert into large values (1, {made})")
        [transaction] = outbox.read()
        [change] = transaction.changes
        expected = database.value("select md5(v) from large")
        assert len(change.new["v"]) >= 288_000_000
        assert digest(change.new["v"]) == expected
        del transaction, change
        database.execute("delete from large")
        [transaction] = outbox.read()
        assert digest(transaction.changes[0].old["v"]) == expected


def test_what_no_text_can_be_made_of_is_refused(database):
    """Rule: a value whose text is not valid in the database's encoding cannot get into the stream: it is refused, or told in a way
    that is valid UTF-8."""
    database.execute("create table odd (id int primary key, c \"char\")")
    database.execute("select paysync.register('odd')")
    with Outbox(database) as outbox:
        try:
            database.execute("insert into odd select 1, set_byte('a', 0, 195)::text::\"char\"" if False else "insert into odd values (1, 'é')")
        except psycopg.errors.DataError:
            pass
        database.execute("insert into odd values (2, 'a')")
        keys = [change.key["id"] for transaction in outbox.read() for change in transaction.changes]
        assert keys == [row[0] for row in database.execute("select id from odd order by id")]


def test_payments_come_back_as_they_were(database, relay):
    """Rule: rows of a table as payments have it, random within their types, come back equal through inserts, updates and deletes."""
    database.execute(PAYMENTS)
    database.execute("select paysync.register('payments')")
    with mirrored(database, relay, PAYMENTS, ["payments"]) as applied:
        database.execute("""insert into payments select i, (random() * 9e18)::bigint, ((random() - 0.5) * 1e10)::numeric(12,2),
            (array['EUR', 'USD', 'JPY'])[1 + i % 3], (array['pending', 'settled', ''])[1 + i % 3], gen_random_uuid(),
            to_timestamp(random() * 4e9), case when i % 4 > 0 then '2024-01-01'::timestamp + random() * interval '900 days' end,
            i % 7 = 0, case when i % 5 > 0 then random()::numeric / 3 end, i % 32767, jsonb_build_object('n', random(), 'i', i), 'f' || i
            from generate_series(1, 2000) as i""")
        database.execute("update payments set amount = -amount, status = status || 'é', settled = null, details = details || '{\"again\": true}' where id % 3 = 0")
        database.execute("update payments set id = id + 10000 where id % 10 = 0")
        database.execute("delete from payments where id % 4 = 0")
    assert sum(len(transaction.changes) for transaction in applied) > 3000
