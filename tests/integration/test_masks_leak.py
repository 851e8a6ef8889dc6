"""Masks: a masked value is in the source table and nowhere else that is ours."""

import hashlib
import hmac
import json
import random
import re

import psycopg
import pytest

from harness import Postgres, wait_for
from harness.outbox import Outbox

SECRET = "a secret of the tests, long enough"
MASKS = {"null": "null", "text": {"mask": "text", "value": "***"}, "last4": "last4", "first6last4": "first6last4", "hmac": {"mask": "hmac", "key": "k1"}}
SETTINGS = {"log_min_messages": "debug1", "log_statement": "none", "log_min_error_statement": "panic", "full_page_writes": "on",
            "autovacuum": "off", "log_error_verbosity": "verbose"}


class Card:
    """Card numbers that stand nowhere by chance, and what is allowed to be seen of them."""

    def __init__(self):
        chance = random.SystemRandom()
        self.numbers = []
        self.make = lambda: self.numbers.append(f"49297{chance.randrange(10**11):011d}") or self.numbers[-1]

    def found_in(self, data: bytes) -> list:
        """Those that are in the data, as text, as hex, or as a number in binary."""
        spellings = {number: (number.encode(), number.encode().hex().encode(), int(number).to_bytes(8, "big"), int(number).to_bytes(8, "little"))
                     for number in self.numbers}
        return [number for number, ways in spellings.items() if any(way in data for way in ways)]


@pytest.fixture(name="source")
def fixture_source(folder):
    """A server of the test's own that logs much, and a database."""
    with Postgres(folder / "pg", tcp=True, settings=SETTINGS) as server:
        database = server.create_database("shop")
        database.execute("create extension paysync; create extension pg_walinspect")
        database.execute("select paysync.set_mask_key('k1', %s)", (SECRET.encode(),))
        yield database


def write(session, table: str, card: Card) -> None:
    """Insert, update, delete and truncate rows with cards, in savepoints too."""
    session.execute(f"insert into {table} (id, pan, n) select i, '{card.make()}', i from generate_series(1, 5) as i")
    session.execute(f"update {table} set pan = '{card.make()}' where id = 1")
    session.execute(f"update {table} set n = 7 where id = 2; update {table} set id = id + 10 where id = 3")
    session.execute(f"begin; insert into {table} (id, pan) values (100, '{card.make()}'); savepoint a; update {table} set pan = '{card.make()}'; "
                    f"rollback to a; insert into {table} (id, pan) values (101, '{card.make()}'); commit")
    session.execute(f"delete from {table} where id in (1, 4, 101)")


def provoke(session, table: str, card: Card) -> int:
    """Statements that fail in our code, on rows with cards; how many did."""
    failed = 0
    for statement in (f"insert into {table} (id, pan, n) values (50, '{card.make()}', -1)",       # the filter divides by zero
                      f"insert into no_key (id, pan) values (1, '{card.make()}')", "update no_key set n = 5",  # the key is gone
                      f"insert into keyless_mask (id, pan) values (1, '{card.make()}')",           # the mask's key is gone
                      f"insert into odd (id, pan, c) values (1, '{card.make()}', 'é')"):            # no valid text
        try:
            session.execute(statement)
        except psycopg.Error as error:
            failed += 1
            assert not card.found_in(str(error).encode()) or "paysync" not in str(error), error
    return failed


def outbox_files(database) -> bytes:
    """All files of relations in schema paysync."""
    database.execute("checkpoint")
    paths = database.execute("""select pg_relation_filepath(c.oid) from pg_class as c where relfilenode <> 0 and (relnamespace = 'paysync'::regnamespace
        or oid in (select reltoastrelid from pg_class where relnamespace = 'paysync'::regnamespace)
        or oid in (select indexrelid from pg_index where indrelid in (select reltoastrelid from pg_class where relnamespace = 'paysync'::regnamespace)))""")
    return b"".join(path.read_bytes() for (name,) in paths for path in (database.server.data / name).parent.glob((database.server.data / name).name + "*"))


def wal_records(database, start: str, own: set) -> tuple:
    """The bytes of all records since `start`: (of the source tables alone, all others)."""
    rows = database.execute("select start_lsn - '0/0'::pg_lsn, end_lsn - '0/0'::pg_lsn, block_ref from pg_get_wal_records_info_till_end_of_wal(%s)", (start,))
    segments = sorted((database.server.data / "pg_wal").glob("0000*"))
    stream = {int(path.name[8:16], 16) * 256 + int(path.name[16:24], 16): path.read_bytes() for path in segments if len(path.name) == 24}
    ours, others = bytearray(), bytearray()
    for first, last, blocks in rows:
        number, at = divmod(int(first), 1 << 24)
        data = (stream[number] + stream.get(number + 1, b""))[at:at + int(last) - int(first)]
        nodes = set(re.findall(r"rel \d+/\d+/(\d+)", blocks or ""))
        (ours if nodes and nodes <= own else others).extend(data + b"\n")
    return bytes(ours), bytes(others)


