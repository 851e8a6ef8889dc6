"""Values: what a subscriber reads and writes back is the same row, text for text, for every type and at its edges."""

import pytest

from harness.replica import mirrored

TYPES = """
create type mood as enum ('sad', 'fine', 'so "so"');
create type money_of as (amount numeric(12,2), currency char(3), at timestamptz);
create domain positive as numeric check (value > 0);
create domain short_text as varchar(20);
create domain moment as timestamptz;
create domain document as jsonb;
create type span as range (subtype = timestamptz);
"""
# Type, and values as SQL.
VALUES = {
    "smallint": ["-32768", "32767", "0"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "-129", "256"],
    "oid": ["4294967295", "0"],
    "boolean": ["true", "false"],
    "numeric": ["'NaN'", "'Infinity'", "'-Infinity'", "0", "0.00", "'1e-1000'", "'-1e1000'", "repeat('9', 2000)", "'0.' || repeat('0', 300) || '1'"],
    "numeric(12,2)": ["9999999999.99", "-0.01", "1.50"],
    "numeric(5,-2)": ["12300"],
    "real": ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "1.1", "3.4028235e38", "1.4e-45"],
    "double precision": ["'NaN'", "'Infinity'", "'-0'", "0.1", "1.7976931348623157e308", "5e-324", "123456789.123456789"],
    "money": ["'-92233720368547758.08'", "'92233720368547758.07'", "0"],
    "text": ["''", "' '", "E'\\n\\t\\\\ \\'\"'", "U&'\\00e4\\20ac\\+01f600'", "E'\\x01\\x7f'", "repeat('long ', 20000)", "'NULL'", "'{}'"],
    "character varying(80)": ["'abc  '", "''"],
    "character(10)": ["'abc'", "''", "'  x'"],
    '"char"': ["'a'", "''"],
    "name": ["'pg_class'"],
    "bytea": ["''", "'\\x00ff00'", "decode(repeat('00ff', 20000), 'hex')"],
    "date": ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2024-02-29'", "'0001-01-01'"],
    "time": ["'00:00'", "'24:00'", "'23:59:59.999999'"],
    "time with time zone": ["'00:00+15:59:59'", "'24:00-15:59'", "'12:00:00.5+02'"],
    "timestamp": ["'infinity'", "'-infinity'", "'4713-01-01 00:00 BC'", "'294276-12-31 23:59:59.999999'", "'0001-01-01'", "'0001-12-31 BC'",
                  "'9999-12-31 23:59:59.999999'", "'10000-01-01'", "'2000-01-01'", "'1999-12-31 23:59:59.999999'"],
    "timestamp with time zone": ["'infinity'", "'-infinity'", "'4713-01-01 00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'",
                                 "'2024-03-31 02:30 Europe/Berlin'", "'0001-01-01 00:00+00'"],
    "interval": ["'0'", "'1 year -2 months 3 days -04:05:06.789'", "'-178000000 years'", "'1 mon -1 day'"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "json": ["'{\"a\" : 1.00, \"a\":2,  \"b\": [1e400]}'", "'null'", "'\"\\u00e4\"'", "' [ ] '"],
    "jsonb": ["'{\"a\" : 1.00, \"b\": [12345678901234567890.12345678901234567890]}'", "'null'", "'\"ä\"'", "'[[], {}]'"],
    "xml": ["'<a b=\"1\">&amp;</a>'"],
    "inet": ["'192.168.0.1/24'", "'::1'"],
    "cidr": ["'10.0.0.0/8'", "'2001:db8::/32'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "bit(5)": ["B'10101'"],
    "bit varying": ["B''", "B'1'"],
    "point": ["'(1.5,-0)'", "'(Infinity,NaN)'"],
    "box": ["'(1,1),(0,0)'"],
    "path": ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"],
    "polygon": ["'((0,0),(1,1),(2,0))'"],
    "circle": ["'<(0,0),1>'"],
    "tsvector": ["'a:1A b:2 ''it''''s'':3'"],
    "tsquery": ["'a & !b | c:*'"],
    "pg_lsn": ["'FFFFFFFF/FFFFFFFF'"],
    "jsonpath": ["'$.a[*] ? (@ > 1)'"],
    "regclass": ["'pg_catalog.pg_class'", "'edges'"],
    "int4range": ["'empty'", "'[1,5)'", "'(,)'", "'[1,)'"],
    "numrange": ["'[1.10,2.0)'"],
    "tstzrange": ["'[\"2024-01-01 00:00+00\",infinity)'", "'empty'"],
    "int4multirange": ["'{}'", "'{[1,3),[5,7)}'"],
    "span": ["'[\"0044-03-15 00:00+00 BC\",)'"],
    "integer[]": ["'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'[0:1]={1,2}'"],
    "text[]": ["'{}'", "array['', 'NULL', null, 'a,b', '\"', '\\', '{}', ' ']"],
    "numeric(12,2)[]": ["'{1.50,NaN}'"],
    "timestamp with time zone[]": ["'{infinity,\"0001-01-01 00:00+00\"}'"],
    "mood": ["'sad'", "'so \"so\"'"],
    "mood[]": ["'{sad,NULL,\"so \\\"so\\\"\"}'"],
    "money_of": ["row(1.50, 'EUR', '2024-01-01 00:00+00')", "row(null, null, null)", "row(0, '\"', 'infinity')"],
    "money_of[]": ["array[row(1.50, 'EUR', null)::money_of, null]"],
    "positive": ["0.000000000001", "'NaN'"],
    "short_text": ["'x'", "''"],
    "moment": ["'-infinity'", "'2024-01-01 00:00:00.000001+00'"],
    "document": ["'{\"b\": 1, \"a\": 2}'"],
}
# No equality, or values that are too large for an index.
NO_KEYS = {"json", "xml", "point", "box", "path", "polygon", "circle", "jsonpath", "numeric", "text", "bytea"}

PAYMENTS = """
create table payments (id bigint primary key, account bigint not null, amount numeric(12,2) not null, currency char(3) not null,
    status text not null, reference uuid, created timestamptz not null, settled timestamp, reversed boolean not null default false,
    fee numeric, attempts smallint not null default 0, details jsonb, filler character(84))
"""


def columns() -> list:
    """A column for each type: (name, type, values)."""
    return [(f"c{number}", kind, values) for number, (kind, values) in enumerate(VALUES.items())]


def literal(values: list, row: int, kind: str) -> str:
    """The value of a column in a row, as SQL; null behind the last."""
    return f"({values[row]})::{kind}" if row < len(values) else "null"


@pytest.mark.parametrize("session_settings", [
    "", "set datestyle = 'SQL, DMY'; set intervalstyle = 'iso_8601'; set timezone = 'Asia/Kolkata'; set extra_float_digits = -5; "
        "set bytea_output = 'escape'"])
def test_every_type_comes_back_as_it_was(database, relay, session_settings):
    """Rule: a value written back by a subscriber is the value that was captured, whatever settings the writer's session has."""
    table = f"create table edges (id int primary key, {', '.join(f'{name} {kind}' for name, kind, _ in columns())})"
    database.execute(TYPES + table)
    database.execute("select paysync.register('edges')")
    rows = max(len(values) for values in VALUES.values()) + 1
    with mirrored(database, relay, TYPES + table, ["edges"]) as applied:
        with database.connect(autocommit=False) as session:
            session.execute(session_settings or "select")
            for row in range(rows):
                given = ", ".join(literal(values, row, kind) for _, kind, values in columns())
                session.execute(f"insert into edges values ({row}, {given})")
            # The same values once more, in the other half of the formats: an update that moves each to the row before.
            session.execute(f"update edges set id = -1 - id, {', '.join(f'{name} = {name}' for name, _, _ in columns())} where id % 2 = 0")
    assert len(applied[0].changes) == rows + (rows + 1) // 2


def test_every_type_is_a_key(database, relay):
    """Rule: a key of any type that can be one finds its row again, in updates and deletes."""
    tables = {f"keyed_{number}": (kind, values) for number, (kind, values) in enumerate(VALUES.items()) if kind not in NO_KEYS}
    schema = TYPES + "create table edges (id int);" + "".join(
        f"create table {table} (k {kind} primary key, n int);" for table, (kind, _) in tables.items())
    database.execute(schema)
    with mirrored(database, relay, schema, list(tables)) as applied, database.connect() as session:
        for table, (kind, values) in tables.items():
            session.execute(f"select paysync.register('{table}')")
            given = [literal(values, row, kind) for row in range(len(values))]
            session.execute(f"insert into {table} values {', '.join(f'({value}, 1)' for value in given)}")
            session.execute(f"update {table} set n = n + 1")
            session.execute(f"delete from {table} where k = {given[0]}")
            session.execute(f"insert into {table} values ({given[0]}, 7)")
    assert len(applied) == 4 * len(tables)


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
