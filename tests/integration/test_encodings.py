"""Databases in other encodings than UTF-8: names, values, labels, filters and masks come as UTF-8, and only valid."""

import hashlib
import hmac
import json

import psycopg
import pytest

from harness import Database
from harness.replica import Mirror

ENCODINGS = {
    "LATIN1": ("Grüße", "naïve", "ÿ½©"), "LATIN2": ("Łódź", "žluťoučký", "őű"), "LATIN9": ("Œuvre", "prix€", "Š"),
    "WIN1252": ("Größe™", "prix€", "“”"), "WIN1251": ("Платёж", "счёт", "№"), "KOI8R": ("Платеж", "счет", "Я"),
    "EUC_JP": ("支払い", "口座", "ｶﾅ漢字"), "EUC_KR": ("결제", "계좌", "漢字"), "EUC_CN": ("支付", "账户", "汉字"), "ISO_8859_7": ("Πληρωμή", "ποσό", "Ω"),
    "UTF8": ("Größe😀", "e\u0301é", "\u200f👍"),
}
SECRET = b"a secret of sixteen bytes or more"


@pytest.fixture(name="encoded")
def fixture_encoded(server, request):
    """A database in the encoding that the test names."""
    name = f"encoded_{request.param.lower()}"
    server.execute(f"create database {name} encoding '{request.param}' template template0 locale 'C'")
    database = Database(server, name)
    database.execute("create extension paysync")
    yield database
    server.drop_database(name)


@pytest.mark.parametrize("encoded", ENCODINGS, indirect=True)
def test_everything_comes_as_utf8(encoded, request):
    """Rule: whatever encoding the database has, a subscriber gets names, types, texts, JSON, labels and arrays in UTF-8, and old values,
    filters, masks and alters go by them."""
    table, column, text = ENCODINGS[request.node.callspec.params["encoded"]]
    types = f"create type \"{table} type\" as enum ('{text}', '{column}'); create type \"{column} pair\" as (\"{text}\" text, n int)"
    encoded.execute(types)
    encoded.execute(f"""create table "{table}" (id int primary key, "{column}" text, j json, jb jsonb, e "{table} type", es "{table} type"[], p "{column} pair",
        a text[], c char(10), pan text, token text, hidden text)""")
    encoded.execute("select paysync.set_mask_key('k1', %s)", (SECRET,))
    masks = {"pan": "last4", "token": {"mask": "hmac", "key": "k1"}, "hidden": {"mask": "text", "value": text}}
    encoded.execute("select paysync.register(%s, old_values => 'full', row_filter => %s, masks => %s, new_columns => 'include')",
                    (f'"{table}"', f"\"{column}\" <> 'nothing{text}'", json.dumps(masks, ensure_ascii=False)))
    with Mirror(encoded, types) as mirror:
        row = (text + column, json.dumps({text: [column]}, ensure_ascii=False), json.dumps({column: text}, ensure_ascii=False), text, [text, column, None],
               f'("{text}",1)', [text, "", column], text, f"123456{text}789", text, column)
        statement = f"insert into \"{table}\" values (%s, %s, %s, %s, %s, %s::\"{table} type\"[], %s, %s, %s, %s, %s, %s)"
        for number in (1, 2, 3):
            encoded.execute(statement, (number, *row))
        encoded.execute(statement, (4, f"nothing{text}", *row[1:]))
        encoded.execute(f"update \"{table}\" set \"{column}\" = \"{column}\" || '{text}', e = '{column}' where id = 1; delete from \"{table}\" where id = 2")
        encoded.execute(f"alter table \"{table}\" rename column c to \"c {text}\"; alter table \"{table}\" add column \"new {text}\" text default '{text}'")
        encoded.execute(f"alter table \"{table}\" rename to \"{column}\"; update \"{column}\" set j = null where id = 3")
        mirror.catch_up()
        assert not mirror.replica.in_doubt()
        sent = f'id, "{column}", j, jb, e, es, p, a, "c {text}", "new {text}"'
        source, copy = (sorted(map(str, side.execute(f'select {sent} from "{column}" where id < 4'))) for side in (encoded, mirror.copy))
        assert source == copy and len(copy) == 2
        first = mirror.transactions[0].changes[0]
        assert (first.table, first.new[column], first.new["e"]) == (table, text + column, text)
        pan = row[8]
        assert first.new["pan"] == "*" * (len(pan) - 4) + pan[-4:]
        assert first.new["token"] == "k1:" + hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
        assert first.new["hidden"] == text
        encoded.execute(f"alter table \"{column}\" add column r float8 default random(); select paysync.emit('default', '{text}', '{{}}', '{column}')")
        *_, event = mirror.changes()
        assert (event.type, event.key) == (text, column)
        shown = encoded.execute("select table_name from paysync.peek(max_transactions => 1000)")
        assert any(table in (row[0] or "") for row in shown)


@pytest.mark.parametrize("encoded, value", [("WIN1252", "chr(129)"), ("SQL_ASCII", "chr(233)")], indirect=["encoded"])
def test_what_has_no_utf8_is_refused(encoded, value):
    """Rule: a text that cannot be told in UTF-8 is refused when it is written, and the stream goes on."""
    encoded.execute("create table t (id int primary key, v text); select paysync.register('t')")
    with Mirror(encoded) as mirror:
        encoded.execute("insert into t values (1, 'a')")
        with pytest.raises(psycopg.DataError) as error:
            encoded.execute(f"insert into t values (2, 'secret' || {value})")
        assert "secret" not in str(error.value)
        encoded.execute("insert into t values (3, 'b')")
        assert [change.key["id"] for change in mirror.changes()] == [1, 3]
