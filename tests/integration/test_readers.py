"""The three readers on one stream: what a table holds, how it was altered and where it has a gap, in peek, tail and Python."""

import math
import struct
from datetime import date

import pytest
from paysync import Subscriber, to_text

COLUMNS = {
    "id": "bigint", "single": "real", "double": "double precision", "raw": "bytea", "day": "date", "names": "text[]", "counts": "bigint[]",
    "days": "date[]", "small": "integer[]", "factors": "real[]", "documents": "jsonb[]", "shifted": "text[]",
}
ROWS = [
    ["1", "0.1", "0.1", r"\x00ff", "2025-11-15", '{a,NULL,"NULL","b \\"c\\""}', "{{1,2},{3,4}}", "{2000-01-01,infinity}", "{1,-1,NULL}",
     "{0.1,NaN,-Infinity}", '{"{\\"a\\": 1}"}', "[0:1]={a,b}"],
    ["2", "NaN", "-Infinity", r"\x", "-infinity", "{}", "{}", None, "{{{{{{7}}}}}}", "{1e-45}", "{}", "[-1:-1][2:2]={{NULL}}"],
    ["3", "-0", "5e-324", None, "0044-03-15 BC", None, None, "{NULL}", None, None, None, None],
    ["4", "3.4028235e+38", "1.7976931348623157e+308", None, "5874897-12-31", None, None, None, None, None, None, None],
]
SHOWN = {
    "id": "1", "single": 0.1, "double": 0.1, "raw": "\\x00ff", "day": "2025-11-15", "names": ["a", None, "NULL", 'b "c"'],
    "counts": [["1", "2"], ["3", "4"]], "days": ["2000-01-01", "infinity"], "small": [1, -1, None], "factors": [0.1, "NaN", "-Infinity"],
    "documents": ['{"a": 1}'], "shifted": "[0:1]={a,b}",
}


@pytest.fixture
def followed(database, relay, start_tail):
    """A database with a durable subscriber for each reader."""
    for name in ("tailing", "python"):
        database.execute("select paysync.create_subscriber(%s)", (name,))
    return database


def tailed(start_tail, relay) -> list:
    tail = start_tail(relay.endpoint, subscriber="tailing", arguments=["--until-caught-up"])
    assert tail.wait_for_exit() == 0
    return [change for transaction in tail.transactions() for change in transaction["changes"]]


def received(relay, count: int) -> list:
    changes = []
    with Subscriber(relay.endpoint, "python") as subscriber:
        while len(changes) < count:
            transaction = subscriber.receive(20.0)
            assert transaction is not None, f"{len(changes)} of {count} changes came"
            changes += transaction.changes
    return changes


def test_every_form_comes_as_it_is(followed, relay, start_tail):
    """Rule: what PostgreSQL holds is what every reader says, and to_text() writes it back as PostgreSQL's own bytes."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    followed.execute(f"create table forms ({columns}, primary key (id))")
    followed.execute("create table copied (like forms)")
    followed.execute("select paysync.register('forms')")
    for row in ROWS:
        values = ", ".join(f"%s::{kind}" for kind in COLUMNS.values())
        followed.execute(f"insert into forms values ({values})", row)
    peeked = [row[0] for row in followed.execute("select new from paysync.peek()")]
    assert peeked[0] == SHOWN
    changes = received(relay, len(ROWS))
    lines = tailed(start_tail, relay)
    for row in peeked:  # jsonb has decimals, which write 1e308 out
        row.update({name: float(row[name]) for name in ("single", "double") if isinstance(row[name], int)})
    assert [line["new"] for line in lines] == peeked
    assert changes[0].new["single"] == struct.unpack(">f", struct.pack(">f", 0.1))[0] and changes[0].new["day"] == date(2025, 11, 15)
    assert changes[0].new["raw"] == b"\0\xff" and changes[0].new["counts"] == [[1, 2], [3, 4]] and math.isnan(changes[1].new["single"])
    for change in changes:
        texts = [to_text(change.new[column.name], column) for column in change.shape.columns]
        values = ", ".join(f"%s::text::{column.type}" for column in change.shape.columns)
        followed.execute(f"insert into copied values ({values})", texts)
    sent = "array_agg(record_send({0}) order by id)"
    same = followed.execute(f"select (select {sent.format('forms')} from forms) = (select {sent.format('copied')} from copied)")[0]
    assert same == (True,)


def test_gaps_and_alters_reach_every_reader(followed, relay, start_tail):
    """Rule: an alter comes with both shapes and the new columns' values, a gap with its reason, between the changes around them."""
    followed.execute("create table t (id int primary key, a text)")
    followed.execute("select paysync.register('t')")
    followed.execute("insert into t values (1, 'x')")
    followed.execute("alter table t add column tags text[] not null default '{a,NULL}'")
    followed.execute("alter table t rename column a to b")
    followed.execute("alter table t add column v double precision default random()")
    followed.execute("insert into t values (2, 'y', '{}', 0.5)")
    names = [row[0] for row in followed.execute("select op from paysync.peek()")]
    assert names == ["insert", "alter", "alter", "gap", "alter", "insert"]
    peeked = [row[0] for row in followed.execute("select new from paysync.peek()")]
    assert peeked[1] == {"columns": {"id": "integer", "a": "text", "tags": "text[]"}, "values": {"tags": ["a", None]}}
    assert peeked[2] == {"columns": {"id": "integer", "b": "text", "tags": "text[]"}, "values": {}}
    assert set(peeked[3]) == {"reason"} and peeked[3]["reason"]
    changes = received(relay, len(names))
    assert [change.op for change in changes] == names
    first, second, gap, third = changes[1:5]
    assert first.new == {"tags": ["a", None]} and second.new == {} and third.new == {}
    assert [alter.previous for alter in (second, third)] == [first.shape, second.shape]
    assert first.previous == changes[0].shape and changes[5].shape == third.shape and gap.shape == second.shape
    assert [column.number for column in third.shape.columns] == [1, 2, 3, 4]
    assert gap.reason == peeked[3]["reason"]
    lines = tailed(start_tail, relay)
    assert [line["op"] for line in lines] == names
    assert {"columns": lines[1]["columns"], "values": lines[1]["values"]} == peeked[1]
    assert lines[3] == {"channel": "default", "table": "public.t", "op": "gap", "key": None, "old": None, "new": None, "reason": gap.reason}