def own_nodes(database) -> set:
    """The file numbers of the users' tables, their indexes and what is stored out of line."""
    return {str(row[0]) for row in database.execute("""select relfilenode from pg_class where relfilenode <> 0 and
        (relnamespace = 'public'::regnamespace or oid in (select reltoastrelid from pg_class where relnamespace = 'public'::regnamespace))""")}


def test_a_masked_value_is_nowhere(source, start_relay, start_tail):
    """Rule: a masked value is in no file of the outbox, no log record of ours, no line of the server's log, and nothing that peek, a
    relay or a subscriber shows."""
    card, plain = Card(), Card()
    for name, mask in MASKS.items():
        source.execute(f"create table t_{name} (id int primary key, pan text, n int)")
        source.execute("select paysync.register(%s, masks => %s, old_values => 'full', row_filter => '100 / (coalesce(n, 0) + 1) is not null')",
                       (f"t_{name}", json.dumps({"pan": mask})))
    for name in ("no_key", "keyless_mask", "odd"):
        source.execute(f"create table {name} (id int primary key, pan text, n int, c \"char\")")
        source.execute("select paysync.register(%s, masks => %s)", (name, json.dumps({"pan": "last4"})))
    source.execute("create table as_number (id int primary key, pan bigint, n int); "
                   "select paysync.register('as_number', masks => '{\"pan\": {\"mask\": \"hmac\", \"key\": \"k1\"}}', old_values => 'changed')")
    source.execute("create table open_one (id int primary key, pan text, n int); select paysync.register('open_one')")
    source.execute("alter table no_key drop constraint no_key_pkey")
    source.execute("select paysync.create_subscriber('mirror')")
    start = source.value("select pg_current_wal_insert_lsn()")
    relay = start_relay(source)
    tail = start_tail(relay.endpoint, subscriber="mirror")
    with source.connect() as session:
        for table in [*(f"t_{name}" for name in MASKS), "as_number"]:
            write(session, table, card)
        assert provoke(session, "t_last4", card) >= 2
        write(session, "open_one", plain)
        session.execute("insert into t_null (id) values (9999)")
    wait_for(lambda: '"9999"' in tail.out() or ":9999" in tail.out(), 30, "the tail has all")

    ours, others = wal_records(source, start, own_nodes(source))
    assert len(card.found_in(ours)) > len(card.numbers) / 2 and plain.found_in(others), "else the search would show nothing"
    shown = {
        "the outbox": outbox_files(source), "the write-ahead log": others, "the server's log": source.server.log().encode(),
        "peek": repr(source.execute("select * from paysync.peek(max_transactions => 10000)")).encode(), "tail": (tail.out() + tail.log()).encode(),
        "the relay": (relay.out() + relay.log()).encode(), "views": repr(source.execute("select * from paysync.tables")).encode()}
    assert {where: card.found_in(data) for where, data in shown.items() if card.found_in(data)} == {}
    assert {"the outbox", "tail", "peek"} <= {where for where, data in shown.items() if plain.found_in(data)}
    assert SECRET not in source.server.log()


def test_masks_show_what_they_say(source):
    """Rule: each mask sends what the reference says, null stays null, and a token is the HMAC of the text."""
    for name, mask in MASKS.items():
        source.execute(f"create table t_{name} (id int primary key, pan text)")
        source.execute("select paysync.register(%s, masks => %s, old_values => 'full')", (f"t_{name}", json.dumps({"pan": mask})))

    def token(text: str) -> str:
        return "k1:" + hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

    given = ["4929712345678901", "1234567", "12345678", "", "ääöö1234€", "123456789012", "1234567890123", None]
    expected = {
        "null": [None] * 8, "text": ["***"] * 7 + [None], "hmac": [*map(token, given[:-1]), None],
        "last4": ["*" * 12 + "8901", "*" * 7, "****5678", "", "*****234€", "********9012", "*********0123", None],
        "first6last4": ["492971******8901", "*" * 7, "*" * 8, "", "*" * 9, "*" * 12, "123456***0123", None]}
    with Outbox(source) as outbox:
        for name in MASKS:
            source.execute("insert into t_%s select i, v from unnest(%%s::text[]) with ordinality as u (v, i)" % name, (given,))
            source.execute(f"update t_{name} set pan = pan || 'x'; delete from t_{name}")
        found = [change for transaction in outbox.read() for change in transaction.changes]
    for name in MASKS:
        of_table = [change for change in found if change.table == f"t_{name}"]
        assert [change.new["pan"] for change in of_table if change.op == "insert"] == expected[name], name
        assert [change.old["pan"] for change in of_table if change.op == "update"] == expected[name], name


def test_what_is_computed_from_a_masked_column(source):
    """Rule: a generated column that is computed from a masked one must be masked or left out."""
    source.execute("create table t (id int primary key, pan text, copy text generated always as (pan || '') stored)")
    with pytest.raises(psycopg.Error, match="copy"):
        source.execute("select paysync.register('t', masks => '{\"pan\": \"last4\"}')")
    source.execute("select paysync.register('t', masks => '{\"pan\": \"last4\"}', columns => '{id, pan}')")
